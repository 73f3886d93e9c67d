"""What a stage costs on the real broker, next to the same step on other engines: `python -m bench.stages`.

Each contestant is a process of its own that reads the same topic and writes one of its own, three times in turn; the
best round counts, because these machines are shared. Figures are CPU of the process from its first event to its last.
Events come from the workload generator, 12 frames and 1.9 kB on average, and then once more: the first pass is from
cold caches, the second is the steady state. Stock Faust gets a tenth of the first pass.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.embedded.broker import EmbeddedBroker
from app.ingest.keys import KeyReader
from app.simulator.workload.generator import Workload, WorkloadOptions
from bench.faust_contestants import PARTITIONS
from bench.figures import Row, Table, record, text_of
from bench.stage_contestants import step_of
from schemas.node import NodeId

ROUNDS: Final = 3
STOCK_SHARE: Final = 10
"""Stock Faust gets a tenth of the events: at its rate it would take the run for itself."""

NAMES: Final = {
    "ours": "callstream",
    "confluent": "plain confluent-kafka loop",
    "stock": "stock Faust agent, an event a message",
}


class _Raw(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def fill(servers: str, events: int) -> None:
    """Write raw events, and what the canonicalize step makes of them, to two topics."""
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in ("raw", "canonical")]).values():
        future.result()
    producer = Producer(
        {"bootstrap.servers": servers, "compression.type": "lz4", "queue.buffering.max.messages": 2_000_000}
    )
    step = step_of("canonicalize")
    reader = KeyReader(NodeId("", "bench"))
    batch: list[_Raw] = []
    for number, event in enumerate(_twice(WorkloadOptions(events=events))):
        key = reader.read([event]).keys[0]
        partition = hash_of(key) % PARTITIONS
        producer.produce("raw", event, key, partition)
        batch.append(_Raw("raw", partition, number, 0, key, event))
        if len(batch) == 1_000:
            for raw, out in _converted(step, batch):
                producer.produce("canonical", out, raw.key, raw.partition)
            batch.clear()
            producer.poll(0)
    producer.flush()


def _twice(options: WorkloadOptions) -> Iterator[bytes]:
    yield from Workload(options).events()
    yield from Workload(options).events()


def _converted(step: object, batch: Sequence[_Raw]) -> Iterator[tuple[_Raw, bytes | None]]:
    for raw in batch:
        for out in step([raw]).outputs:  # type: ignore[operator]  # a Step; one record at a time keeps them paired
            yield raw, out.value


def hash_of(key: bytes) -> int:
    """Any even spread that is the same in every run."""
    return sum(key)


def measure(
    stage: str, engine: str, servers: str, topic: str, *, events: int, lap: int, number: int
) -> dict[str, float]:
    """Run one contestant in a process of its own; returns its figures."""
    numbers = [str(events), str(lap), str(number)]
    command = [sys.executable, "-m", "bench.stage_contestants", stage, engine, servers, topic, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{stage} on {engine} failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def run(events: int) -> list[Table]:
    """Measure every stage on every engine."""
    tables = []
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as folder, EmbeddedBroker(Path(folder)) as broker:
        servers = broker.bootstrap_servers
        fill(servers, events)
        for stage, topic in (("canonicalize", "raw"), ("privacy", "canonical")):
            found: dict[str, list[dict[str, float]]] = {engine: [] for engine in NAMES}
            for number in range(ROUNDS):
                for engine in NAMES:
                    share, lap = (events // STOCK_SHARE, 0) if engine == "stock" else (events * 19 // 10, events)
                    found[engine].append(measure(stage, engine, servers, topic, events=share, lap=lap, number=number))
            tables += [
                _table(f"Stage {stage}, steady state: consume to delivered", "steady_", found, events),
                _table(f"Stage {stage}, both passes: consume to delivered", "", found, events),
            ]
    return tables


def _table(title: str, prefix: str, found: dict[str, list[dict[str, float]]], events: int) -> Table:
    """The best round of each engine that has such figures."""
    cpu = f"{prefix}cpu_us"
    best = {
        engine: min(rounds, key=lambda one: one[cpu])
        for engine, rounds in found.items()
        if all(cpu in one for one in rounds)
    }
    rows = [
        Row(
            NAMES[engine],
            {
                "CPU µs/event": figures[cpu],
                "events/s": int(figures[f"{prefix}events_per_s"]),
                "ratio": figures[cpu] / best["ours"][cpu],
            },
        )
        for engine, figures in best.items()
    ]
    return Table(title, {"distinct events": events, "rounds": ROUNDS}, rows)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    tables = run(parser.parse_args().events)
    record("stages", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()

"""What a stage costs on the real broker, next to the same work on other engines: `python -m bench.stages`.

Each contestant is a process of its own that reads the same topic and writes one of its own, three times in turn. A
ratio is of two figures of one round, because these machines are shared; the median of all rounds counts. Figures are
CPU of the process from its first event to its last. Python's contestants run the wheel of a commit (HEAD by default),
as users do. Canonicalize also meets a stage in Go and one on Kafka Streams (bench/foreign_stages.py), which decode the
same events, copy what a call has and write it as Avro.

Events come from the workload generator, 12 frames and 1.9 kB on average, and then once more: the first pass is from
cold caches, the second is the steady state. Stock Faust gets a tenth of the first pass.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.embedded.broker import EmbeddedBroker
from app.ingest.keys import KeyReader
from app.simulator.workload.generator import Workload, WorkloadOptions
from bench.builds import ROOT, Build, build
from bench.faust_contestants import PARTITIONS, make_topic
from bench.figures import Row, Table, record, text_of
from bench.foreign_stages import Command, Contest, go_stage, streams_stage
from bench.stage_contestants import step_of
from schemas.node import NodeId
from schemas.topics import Stage

ROUNDS: Final = 3
TOPICS: Final = {Stage.CANONICALIZE.value: "raw", Stage.PRIVACY.value: "canonical"}
STOCK_SHARE: Final = 10
"""Stock Faust gets a tenth of the events: at its rate it would take the run for itself."""

NAMES: Final = {
    "ours": "callstream",
    "confluent": "plain confluent-kafka loop",
    "stock": "stock Faust agent, an event a message",
    "go": "Go: franz-go, protobuf, hamba/avro",
    "streams": "Java: Kafka Streams, protobuf, Avro",
}
FOREIGN: Final = {"go": go_stage, "streams": streams_stage}
"""Engines that only canonicalize meets, where their compilers are."""


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


Start = Callable[[str, int, int, int], dict[str, float]]
"""Runs a contestant over events of a topic, with a lap, as a round's number; returns its figures."""


def ours_or_python(built: Build, stage: str, engine: str, servers: str) -> Start:
    """A contestant of bench.stage_contestants, with the program of a wheel and the packages of this environment."""
    environ = {**built.environ(), "PYTHONPATH": f"{built.installed}{os.pathsep}{ROOT}"}

    def start(topic: str, events: int, lap: int, number: int) -> dict[str, float]:
        numbers = [str(events), str(lap), str(number)]
        command = [sys.executable, "-m", "bench.stage_contestants", stage, engine, servers, topic, *numbers]
        return _figures(command, environ)

    return start


def foreign(engine: str, command: Command, servers: str) -> Start:
    """A contestant in another language."""

    def start(topic: str, events: int, lap: int, number: int) -> dict[str, float]:
        group = f"{engine}-{number}"
        output = make_topic(servers, f"{group}-out")
        return _figures(command(Contest(servers, topic, output, group, events, lap)), os.environ)

    return start


def _figures(command: Sequence[str], environ: Mapping[str, str]) -> dict[str, float]:
    """What a contestant prints. Raises RuntimeError with its last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def contestants(built: Build, stage: str, servers: str) -> dict[str, Start]:
    """All that can run here."""
    found = {engine: ours_or_python(built, stage, engine, servers) for engine in NAMES if engine not in FOREIGN}
    if stage == Stage.CANONICALIZE:
        for engine, make in FOREIGN.items():
            if (command := make()) is not None:
                found[engine] = foreign(engine, command, servers)
    return found


def run(built: Build, events: int, rounds: int, stages: Sequence[str], without: Sequence[str]) -> list[Table]:
    """Measure stages on every engine."""
    tables = []
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as folder, EmbeddedBroker(Path(folder)) as broker:
        servers = broker.bootstrap_servers
        fill(servers, events)
        for stage in stages:
            started = {
                engine: start for engine, start in contestants(built, stage, servers).items() if engine not in without
            }
            found: dict[str, list[dict[str, float]]] = {engine: [] for engine in started}
            for number in range(rounds):
                for engine, start in started.items():
                    share, lap = (events // STOCK_SHARE, 0) if engine == "stock" else (events * 19 // 10, events)
                    found[engine].append(start(TOPICS[stage], share, lap, number))
            settings: dict[str, str | int] = {
                "wheel of": built.commit[:12],
                "distinct events": events,
                "rounds": rounds,
            }
            tables += [
                _table(f"Stage {stage}, steady state: consume to delivered", "steady_", found, settings),
                _table(f"Stage {stage}, both passes: consume to delivered", "", found, settings),
            ]
    return tables


def _table(
    title: str, prefix: str, found: Mapping[str, Sequence[Mapping[str, float]]], settings: Mapping[str, str | int]
) -> Table:
    """The medians of each engine that has such figures; `ours to it` is our cost by the engine's, in one round."""
    cpu, rate = f"{prefix}cpu_us", f"{prefix}events_per_s"
    rows = []
    for engine, figures in found.items():
        if all(cpu in one for one in figures):
            ratios = sorted(ours[cpu] / one[cpu] for ours, one in zip(found["ours"], figures, strict=True))
            columns: dict[str, float | int] = {
                "CPU µs/event": statistics.median(one[cpu] for one in figures),
                "events/s": int(statistics.median(one[rate] for one in figures)),
                "ours to it": statistics.median(ratios),
                "least": ratios[0],
                "most": ratios[-1],
            }
            rows.append(Row(NAMES[engine], columns))
    return Table(title, settings, rows, "ours to it: our CPU for an event by its, of one round, median and range.")


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--commit", default="HEAD", help="whose wheel runs")
    parser.add_argument("--stages", nargs="+", choices=TOPICS, default=list(TOPICS))
    parser.add_argument("--without", nargs="+", choices=[name for name in NAMES if name != "ours"], default=[])
    options = parser.parse_args()
    tables = run(build(options.commit), options.events, options.rounds, options.stages, options.without)
    record("stages", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()

"""What the hot-symbol stage costs on the real broker: `python -m bench.hot_symbols`.

Calls come from the workload generator through the stages' own steps: 12 frames on average. The stage runs as
`callstream worker --stage hot-symbols` runs it, both steps in one process, and its figures are the process's CPU from
its first batch to its last acknowledgement, divided by the calls. Twice: on calls that wait already, and at a steady
rate, where a second's flush has fewer calls to share it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from agents.contract import OutRecord
from app import steps
from app.embedded.broker import EmbeddedBroker
from app.ingest.keys import KeyReader
from app.provision.sizing import FEW_PARTITIONS
from app.settings import Settings, from_env
from app.simulator.workload.generator import Workload, WorkloadOptions
from app.stages.hot_symbols.count_step import CountStep
from app.stages.hot_symbols.merge_step import MergeStep
from app.stages.worker import registered_id, stage_plan
from app.streaming.batch import RecordBatch
from app.streaming.stage_process import run_stage
from app.telemetry.logs import configure
from bench.figures import Row, Table, record, resident_mbytes, text_of
from schemas import topics
from schemas.node import NodeId
from schemas.topics import Stage

STEADY_PER_SECOND: Final = 20_000
STEADY_SECONDS: Final = 15
_BATCH: Final = 500


class _Raw(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def calls(settings: Settings, events: int) -> Iterator[tuple[int, OutRecord]]:
    """Calls by partition, as the stages before make them."""
    canonicalize = steps.canonicalize_step(settings)
    privacy = steps.privacy_step(settings, registered_id(settings, topics.CALLS))
    keys = KeyReader(NodeId("", "bench"))
    waiting: list[list[_Raw]] = [[] for _ in range(FEW_PARTITIONS)]
    offsets = [0] * FEW_PARTITIONS
    for event in Workload(WorkloadOptions(events=events)).events():
        key = keys.read([event]).keys[0]
        partition = sum(key) % FEW_PARTITIONS
        waiting[partition].append(_Raw("raw", partition, offsets[partition], 0, key, event))
        offsets[partition] += 1
        if len(waiting[partition]) >= _BATCH:
            batch, waiting[partition] = waiting[partition], []
            canonical = [
                _Raw("canonical", partition, number, 0, out.key, out.value)
                for number, out in enumerate(canonicalize(batch).outputs)
            ]
            for out in privacy(canonical).outputs:
                yield partition, out


class Bench:
    """A broker with the topics and the registered schemas."""

    def __init__(self, broker: EmbeddedBroker, folder: Path, prefix: str) -> None:
        self.environ = os.environ | {
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url,
            "CALLSTREAM_DATA_DIR": str(folder / prefix),
            "CALLSTREAM_TOPIC_PREFIX": prefix,
        }
        self.settings = from_env(self.environ)
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": self.settings.name(Stage.HOT_SYMBOLS.group),
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        apply = [sys.executable, "-m", "app", "topics", "apply"]
        subprocess.run(apply, env=self.environ, check=True, capture_output=True)
        self.producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
            }
        )

    def send(self, records: list[tuple[int, OutRecord]], *, rate: int = 0) -> None:
        """Write calls, at so many a second or as fast as it goes."""
        topic = self.settings.name(topics.CALLS)
        began = time.monotonic()
        for number, (partition, out) in enumerate(records):
            self.producer.produce(topic, out.value, out.key, partition)
            if number % _BATCH == 0:
                self.producer.poll(0)
                if rate:
                    time.sleep(max(0.0, number / rate - (time.monotonic() - began)))
        self.producer.flush()

    def lag(self) -> int:
        """Calls and partials that the stage has not committed."""
        places = [
            TopicPartition(self.settings.name(topic), number)
            for topic in (topics.CALLS, topics.HOT_PARTIALS)
            for number in range(FEW_PARTITIONS)
        ]
        ends = [self._consumer.get_watermark_offsets(place, timeout=10, cached=False) for place in places]
        done = self._consumer.committed(places, timeout=30)
        return sum(end - max(0, place.offset) for (_, end), place in zip(ends, done, strict=True))

    def measure(self, name: str, records: list[tuple[int, OutRecord]], *, rate: int) -> Row:
        """Run the stage over these calls, sent before it starts or at a rate."""
        if not rate:
            self.send(records)
        worker = subprocess.Popen(
            [sys.executable, "-m", "bench.hot_symbols", "--worker"],
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        if rate:
            time.sleep(8)
            self.send(records, rate=rate)
        while self.lag():
            time.sleep(0.2)
        memory = resident_mbytes(worker.pid)
        worker.terminate()
        out, _ = worker.communicate(timeout=30)
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return Row(
            name,
            {
                "CPU µs/call": 1e6 * found["cpu"] / found["calls"],
                "absorb": 1e6 * found["absorb"] / found["calls"],
                "flush": 1e6 * found["flush"] / found["calls"],
                "calls/s": int(found["calls"] / found["seconds"]),
                "memory MB": int(memory),
            },
        )


class Watched:
    """CPU of this process, from the first batch to the last flush."""

    def __init__(self) -> None:
        self.calls = 0
        self.absorb = self.flush = 0.0
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)

    def watch(self) -> None:
        """Measure both steps where they are called."""
        for step in (CountStep, MergeStep):
            self._watch_step(step)

    def _watch_step(self, step: Any) -> None:
        absorb, flush = step.absorb, step.flush
        counts_calls = step is CountStep

        def timed_absorb(one: Any, batch: RecordBatch) -> None:
            if self._first is None:
                self._first = (time.process_time(), time.monotonic())
            began = time.thread_time()
            absorb(one, batch)
            self.absorb += time.thread_time() - began
            self.calls += len(batch.records) if counts_calls else 0

        async def timed_flush(one: Any, positions: Any) -> None:
            began = time.thread_time()
            await flush(one, positions)
            self.flush += time.thread_time() - began
            self._last = (time.process_time(), time.monotonic())

        step.absorb, step.flush = timed_absorb, timed_flush

    def figures(self) -> dict[str, float]:
        """What was measured."""
        first = self._first or (0.0, 0.0)
        return {
            "cpu": self._last[0] - first[0],
            "seconds": self._last[1] - first[1],
            "calls": self.calls,
            "absorb": self.absorb,
            "flush": self.flush,
        }


def work() -> None:
    """Run the stage as a worker does, and print its figures at the end."""
    settings = from_env(os.environ)
    configure("text", "WARNING")
    watched = Watched()
    watched.watch()
    run_stage(settings, stage_plan(settings, Stage.HOT_SYMBOLS, index=0, http_port=0))
    print(json.dumps(watched.figures()))


def run(events: int) -> list[Table]:
    """Both measurements."""
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as name, EmbeddedBroker(Path(name)) as broker:
        folder = Path(name)
        waiting = Bench(broker, folder, "waiting.")
        records = list(calls(waiting.settings, events))
        rows = [waiting.measure("calls that wait", records, rate=0)]
        steady = Bench(broker, folder, "steady.")
        rest = list(calls(steady.settings, STEADY_PER_SECOND * STEADY_SECONDS))
        rows.append(steady.measure(f"{STEADY_PER_SECOND:,} calls a second", rest, rate=STEADY_PER_SECOND))
    note = "absorb: into memory; flush: to tables and topics. The rest is the transport's."
    return [Table("Hot symbols: consume to published", {"events": events}, rows, note)]


def main() -> None:
    """Measure, print and record; or be the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work()
        return
    tables = run(options.events)
    record("hot_symbols", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()

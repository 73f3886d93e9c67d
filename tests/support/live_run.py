"""The demo's events through live stages whose workers are killed, stopped and joined meanwhile.

The commands run as an operator runs them, each in a process of its own; raw events are written as ingest writes them.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from app.embedded.broker import EmbeddedBroker
from app.ingest.keys import KeyReader
from app.settings import Settings, from_env
from app.simulator.workload.binaries import mapped_binaries
from app.simulator.workload.calls import POLICY_HOOKS
from app.simulator.workload.generator import Workload, WorkloadOptions
from schemas import topics
from schemas.node import NodeId
from schemas.topics import Stage
from tests.support.delivery_run import PARTITIONS, Worker, worker_environ

_SOURCES: Final = {Stage.CANONICALIZE: topics.RAW, Stage.PRIVACY: topics.CANONICAL}


class LiveRun:
    """Topics, a symbol store, workers of both stages, and a load."""

    def __init__(self, broker: EmbeddedBroker, prefix: str, folder: Path) -> None:
        self.folder = folder
        hooks = folder / "policy-hooks.toml"
        hooks.write_text("".join(f'{policy} = "{kind}"\n' for policy, kind in POLICY_HOOKS.items()))
        self.environ = worker_environ(broker.bootstrap_servers, prefix, folder) | {
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url,
            "CALLSTREAM_SYMBOL_STORE_DIR": str(folder / "symbols"),
            "CALLSTREAM_POLICY_HOOKS_FILE": str(hooks),
        }
        self.settings: Settings = from_env(self.environ)
        self.workers: list[Worker] = []
        self._consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": f"{prefix}looks-on"})
        self._producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "partitioner": "murmur2_random"})

    def command(
        self, *arguments: object, environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `callstream ARGUMENTS` to its end."""
        root = str(Path(__file__).parents[2])
        return subprocess.run(
            [sys.executable, "-m", "app", *map(str, arguments)],
            env={**self.environ, "PYTHONPATH": root, **(environ or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    def prepare(self) -> None:
        """Topics, schemas, and the symbols of the libraries that the load's stacks run through."""
        for arguments in (("topics", "apply"), ("symbols", "add", *_libraries())):
            done = self.command(*arguments)
            assert done.returncode == 0, done.stderr

    def add_worker(self, stage: Stage) -> Worker:
        """Start one more worker of a stage."""
        index = len(self.workers)
        program = ("app", "worker", "--stage", stage.value, "--index", str(index))
        worker = Worker(program, self.environ, self.folder / f"worker-{index}.log")
        worker.start()
        self.workers.append(worker)
        return worker

    def await_ready(self, seconds: float) -> None:
        """Wait until every worker has its partitions: who is killed before that loses no work in progress."""
        deadline = time.monotonic() + seconds
        for worker in self.workers:
            while "serving /metrics" not in worker.log_tail() or worker.get("/readyz")[0] != HTTPStatus.OK:
                assert time.monotonic() < deadline, worker.log_tail()
                time.sleep(0.1)

    def send(self, events: int, *, rate_per_s: int, meanwhile: Iterator[None]) -> None:
        """Send the demo's events at a rate, and let `meanwhile` do one thing after each second."""
        load = list(Workload(WorkloadOptions(events=events, canary_share=0.05)).events())
        keys = KeyReader(NodeId("", "node")).read(load).keys
        began, due = time.monotonic(), 1.0
        for number, (event, key) in enumerate(zip(load, keys, strict=True)):
            self._producer.produce(self.settings.name(topics.RAW), event, key)
            self._producer.poll(0)
            if (late := number / rate_per_s - (time.monotonic() - began)) > 0:
                time.sleep(late)
            if time.monotonic() - began > due:
                due += 1.0
                next(meanwhile, None)
        for _ in meanwhile:
            pass
        assert self._producer.flush(30) == 0

    def end(self, topic: str, partition: int) -> int:
        """Next offset of a partition of an unprefixed topic."""
        return self._consumer.get_watermark_offsets(TopicPartition(self.settings.name(topic), partition), 10)[1]

    def await_finished(self, seconds: float) -> None:
        """Wait until both stages have committed everything, one after the other."""
        deadline = time.monotonic() + seconds
        for stage, topic in _SOURCES.items():
            while self._behind(stage, topic):
                assert time.monotonic() < deadline, "\n".join(worker.log_tail() for worker in self.workers)
                time.sleep(0.3)

    def _behind(self, stage: Stage, topic: str) -> list[int]:
        """Partitions of a stage's source of which not all is committed."""
        servers = self.settings.kafka_bootstrap_servers
        group = Consumer({"bootstrap.servers": servers, "group.id": self.settings.name(stage.group)})
        try:
            asked = [TopicPartition(self.settings.name(topic), partition) for partition in range(PARTITIONS)]
            return [one.partition for one in group.committed(asked, 10) if one.offset < self.end(topic, one.partition)]
        finally:
            group.close()

    def published(self) -> list[tuple[int, int, bytes, bytes]]:
        """Every record of runtime.calls in the order of its partition: number, timestamp, key, value."""
        found: list[tuple[int, int, bytes, bytes]] = []
        name = self.settings.name(topics.CALLS)
        for partition in range(PARTITIONS):
            end = self.end(topics.CALLS, partition)
            self._consumer.assign([TopicPartition(name, partition, 0)])
            position = 0
            while position < end:
                for message in self._consumer.consume(min(2_000, end - position), 1.0):
                    assert message.error() is None
                    key, value, offset = message.key(), message.value(), message.offset()
                    assert key is not None
                    assert value is not None
                    assert offset is not None
                    found.append((partition, message.timestamp()[1], key, value))
                    position = offset + 1
        self._consumer.unassign()
        return found

    def publish(self, partition: int, timestamp_ms: int, key: bytes, value: bytes) -> None:
        """Write a record to runtime.calls."""
        self._producer.produce(self.settings.name(topics.CALLS), value, key, partition, timestamp=timestamp_ms)
        assert self._producer.flush(10) == 0

    def close(self) -> None:
        """End whatever still runs."""
        for worker in self.workers:
            worker.kill()
        self._consumer.close()


def _libraries() -> list[str]:
    return sorted({str(binary.file.resolve()) for binary in mapped_binaries().values()})


@contextmanager
def live_run(broker: EmbeddedBroker, prefix: str, folder: Path) -> Iterator[LiveRun]:
    """A live run that ends with the block."""
    run = LiveRun(broker, prefix, folder)
    try:
        run.prepare()
        yield run
    finally:
        run.close()


def trouble(run: LiveRun) -> Iterator[None]:
    """Something bad after each second: kills, a stop, workers that join, and one that leaves its work to another."""
    canonicalize, privacy = run.workers[0], run.workers[1]
    for victim, number in (
        (canonicalize, signal.SIGKILL),
        (privacy, signal.SIGKILL),
        (canonicalize, signal.SIGTERM),
        (privacy, signal.SIGKILL),
    ):
        victim.end(number, within_seconds=12)
        victim.start()
        yield
        if number is signal.SIGTERM:
            run.add_worker(Stage.CANONICALIZE)
            run.add_worker(Stage.PRIVACY)
        yield
    canonicalize.end(signal.SIGKILL, within_seconds=5)  # and does not come back: the other one takes its partitions

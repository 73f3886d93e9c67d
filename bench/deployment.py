"""The whole pipeline as an operator runs it, for benchmarks: real broker, real commands, one process each.

Processes have names; their CPU is read from the kernel while they run. Everything lives in one temporary
folder and ends with the `with` block.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from app.kafka.topic_reader import TopicReader
from app.settings import from_env
from bench.figures import cpu_seconds, resident_mbytes
from tests.support.breakable_broker import BreakableBroker

Program = tuple[Path, Mapping[str, str]]
"""A Python that can import callstream, and what its environment needs beside the deployment's."""

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(slots=True)
class Deployment:
    """A running broker and the processes started on it."""

    broker: BreakableBroker
    folder: Path
    environ: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self,
        name: str,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        program: Program = (Path(sys.executable), {}),
    ) -> subprocess.Popen[bytes]:
        """Start `callstream ARGUMENTS` under a name; standard output is a pipe, standard error a file of that name."""
        python, own = program
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [python, "-m", "app", *arguments],
                env={**self.environ, **own, **(environ or {})},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.processes[name] = process
        return process

    def run(self, *arguments: str, program: Program = (Path(sys.executable), {})) -> None:
        """Run `callstream ARGUMENTS` to its end. Raises CalledProcessError."""
        python, own = program
        subprocess.run([python, "-m", "app", *arguments], env={**self.environ, **own}, check=True, capture_output=True)

    def stop(self, *names: str) -> None:
        """SIGTERM to some processes, all when none is named, and wait for them."""
        chosen = names or tuple(self.processes)
        for name in chosen:
            self.processes[name].send_signal(signal.SIGTERM)
        for name in chosen:
            process = self.processes.pop(name)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by process name; the broker is `kafka`."""
        found = {name: cpu_seconds(process.pid) for name, process in self.processes.items()}
        found["kafka"] = cpu_seconds(self.broker.kafka_pid)
        return found

    def memory(self) -> dict[str, float]:
        """Resident MB by process name."""
        return {name: resident_mbytes(process.pid) for name, process in self.processes.items()}

    def ends(self, topic: str) -> int:
        """Records ever written to a topic: the sum of its end offsets."""
        return sum(self._watermarks(topic).values())

    def committed(self, group: str, topic: str) -> int:
        """Records of a topic that a group has committed."""
        partitions = [TopicPartition(topic, partition) for partition in self._watermarks(topic)]
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap_servers, "group.id": group})
        try:
            return sum(max(found.offset, 0) for found in consumer.committed(partitions, timeout=10))
        finally:
            consumer.close()

    def _watermarks(self, topic: str) -> dict[int, int]:
        with TopicReader(from_env(self.environ)) as reader:
            return {partition: ends.next for partition, ends in reader.all_ends(topic).items()}


@contextmanager
def deployment(settings: Mapping[str, str] | None = None) -> Iterator[Deployment]:
    """A broker and a registry with all topics and schemas, and no other process yet."""
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as name:
        folder = Path(name)
        with BreakableBroker(folder / "broker") as broker:
            environ = {
                **os.environ,
                "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
                "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url,
                "CALLSTREAM_DATA_DIR": str(folder / "state"),
                "CALLSTREAM_LOG_FORMAT": "text",
                **(settings or {}),
            }
            running = Deployment(broker, folder, environ)
            running.run("topics", "apply")
            try:
                yield running
            finally:
                running.stop()


def first_line(process: subprocess.Popen[bytes]) -> dict[str, object]:
    """The line of JSON that a server prints when it is ready."""
    assert process.stdout is not None
    found = json.loads(process.stdout.readline())
    assert isinstance(found, dict)
    return found


def await_count(count: Callable[[], int], wanted: int, seconds: float, pause: float = 0.25) -> float:
    """Wait until `count()` reaches `wanted`; returns when it did, by perf_counter. Raises TimeoutError."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        if count() >= wanted:
            return time.perf_counter()
        time.sleep(pause)
    raise TimeoutError(f"{count()} of {wanted} after {seconds} s")


def per_event_us(before: Mapping[str, float], after: Mapping[str, float], events: int) -> dict[str, float]:
    """CPU microseconds an event by process, for processes that were there at both times."""
    return {name: (after[name] - before[name]) / events * 1e6 for name in after if name in before}

"""The whole pipeline as processes on a broker: ingest, every stage, and what a service manager does for them."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from click.testing import CliRunner, Result
from confluent_kafka import Producer
from urllib3.exceptions import HTTPError

from app.__main__ import cli
from app.kafka.records import Recorded
from app.kafka.topic_reader import TopicReader
from app.settings import Settings, from_env
from schemas.topics import Stage
from tests.support.delivery_run import Worker

INGEST = "ingest"


@dataclass(slots=True)
class Ended:
    """A process that ended by itself."""

    name: str
    code: int
    at_s: float
    said: str
    """The last line of its log, which has the reason."""


@dataclass
class PipelineRun:
    """Processes by name: `ingest` (a second one is `ingest-1`), or a stage and its index, as in `privacy-0`."""

    environ: dict[str, str]
    folder: Path
    processes: dict[str, Worker] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    """Processes that are to run; `tend` starts them again when they ended."""
    ended: list[Ended] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The settings that all processes share."""
        return from_env({name: value for name, value in self.environ.items() if name.startswith("CALLSTREAM_")})

    @property
    def partitions(self) -> int:
        """Of every topic."""
        assert self.settings.partitions is not None
        return self.settings.partitions

    def start(self, name: str, environ: Mapping[str, str] | None = None, *, within: Sequence[str] = ()) -> Worker:
        """Start a process, for the first time or again.

        `environ` is added to what all share, and stays until another one is given; `within` is as in `Worker`.
        """
        if name not in self.processes or environ is not None:
            stage, _, index = name.partition("-") if name.startswith(INGEST) else name.rpartition("-")
            worker = ("app", "worker", "--stage", stage, "--index", index)
            program = ("app", "ingest", "--json") if stage == INGEST else worker
            settings = {**self.environ, **(environ or {})}
            self.processes[name] = Worker(program, settings, self.folder / f"{name}.log", within=within)
        self.wanted.add(name)
        self.processes[name].start()
        return self.processes[name]

    def start_stages(self) -> None:
        """Start one worker a stage."""
        for stage in Stage:
            self.start(f"{stage.value}-0")

    def end(self, name: str, number: signal.Signals, *, within_seconds: float = 15.0) -> int:
        """Send a signal, wait for the end, and leave the process ended; returns its exit code."""
        self.wanted.discard(name)
        return self.processes[name].end(number, within_seconds=within_seconds)

    def tend(self) -> None:
        """Start again what ended by itself, as a service manager does."""
        for name in sorted(self.wanted):
            code = self.processes[name].exit_code
            if code is not None:
                last_line = self.processes[name].log_tail().rstrip().rpartition("\n")[2]
                self.ended.append(Ended(name, code, time.time(), last_line))
                self.processes[name].start()

    def sleep(self, seconds: float) -> None:
        """Let time pass, tending processes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(min(0.5, max(0.0, until - time.monotonic())))

    def wait(self, condition: Callable[[], bool], seconds: float, what: str = "all to be ready") -> float:
        """Wait for a condition, tending processes; returns how long it took.

        Fails with what is not ready and the ends of all logs.
        """
        began = time.monotonic()
        while not condition():
            self.tend()
            waiting = {name: why for name in self.wanted if (why := self.not_ready(name)) is not None}
            assert time.monotonic() - began < seconds, f"waited for {what}: {waiting}\n{self.logs()}"
            time.sleep(0.25)
        return time.monotonic() - began

    def await_ready(self, seconds: float = 90.0) -> float:
        """Wait until every process says that it does its job."""
        return self.wait(lambda: all(self.not_ready(name) is None for name in self.wanted), seconds)

    def not_ready(self, name: str) -> str | None:
        """Why a process does not do its job; None when it does."""
        worker = self.processes[name]
        if worker.exit_code is not None:
            return f"ended with {worker.exit_code}"
        if not worker.serves:
            return "does not serve yet"
        try:
            status, page = worker.get("/readyz")
        except HTTPError:
            return "does not answer"
        return None if status == 200 else page

    def books(self, *more: str) -> Result:
        """Ask `callstream books` about all running processes."""
        running = [self.processes[name] for name in sorted(self.wanted)]
        addresses = [one.http_address() for one in running if one.serves]
        options = [option for address in addresses for option in ("--metrics", address)]
        return CliRunner().invoke(cli, ["books", *options, *more], env=self.environ)

    def records(self, topic: str) -> Iterator[Recorded]:
        """Everything on a topic, given by its unprefixed name."""
        with TopicReader(self.settings) as reader:
            yield from reader.records(self.settings.name(topic))

    def ends(self, topic: str) -> dict[int, int]:
        """Next offset of every partition of a topic, given by its unprefixed name."""
        with TopicReader(self.settings) as reader:
            return {number: ends.next for number, ends in reader.all_ends(self.settings.name(topic)).items()}

    def send(self, topic: str, *values: bytes, partition: int | None = None) -> None:
        """Put records on a topic, given by its unprefixed name: in one partition, or in all in turns."""
        producer = Producer({"bootstrap.servers": self.settings.kafka_bootstrap_servers})
        for number, value in enumerate(values):
            to = number % self.partitions if partition is None else partition
            producer.produce(self.settings.name(topic), value, b"key", to)
        assert producer.flush(30) == 0

    def logs(self) -> str:
        """End of every process's log."""
        return "\n".join(f"--- {name}\n{worker.log_tail()}" for name, worker in self.processes.items())


class Servers(Protocol):
    """What a pipeline needs of a broker."""

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's addresses."""

    @property
    def registry_url(self) -> str:
        """The registry's."""


@contextmanager
def pipeline_run(broker: Servers, prefix: str, folder: Path, **more: str) -> Iterator[PipelineRun]:
    """Topics and schemas made; no process started yet. Kills everything at the end.

    `more` are further settings by field name.
    """
    settings = {
        "kafka_bootstrap_servers": broker.bootstrap_servers,
        "schema_registry_url": broker.registry_url,
        "topic_prefix": prefix,
        "data_dir": str(folder / "data"),
        "log_format": "text",
        "partitions": "4",
        **more,
    }
    environ = {**os.environ, **{f"CALLSTREAM_{name.upper()}": value for name, value in settings.items()}}
    made = CliRunner().invoke(cli, ["topics", "apply"], env=environ)
    assert made.exit_code == 0, made.output
    run = PipelineRun(environ, folder)
    try:
        yield run
    finally:
        for worker in run.processes.values():
            worker.kill()

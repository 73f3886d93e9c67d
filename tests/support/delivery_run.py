"""A load on `tetragon.raw`, workers that can be killed, and an account of what arrives on `runtime.canonical`.

A record's value is its number in its partition, from 0 on, so that a consumer which dedupes by the highest number seen
can tell what is missing, what came twice and what came out of order.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import urllib3
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas import topics
from tests.support.new_topics import make_topics

PARTITIONS = 4


@dataclass(slots=True)
class Account:
    """What arrived in one partition."""

    highest: int = -1
    received: int = 0
    repeated: int = 0
    skipped: list[tuple[int, int]] = field(default_factory=list)
    """Numbers that came after one that is not their predecessor, with the highest seen before."""

    def book(self, number: int) -> None:
        """Take the next record of the partition, in the order of its log."""
        self.received += 1
        if number <= self.highest:
            self.repeated += 1
            return
        if number != self.highest + 1:
            self.skipped.append((number, self.highest))
        self.highest = number


class Worker:
    """One worker process. After each signal it starts again, with the same index and data folder."""

    def __init__(
        self, program: Sequence[str], environ: Mapping[str, str], log_file: Path, *, within: Sequence[str] = ()
    ) -> None:
        """`program` is a module name and its arguments; `within` is a command that runs another one in its place."""
        self._command = [*within, sys.executable, "-m", *program]
        self._environ = environ
        self._log_file = log_file
        self._log_begin = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, for the first time or again."""
        with self._log_file.open("ab") as log:
            self._log_begin = log.tell()
            self._process = subprocess.Popen(self._command, env=self._environ, stdout=log, stderr=log)

    def end(self, number: signal.Signals, *, within_seconds: float) -> int:
        """Send a signal and wait for the end; returns the exit code. Raises TimeoutExpired."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(within_seconds)

    def wait(self, *, within_seconds: float) -> int:
        """Wait until it ends by itself; returns the exit code. Raises TimeoutExpired."""
        assert self._process is not None
        return self._process.wait(within_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def peak_bytes(self) -> int:
        """The most memory that it had at a time since its start."""
        assert self._process is not None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def serves(self) -> bool:
        """Whether it has logged, since its last start, where it serves its health and metrics."""
        return bool(self._addresses(self._log_begin))

    def http_address(self) -> str:
        """Where it serves its health and metrics now, host:port."""
        return self._addresses(0)[-1]

    def hot_symbols_address(self) -> str:
        """Where it serves /hot-symbols now, host:port."""
        found: list[str] = re.findall(r"serving /hot-symbols.* hotSymbols=(\S+)", self._log_file.read_text())
        return found[-1]

    def _addresses(self, begin: int) -> list[str]:
        return re.findall(r"serving /metrics.* http=(\S+)", self._log_file.read_bytes()[begin:].decode())

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of its health endpoint."""
        answer = urllib3.request("GET", f"http://{self.http_address()}{path}", retries=False)
        return answer.status, answer.data.decode()

    def metric(self, sample: str) -> float:
        """Value of one sample, given as it stands in the page: name and labels."""
        _, page = self.get("/metrics")
        return next(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(sample + " "))

    def log_tail(self) -> str:
        """End of what it has logged, over all its starts."""
        return self._log_file.read_text()[-4000:]


def worker_environ(bootstrap_servers: str, prefix: str, folder: Path) -> dict[str, str]:
    """Settings of a worker under test, as environment."""
    return {
        **os.environ,
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_DATA_DIR": str(folder / "data"),
        "CALLSTREAM_LOG_FORMAT": "text",
    }


class Load:
    """Sends `total` records at `rate` a second from a thread, or fewer if it is ended."""

    def __init__(self, bootstrap_servers: str, topic: str, *, total: int, rate: int) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 10,
                "compression.type": "lz4",
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )
        self._topic, self._total, self._rate = topic, total, rate
        self.sent = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def end(self) -> int:
        """Send no more; returns how many were sent, when the broker has all of them."""
        self._ending.set()
        self._thread.join()
        return self.sent

    @property
    def done(self) -> bool:
        """Whether the broker has acknowledged everything."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        began = time.monotonic()
        while self.sent < self._total and not self._ending.is_set():
            due = min(self._total, int((time.monotonic() - began) * self._rate))
            while self.sent < due:
                number, partition = divmod(self.sent, PARTITIONS)
                try:
                    self._producer.produce(self._topic, b"%d" % number, b"key-%d" % (number % 97), partition)
                except BufferError:
                    break
                self.sent += 1
            self._producer.poll(0.02)
        self._producer.flush()


class Reader:
    """Reads the output topic and keeps the account of every partition."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": f"{topic}-reader", "enable.auto.commit": False}
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self.accounts = [Account() for _ in range(PARTITIONS)]

    def read(self, seconds: float) -> None:
        """Read for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for message in self._consumer.consume(5_000, min(left, 0.5)):
                partition, value = message.partition(), message.value()
                if message.error() is None and partition is not None and value is not None:
                    self.accounts[partition].book(int(value))

    @property
    def distinct(self) -> int:
        """Records that arrived, each counted once."""
        return sum(account.highest + 1 for account in self.accounts)

    @property
    def repeated(self) -> int:
        """Records that came again."""
        return sum(account.repeated for account in self.accounts)

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()


class DeliveryRun:
    """Topics, load, workers and reader of one test."""

    def __init__(
        self,
        bootstrap_servers: str,
        prefix: str,
        folder: Path,
        *,
        total: int,
        rate: int,
        environ: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._environ = {**worker_environ(bootstrap_servers, prefix, folder), **environ}
        source, output = prefix + topics.RAW, prefix + topics.CANONICAL
        admin = AdminClient({"bootstrap.servers": bootstrap_servers})  # must outlive its futures
        make_topics(admin, [NewTopic(name, PARTITIONS, 1) for name in (source, output)])
        while not {source, output} <= admin.list_topics(timeout=5).topics.keys():
            time.sleep(0.05)
        self.total = total
        self.load = Load(bootstrap_servers, source, total=total, rate=rate)
        self.reader = Reader(bootstrap_servers, output)
        self.workers: list[Worker] = []

    def add_worker(
        self, mode: str = "quick", *, index: str | None = None, environ: Mapping[str, str] | None = None
    ) -> Worker:
        """Start one more worker, with the next index if none is given; `environ` overrides settings of this worker."""
        number = len(self.workers)
        program = ("tests.support.passthrough_worker", str(number) if index is None else index, mode)
        worker = Worker(program, {**self._environ, **(environ or {})}, self._folder / f"worker-{number}.log")
        worker.start()
        self.workers.append(worker)
        return worker

    def end_load(self) -> None:
        """Send no more than was sent so far."""
        self.total = self.load.end()

    def read_until_begun(self, limit_seconds: float) -> None:
        """Read until something has arrived. Fails after `limit_seconds`."""
        deadline = time.monotonic() + limit_seconds
        while not self.reader.distinct:
            self.reader.read(0.5)
            assert time.monotonic() < deadline, self.logs()

    def read_until_complete(self, limit_seconds: float) -> None:
        """Read until every record sent has arrived, or for `limit_seconds` without a new one."""
        quiet_since, seen = time.monotonic(), self.reader.distinct
        while not (self.load.done and self.reader.distinct == self.total):
            self.reader.read(0.5)
            if self.reader.distinct != seen:
                quiet_since, seen = time.monotonic(), self.reader.distinct
            if time.monotonic() - quiet_since > limit_seconds:
                return

    def logs(self) -> str:
        """End of every worker's log."""
        return "\n".join(worker.log_tail() for worker in self.workers)


@contextlib.contextmanager
def delivery_run(
    bootstrap_servers: str,
    prefix: str,
    folder: Path,
    *,
    total: int,
    rate: int,
    workers: int,
    mode: str = "quick",
    environ: Mapping[str, str] | None = None,
) -> Iterator[DeliveryRun]:
    """Start workers and load; kill and close everything at the end. `environ` overrides settings of the workers."""
    run = DeliveryRun(bootstrap_servers, prefix, folder, total=total, rate=rate, environ=environ or {})
    try:
        for _ in range(workers):
            run.add_worker(mode)
        run.load.start()
        yield run
    finally:
        for worker in run.workers:
            worker.kill()
        run.reader.close()


def assert_nothing_lost(run: DeliveryRun) -> None:
    """Every record sent arrived, and in order once repetitions are left out."""
    skipped: Sequence[tuple[int, list[tuple[int, int]]]] = [
        (number, account.skipped) for number, account in enumerate(run.reader.accounts) if account.skipped
    ]
    assert not skipped, f"{skipped}\n{run.logs()}"
    assert run.reader.distinct == run.total, run.logs()

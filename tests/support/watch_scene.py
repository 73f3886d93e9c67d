"""The hot-symbol stage on a real broker, with calls, coverage and watches that a test chooses one by one."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from confluent_kafka import Producer

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.settings import from_env
from app.stages.worker import registered_id
from schemas import records, topics
from schemas.avro_wire import schema_header
from schemas.coverage import CoverageGap, GapCause
from tests.support.calls import encode_call
from tests.support.coverage_records import send_coverage
from tests.support.delivery_run import PARTITIONS, Worker, worker_environ
from tests.support.made_stores import store_with

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class WatchScene:
    """Topics and schemas, workers, and what is sent; times are in nanoseconds before `now_ns`."""

    def __init__(self, broker: EmbeddedBroker, prefix: str, folder: Path) -> None:
        self.prefix, self.folder = prefix, folder
        self.environ = worker_environ(broker.bootstrap_servers, prefix, folder) | {
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url
        }
        subprocess.run(
            [sys.executable, "-m", "app", "topics", "apply"], env=self.environ, check=True, capture_output=True
        )
        self.now_ns = time.time_ns()
        self._settings = from_env(self.environ)
        self._ids = {
            topic: registered_id(self._settings, topic) for topic in (topics.CALLS, topics.COVERAGE, topics.WATCH)
        }
        self._producer = Producer(
            {"bootstrap.servers": broker.bootstrap_servers, "partitioner": "murmur2_random", "log_level": 0}
        )
        self._offsets = [0] * PARTITIONS
        self.workers: list[Worker] = []

    def know_file(self, module: str, build_id: str, *functions: Sequence[str], scope: str = "image:any") -> None:
        """Put a file with these functions, by all names of each, into the symbol store of workers and commands."""
        folder = self.folder / "symbols"
        store_with(folder, {build_id: functions}, {scope: {module: build_id}})
        self.environ |= {"CALLSTREAM_SYMBOL_STORE_DIR": str(folder)}

    def serve_hot_symbols(self, token: str) -> None:
        """Workers that start from now on serve /hot-symbols on a free port, with this token."""
        file = self.folder / "token"
        file.write_text(token)
        self.environ |= {"CALLSTREAM_HOT_SYMBOLS_PORT": "0", "CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE": str(file)}

    def add_worker(self) -> Worker:
        """Start one more worker, with the next index."""
        index = len(self.workers)
        worker = Worker(
            ("tests.support.hot_symbols_worker", str(index)), self.environ, self.folder / f"worker-{index}.log"
        )
        worker.start()
        self.workers.append(worker)
        return worker

    def call(self, *frames: dict[str, Any], partition: int = 0, ago_ns: int = 0, **others: Any) -> None:
        """Send one call with these frames."""
        offset = self._offsets[partition]
        self._offsets[partition] += 1
        fields = {
            "timestamp_ns": self.now_ns - ago_ns,
            "stack_frames": list(frames),
            "source": {"partition": partition, "offset": offset},
        }
        value = encode_call(fields | others, schema_id=self._ids[topics.CALLS])
        self._producer.produce(self.prefix + topics.CALLS, value, b"process", partition)
        assert self._producer.flush(30) == 0

    def send_calls(self, values: Iterable[bytes | None], partition: int) -> None:
        """Send calls that steps have made, under the registry's id of their schema."""
        header = schema_header(self._ids[topics.CALLS])
        for value in values:
            assert value is not None
            self._producer.produce(self.prefix + topics.CALLS, header + value[len(header) :], b"process", partition)
        assert self._producer.flush(30) == 0

    def call_nonsense(self) -> None:
        """Send a call that no stage can read, received an hour ago."""
        received_ms = (self.now_ns - 3600 * SECOND) // 1_000_000
        self._producer.produce(self.prefix + topics.CALLS, b"no call at all", b"process", 3, timestamp=received_ms)
        assert self._producer.flush(30) == 0

    def own(self, partition: int, value: bytes | None) -> None:
        """Say who owns a partition, as any program that may write the topic can."""
        self._producer.produce(self.prefix + topics.OWNERS, value, b"%d" % partition, partition)
        assert self._producer.flush(30) == 0

    def send_raw(self, value: bytes) -> None:
        """Put something on the raw topic."""
        self._producer.produce(self.prefix + topics.RAW, value, b"process", 0)
        assert self._producer.flush(30) == 0

    def cover(
        self,
        ago_ns: int,
        until_ago_ns: int,
        cause: GapCause = GapCause.HEARTBEAT,
        node: str = "n1",
        *,
        cluster: str = "",
        session: str = "",
    ) -> None:
        """Publish a coverage record."""
        gap = CoverageGap(
            node=node,
            cluster=cluster,
            session=session,
            from_ns=self.now_ns - ago_ns,
            to_ns=self.now_ns - until_ago_ns,
            cause=cause,
        )
        send_coverage(self._producer, self.prefix + topics.COVERAGE, gap, self._ids[topics.COVERAGE])
        assert self._producer.flush(30) == 0

    def watch_as_a_service(self, symbol: str, *, ago_ns: int, **others: Any) -> None:
        """Add a watch the way another service does: a record on the topic."""
        fields = {"symbol": symbol, "since_ns": self.now_ns - ago_ns} | others
        value = records.encode(records.WATCH, self._ids[topics.WATCH], fields)
        self._producer.produce(self.prefix + topics.WATCH, value, f"scanner/{symbol}".encode())
        assert self._producer.flush(30) == 0

    def watch(self, *arguments: str) -> Result:
        """`callstream watch`."""
        return CliRunner().invoke(cli, ["watch", *arguments], env=self.environ)

    def hot_symbols(self, *arguments: str) -> Result:
        """`callstream hot-symbols`."""
        return CliRunner().invoke(cli, ["hot-symbols", *arguments], env=self.environ)

    def answers(self) -> dict[str, dict[str, Any]]:
        """Answers to all watches by id."""
        lines = self.hot_symbols("--watched", "--json").stdout.splitlines()
        return {answer["watch_id"]: answer for answer in map(json.loads, lines)}

    def await_answer(
        self, watch_id: str, is_it: Callable[[dict[str, Any]], bool], seconds: float = 40.0
    ) -> dict[str, Any]:
        """Wait for an answer to be so."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.answers().get(watch_id)
            if answer is not None and is_it(answer):
                return answer
            logs = "\n".join(worker.log_tail() for worker in self.workers)
            assert time.monotonic() < deadline, f"{answer}\n{logs}"
            time.sleep(0.5)


@contextmanager
def watch_scene(broker: EmbeddedBroker, prefix: str, folder: Path) -> Iterator[WatchScene]:
    """A scene whose workers are killed at the end."""
    made = WatchScene(broker, prefix, folder)
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.kill()

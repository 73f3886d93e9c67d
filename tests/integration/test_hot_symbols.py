"""The hot-symbol stage on a real broker: every count, time and hour is exact whatever happens to its workers."""

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.embedded.broker import EmbeddedBroker
from app.kafka.group_reader import GroupReader
from app.settings import from_env
from app.simulator.workload.generator import Workload, WorkloadOptions
from app.stages.worker import registered_id
from schemas import records, topics
from schemas.topics import Stage
from tests.support.delivery_run import PARTITIONS, Worker, worker_environ
from tests.support.hot_load import HotLoad
from tests.support.run_size import run_size

pytestmark = pytest.mark.integration

EVENTS = 30_000
RATE_PER_S = min(6_000, 1_000 * run_size())
"""So that the load lasts as long as the faults, here and with ten times the calls in `make prove`."""
GROUP = Stage.HOT_SYMBOLS.group
SOURCES = ((GROUP, topics.CALLS), (GROUP, topics.HOT_PARTIALS))
ALL_SOURCES = ((Stage.CANONICALIZE.group, topics.RAW), (Stage.PRIVACY.group, topics.CANONICAL), *SOURCES)
"""Groups and the topics that they read, in the order of the data."""


class Scene:
    """Topics and schemas, workers, a load of known counts, and the rows that came out."""

    def __init__(self, broker: EmbeddedBroker, prefix: str, folder: Path) -> None:
        self.prefix, self.folder = prefix, folder
        self.servers = broker.bootstrap_servers
        self.environ = worker_environ(self.servers, prefix, folder) | {
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url
        }
        subprocess.run(
            [sys.executable, "-m", "app", "topics", "apply"], env=self.environ, check=True, capture_output=True
        )
        self.admin = AdminClient({"bootstrap.servers": self.servers})
        schema_id = registered_id(from_env(self.environ), topics.CALLS)
        self.load = HotLoad(schema_id=schema_id, partitions=PARTITIONS, symbols=3_000, stacks=400)
        self.workers: list[Worker] = []
        self._producer = Producer(
            {"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 20, "compression.type": "lz4"}
        )

    def add_worker(self) -> Worker:
        """Start one more worker, with the next index."""
        index = len(self.workers)
        program = ("tests.support.hot_symbols_worker", str(index))
        worker = Worker(program, self.environ, self.folder / f"worker-{index}.log")
        worker.start()
        self.workers.append(worker)
        return worker

    def send(self, count: int, *, rate: int) -> None:
        """Send calls to all partitions, now and then some of them again."""
        began = time.monotonic()
        chance = random.Random(count)
        for number in range(0, count, 400):
            partition = chance.randrange(PARTITIONS)
            values = list(self.load.calls(partition, min(400, count - number)))
            if not chance.randrange(10):
                values += self.load.repeated(partition)
            for value in values:
                self._producer.produce(self.prefix + topics.CALLS, value, b"process", partition)
            self._producer.poll(0)
            time.sleep(max(0.0, number / rate - (time.monotonic() - began)))
        self._producer.flush()

    def add_stages(self) -> dict[Stage, Worker]:
        """Start a worker of every stage, as an operator does."""
        for stage in Stage:
            program = ("app", "worker", "--stage", stage.value)
            worker = Worker(program, self.environ, self.folder / f"{stage.value}.log")
            worker.start()
            self.workers.append(worker)
        return dict(zip(Stage, self.workers, strict=True))

    def send_raw(self, events: Iterable[tuple[int, bytes]]) -> None:
        """Write raw events to their partitions, in order."""
        for partition, event in events:
            self._producer.produce(self.prefix + topics.RAW, event, b"process", partition)
            self._producer.poll(0)
        self._producer.flush()

    def await_no_lag(self, seconds: float, sources: Collection[tuple[str, str]] = SOURCES) -> None:
        """Wait until the groups have committed all of their topics."""
        deadline = time.monotonic() + seconds
        while self.lag(sources):
            assert time.monotonic() < deadline, "\n".join(worker.log_tail() for worker in self.workers)
            time.sleep(0.3)

    def await_some(self, topic: str, seconds: float) -> None:
        """Wait until a topic has a record."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(self.prefix + topic, number): latest for number in range(PARTITIONS)}
        deadline = time.monotonic() + seconds
        while not any(ask.result().offset for ask in self.admin.list_offsets(asked).values()):
            assert time.monotonic() < deadline, "\n".join(worker.log_tail() for worker in self.workers)
            time.sleep(0.1)

    def lag(self, sources: Collection[tuple[str, str]]) -> int:
        """Records that the groups have not committed."""
        with GroupReader(from_env(self.environ)) as groups:
            done = {
                (self.prefix + topic, number): offset
                for group, topic in sources
                for number, (offset, _) in groups.committed(group, topic).items()
            }
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {
            TopicPartition(self.prefix + topic, number): latest for _, topic in sources for number in range(PARTITIONS)
        }
        ends = {(tp.topic, tp.partition): ask.result().offset for tp, ask in self.admin.list_offsets(asked).items()}
        return sum(end - max(0, done.get(place, 0)) for place, end in ends.items())

    def rows(self) -> dict[str, dict[str, Any]]:
        """The newest published row of every symbol."""
        topic = self.prefix + topics.HOT_SYMBOLS
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "any", "enable.auto.commit": False})
        places = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
        left = {tp.partition: consumer.get_watermark_offsets(tp)[1] for tp in places}
        consumer.assign(places)
        rows: dict[str, dict[str, Any]] = {}
        while any(left.values()):
            for message in consumer.consume(5_000, 5.0):
                partition, key, value = message.partition(), message.key(), message.value()
                assert partition is not None
                assert isinstance(key, bytes)
                assert isinstance(value, bytes)
                rows[key.decode()] = records.decode(records.HOT_SYMBOL, value)
                if (message.offset() or 0) + 1 >= left[partition]:
                    left[partition] = 0
        consumer.close()
        return rows

    def await_state_folders(self, seconds: float) -> None:
        """Wait until every worker has begun its state: on a busy machine that takes longer than a life here."""
        deadline = time.monotonic() + seconds
        while not all(self.state_folder(index).exists() for index in range(len(self.workers))):
            assert time.monotonic() < deadline, "\n".join(worker.log_tail() for worker in self.workers)
            time.sleep(0.1)

    def state_folder(self, index: int) -> Path:
        """Where the worker keeps what it can rebuild."""
        return self.folder / "data" / (self.prefix + GROUP) / f"worker-{index}"

    def assert_exact(self) -> None:
        """Every row says what the load counted: hits, times, and the hours of the last day."""
        rows = self.rows()
        wanted = {
            symbol: (counted.hits, counted.first_ns, counted.last_ns, counted.last_day())
            for symbol, counted in self.load.truth.items()
        }
        found = {
            symbol: (
                row["hits"],
                row["first_seen_ns"],
                row["last_seen_ns"],
                {entry["hour"]: entry["hits"] for entry in row["hourly_hits"]},
            )
            for symbol, row in rows.items()
        }
        wrong = {symbol for symbol in wanted.keys() | found.keys() if wanted.get(symbol) != found.get(symbol)}
        assert not wrong, [(symbol, wanted.get(symbol), found.get(symbol)) for symbol in sorted(wrong)[:5]]


@contextmanager
def scene(broker: EmbeddedBroker, prefix: str, folder: Path) -> Iterator[Scene]:
    """A scene whose workers are killed at the end."""
    made = Scene(broker, prefix, folder)
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.kill()


@pytest.mark.proof
def test_counts_are_exact_after_six_kills_a_lost_folder_and_two_workers_joining_and_leaving(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path, *, seed: int, size: int
) -> None:
    """Calls with repetitions; the rows that come out are those of a stage to which nothing happened.

    Thirty thousand in `make test`, ten times as many in `make prove`.
    """
    with scene(embedded, topic_prefix, tmp_path) as it:
        first, second = it.add_worker(), it.add_worker()
        it.await_state_folders(60)
        sending = threading.Thread(target=it.send, args=(EVENTS * size,), kwargs={"rate": RATE_PER_S}, daemon=True)
        sending.start()
        chance = random.Random(seed)
        for number in range(6):
            time.sleep(chance.uniform(3.0, 5.0))
            victim = (first, second)[number % 2]
            victim.end(signal.SIGKILL, within_seconds=5)
            if number == 3:
                shutil.rmtree(it.state_folder(1))
            victim.start()
            if number == 1:
                it.add_worker()
            if number == 4:
                it.await_state_folders(60)  # a worker that is still starting does not end in good order
                assert it.workers[2].end(signal.SIGTERM, within_seconds=10) == 0, it.workers[2].log_tail()
        it.add_worker()
        sending.join(90)
        assert not sending.is_alive()
        assert first.end(signal.SIGTERM, within_seconds=10) == 0, first.log_tail()
        it.await_no_lag(90)
        it.assert_exact()
        _assert_shown(it)
        assert all(worker.exit_code in {None, 0} for worker in it.workers)


def test_a_replay_of_the_raw_topic_into_empty_tables_counts_the_same(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Rows of stages that were killed in the middle are those of stages that read the raw topic again, from nothing."""
    events = [(sum(event[-40:]) % PARTITIONS, event) for event in Workload(WorkloadOptions(events=20_000)).events()]
    rows = []
    for name in ("live", "again"):
        folder = tmp_path / name
        folder.mkdir()
        with scene(embedded, f"{topic_prefix}{name}.", folder) as it:
            stages = it.add_stages()
            it.send_raw(events)
            if name == "live":
                it.await_some(topics.HOT_PARTIALS, 60)
                for stage in (Stage.PRIVACY, Stage.HOT_SYMBOLS):
                    stages[stage].end(signal.SIGKILL, within_seconds=5)
                    stages[stage].start()
            for source in ALL_SOURCES:
                it.await_no_lag(90, (source,))
            rows.append(it.rows())

    live, again = ({symbol: _exact_of(row) for symbol, row in found.items()} for found in rows)
    assert len(live) > 50
    assert again == live


def _exact_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what depends on the order of additions: which of its rare callers are kept."""
    return {field: value for field, value in row.items() if not field.startswith("callers")}


def _assert_shown(it: Scene) -> None:
    """The command line reads the same rows: the most frequent first, and exit code 1 where none is meant."""
    command = [sys.executable, "-m", "app", "hot-symbols"]
    shown = subprocess.run([*command, "--top", "5", "--json"], env=it.environ, check=True, capture_output=True)
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    ranked = sorted(it.load.truth.items(), key=lambda entry: (-entry[1].hits, entry[0]))
    assert [(row["symbol_id"], row["hits"]) for row in rows] == [(name, one.hits) for name, one in ranked[:5]]
    missing = subprocess.run(
        [*command, "--symbol", "no_such_function"], env=it.environ, check=False, capture_output=True
    )
    assert missing.returncode == 1

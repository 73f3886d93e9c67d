"""Counts in a table stay exact whatever happens to the worker, its state folder and its changelog."""

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.embedded.broker import EmbeddedBroker
from app.kafka.group_reader import GroupReader
from app.processes.process_end import ExitCode
from app.settings import Settings
from app.streaming.table import POSITION_KEY, SOURCE_KEY
from schemas import topics
from schemas.topics import Stage
from tests.support.counting_worker import ROW
from tests.support.delivery_run import PARTITIONS, Worker, worker_environ
from tests.support.failing_disk import KILL, Fault, failing_disk
from tests.support.new_topics import make_topics

pytestmark = pytest.mark.integration

CHANGELOG = topics.changelog(Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE)

FILLED_SECONDS = 240


class _Scene:
    """Topics, workers, a load of known counts, and the counts that the changelog holds."""

    def __init__(self, broker: EmbeddedBroker, prefix: str, folder: Path, *, seed: int = 7) -> None:
        self.broker, self.prefix, self.folder = broker, prefix, folder
        self.admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        self.make_topic(topics.CALLS)
        self.make_topic(CHANGELOG)
        self.truth: Counter[tuple[int, bytes]] = Counter()
        self.chance = random.Random(seed)
        self.workers: list[Worker] = []
        self._producer = Producer(
            {"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True, "linger.ms": 10}
        )

    def make_topic(self, name: str) -> None:
        config = {"cleanup.policy": "compact"} if name == CHANGELOG else {}
        new = NewTopic(self.prefix + name, PARTITIONS, 1, config=config)
        make_topics(self.admin, [new])

    def add_worker(
        self, *, index: int | None = None, max_file_bytes: int = 0, disk: Mapping[str, str] | None = None
    ) -> Worker:
        """Start a worker with the next index, or in the place of one that has ended.

        With `max_file_bytes` no file of its own grows larger, and what would make one larger fails, as on a full disk.
        `disk` has variables for the library of a failing disk.
        """
        index = len(self.workers) if index is None else index
        environ = worker_environ(self.broker.bootstrap_servers, self.prefix, self.folder)
        environ |= {"MAX_FILE_BYTES": str(max_file_bytes), **(disk or {})}
        worker = Worker(("tests.support.counting_worker", str(index)), environ, self.folder / f"worker-{index}.log")
        worker.start()
        self.workers.append(worker)
        return worker

    @staticmethod
    def await_end(worker: Worker, *, within_seconds: float = 40) -> None:
        """Wait until a worker has ended by itself, at most for that long."""
        deadline = time.monotonic() + within_seconds
        while worker.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.1)

    def send(self, count: int, *, rate: int = 6_000) -> None:
        """Send records with skewed keys, each key in one partition."""
        began = time.monotonic()
        for number in range(count):
            symbol = int(self.chance.paretovariate(0.6)) % 3_000
            partition, key = symbol % PARTITIONS, b"symbol-%d" % symbol
            self.truth[partition, key] += 1
            self._producer.produce(self.prefix + topics.CALLS, b"", key, partition)
            if number % 500 == 0:
                self._producer.poll(0)
                time.sleep(max(0.0, number / rate - (time.monotonic() - began)))
        self._producer.flush()

    def await_no_lag(self, seconds: float) -> None:
        """Wait until the group has committed all that was sent."""
        deadline = time.monotonic() + seconds
        sent = Counter[int]()
        for (partition, _), count in self.truth.items():
            sent[partition] += count
        settings = Settings(kafka_bootstrap_servers=self.broker.bootstrap_servers, topic_prefix=self.prefix)
        with GroupReader(settings) as groups:
            while time.monotonic() < deadline:
                done = groups.committed(Stage.HOT_SYMBOLS.group, topics.CALLS)
                if all(partition in done and done[partition][0] >= count for partition, count in sent.items()):
                    return
                time.sleep(0.3)
        raise AssertionError("\n".join(worker.log_tail() for worker in self.workers))

    def counted(self) -> Counter[tuple[int, bytes]]:
        """Counts by partition and key, as a recovery from the changelog would find them."""
        name = self.prefix + CHANGELOG
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap_servers, "group.id": "any"})
        starts = [TopicPartition(name, number, 0) for number in range(PARTITIONS)]
        left = {number: consumer.get_watermark_offsets(tp)[1] for number, tp in enumerate(starts)}
        consumer.assign(starts)
        rows: Counter[tuple[int, bytes]] = Counter()
        while any(left.values()):
            for message in consumer.consume(5_000, 5.0):
                partition, key, value = message.partition(), message.key(), message.value()
                assert partition is not None
                assert isinstance(key, bytes)
                assert isinstance(value, bytes)
                if key not in {POSITION_KEY, SOURCE_KEY}:
                    rows[partition, key] = ROW.unpack(value)[0]
                if (message.offset() or 0) + 1 >= left[partition]:
                    left[partition] = 0
        consumer.close()
        return rows

    def await_state(self, *indexes: int) -> None:
        """Wait until workers with these indexes have state on disk."""
        self._await(lambda: all(self.state_folder(index).exists() for index in indexes))

    def await_serving(self, worker: Worker) -> None:
        """Wait until a worker serves its metrics, and so ends cleanly when it gets a SIGTERM."""
        self._await(lambda: worker.serves)

    def _await(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, "\n".join(worker.log_tail() for worker in self.workers)
            time.sleep(0.1)

    def state_folder(self, index: int) -> Path:
        return self.folder / "data" / (self.prefix + Stage.HOT_SYMBOLS.group) / f"worker-{index}"

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()


@pytest.mark.proof
def test_counts_are_exact_after_kills_and_a_lost_state_folder(
    embedded: EmbeddedBroker,
    topic_prefix: str,
    tmp_path: Path,
    *,
    seed: int,
    size: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Four SIGKILLs, a SIGTERM, a state folder deleted, a worker joining and one leaving."""
    scene = _Scene(embedded, topic_prefix, tmp_path, seed=seed)
    try:
        first, second = scene.add_worker(), scene.add_worker()
        scene.send(20_000 * size)
        scene.await_state(0, 1)
        for number, victim in enumerate([first, second, first, second]):
            victim.end(signal.SIGKILL, within_seconds=5)
            if number == 2:
                shutil.rmtree(scene.state_folder(0))
            scene.send(9_000 * size)
            victim.start()
            scene.send(9_000 * size)
        scene.add_worker()
        scene.send(18_000 * size)
        scene.await_serving(second)
        assert second.end(signal.SIGTERM, within_seconds=10) == 0, second.log_tail()
        scene.send(10_000 * size)
        scene.await_no_lag(40)
        record_property("records", scene.truth.total())
        counted = scene.counted()
        wrong = {key for key in scene.truth | counted if scene.truth[key] != counted[key]}
        assert not wrong, {key: (scene.truth[key], counted[key]) for key in wrong}
    finally:
        scene.close()


def test_a_deleted_changelog_is_told_and_counts_are_not_silently_short(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The worker ends with a message that says what was lost and how to go on, and so does its next start."""
    scene = _Scene(embedded, topic_prefix, tmp_path)
    try:
        worker = scene.add_worker()
        scene.send(5_000)
        scene.await_no_lag(40)
        worker.end(signal.SIGTERM, within_seconds=10)
        scene.admin.delete_topics([topic_prefix + CHANGELOG])[topic_prefix + CHANGELOG].result()
        time.sleep(1)
        scene.make_topic(CHANGELOG)
        worker.start()
        scene.await_end(worker)
        assert worker.exit_code == ExitCode.WRONG_STATE, worker.log_tail()
        assert "changelog" in worker.log_tail()
        assert "reset the group's offsets" in worker.log_tail()
    finally:
        scene.close()


@pytest.mark.parametrize("stopped", [True, False], ids=["while stopped", "while running"])
def test_a_source_made_anew_is_told_and_its_records_are_not_taken_for_repetitions(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path, *, stopped: bool
) -> None:
    """Kafka forgets a group's offsets with the topic; the table knows which topic its rows follow from."""
    scene = _Scene(embedded, topic_prefix, tmp_path)
    try:
        worker = scene.add_worker()
        scene.send(5_000)
        scene.await_no_lag(40)
        if stopped:
            worker.end(signal.SIGTERM, within_seconds=10)
        scene.admin.delete_topics([topic_prefix + topics.CALLS])[topic_prefix + topics.CALLS].result()
        time.sleep(1)
        scene.make_topic(topics.CALLS)
        scene.send(500)
        if not stopped:
            scene.await_end(worker)
            assert worker.exit_code == ExitCode.WRONG_STATE, worker.log_tail()
            assert "was deleted and created again while the stage ran" in worker.log_tail()
            time.sleep(12)  # until then the group takes a worker of its name for the former one, with its partitions
        worker.start()
        scene.await_end(worker)
        assert worker.exit_code == ExitCode.WRONG_STATE, worker.log_tail()
        assert "would take new records for repetitions" in worker.log_tail()
    finally:
        scene.close()


def test_a_state_folder_that_takes_no_more_stops_the_worker_and_costs_no_count(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """It ends, saying which folder cannot be written; with room again it goes on, and counts are exact.

    Files are limited in size here, which needs no rights and fails writes as a quota does.
    """
    scene = _Scene(embedded, topic_prefix, tmp_path)
    try:
        worker = scene.add_worker(max_file_bytes=24 << 10)
        _fill(scene, worker)
        scene.add_worker(index=0)
        scene.await_no_lag(60)
        assert scene.counted() == scene.truth
    finally:
        scene.close()


def test_a_full_disk_stops_the_worker_and_costs_no_count(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The same on a file system of its own that is really full, and then grows."""
    scene = _Scene(embedded, topic_prefix, tmp_path)
    disk = tmp_path / "data"
    disk.mkdir()
    if not _mounted("-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)):
        pytest.skip("this user may not mount a file system")
    try:
        worker = scene.add_worker()
        _fill(scene, worker)
        assert _mounted("-o", "remount,size=256m", str(disk))
        worker.start()
        scene.await_no_lag(60)
        assert scene.counted() == scene.truth
    finally:
        scene.close()
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.proof
def test_a_disk_that_fails_calls_ends_the_worker_by_a_code_and_costs_no_count(
    embedded: EmbeddedBroker,
    topic_prefix: str,
    tmp_path: Path,
    *,
    seed: int,
    size: int,
    record_property: Callable[[str, object], None],
) -> None:
    """A worker whose disk refuses, halves or kills at any call ends by a documented code; counts are exact at the end.

    Three workers one after the other in `make test`, thirty in `make prove`.
    """
    library = failing_disk()
    if library is None:
        pytest.skip("there is no C compiler for the library that fails calls")
    scene = _Scene(embedded, topic_prefix, tmp_path, seed=seed)
    chance = random.Random(seed)
    ends: Counter[str] = Counter()
    try:
        for _ in range(3 * size):
            fault = Fault.any(chance, 120)
            worker = scene.add_worker(index=0, disk=fault.environ(library, scene.state_folder(0)))
            scene.send(6_000)
            scene.await_end(worker, within_seconds=8)
            code = worker.exit_code
            ends[str(code)] += 1
            allowed = {None, ExitCode.STATE_UNUSABLE, ExitCode.STATE_DAMAGED}
            assert code in allowed | ({-signal.SIGKILL} if fault.error == KILL else set()), worker.log_tail()
            worker.kill()
        scene.add_worker(index=0)
        scene.await_no_lag(60)
        for end, count in ends.items():
            record_property(f"ended with {end}", count)
        assert scene.counted() == scene.truth
    finally:
        scene.close()


def _mounted(*arguments: str) -> bool:
    """Whether mount did it."""
    try:
        return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _fill(scene: _Scene, worker: Worker) -> None:
    """Send until there is no room for what follows, which ends the worker. A slow one writes less in a second."""
    deadline = time.monotonic() + FILLED_SECONDS
    while worker.exit_code is None and time.monotonic() < deadline:
        scene.send(5_000)
    assert worker.exit_code == ExitCode.STATE_UNUSABLE, worker.log_tail()
    assert f"state folder {scene.state_folder(0)}" in worker.log_tail()


def test_damaged_state_is_rebuilt_and_counts_stay_exact(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Files that RocksDB cannot open are replaced from the changelog."""
    scene = _Scene(embedded, topic_prefix, tmp_path)
    try:
        worker = scene.add_worker()
        scene.send(10_000)
        scene.await_no_lag(40)
        worker.end(signal.SIGKILL, within_seconds=5)
        for manifest in scene.state_folder(0).rglob("MANIFEST-*"):
            manifest.write_bytes(b"garbage")
        worker.start()
        scene.send(5_000)
        scene.await_no_lag(40)
        assert "removing local state, to rebuild it" in worker.log_tail()
        assert scene.counted() == scene.truth
    finally:
        scene.close()

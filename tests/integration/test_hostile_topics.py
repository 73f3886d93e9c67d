"""What others may write on our topics ends no worker, costs no other record, and is counted and said."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from confluent_kafka import Producer

from app.embedded.broker import EmbeddedBroker
from app.kafka.refused import RecordRefusal, RefusedRecords
from app.kafka.topic_follower import WholeTopics
from app.settings import from_env
from schemas import avro_wire, records, topics
from schemas.coverage import GapCause
from tests.support.calls import frame
from tests.support.watch_scene import DAY, SECOND, WatchScene, watch_scene

pytestmark = pytest.mark.integration

FINE = frame("/usr/lib/libfine.so", "fine")


@pytest.fixture
def scene(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> Iterator[WatchScene]:
    """Topics, schemas, and no worker yet."""
    with watch_scene(embedded, topic_prefix, tmp_path) as found:
        yield found


class Attacker:
    """Somebody who may write topics, and register schemas under subjects of their own."""

    def __init__(self, scene: WatchScene) -> None:
        self._scene = scene
        self._producer = Producer(
            {
                "bootstrap.servers": scene.environ["CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS"],
                "message.max.bytes": 300_000_000,
                "queue.buffering.max.kbytes": 1_000_000,
                "log_level": 0,
            }
        )

    def send(self, topic: str, *values: bytes, key: bytes | None = b"k", partition: int = 0) -> None:
        """Write records, uncompressed."""
        for value in values:
            self._producer.produce(self._scene.prefix + topic, value, key, partition)
        assert self._producer.flush(60) == 0

    def register(self, record: str, evil: Any, subject: str) -> int:
        """Register our schema of a record with one more field in front; returns the id."""
        ours = json.loads(records.schema_text(record))
        schema = ours | {"fields": [{"name": "zz_evil", "type": evil}, *ours["fields"]]}
        answer = urllib3.request(
            "POST",
            f"{self._scene.environ['CALLSTREAM_SCHEMA_REGISTRY_URL']}/subjects/{self._scene.prefix}{subject}/versions",
            json={"schema": json.dumps(schema)},
        )
        assert answer.status == 200, answer.data
        return int(answer.json()["id"])

    def send_bomb(self, topic: str, size: int, partition: int) -> None:
        """Write a record of zeros that is small when compressed."""
        producer = Producer(
            {
                "bootstrap.servers": self._scene.environ["CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS"],
                "message.max.bytes": 300_000_000,
                "batch.size": 300_000_000,
                "queue.buffering.max.kbytes": 1_000_000,
                "compression.type": "zstd",
                "log_level": 0,
            }
        )
        failed: list[object] = []
        producer.produce(
            self._scene.prefix + topic,
            bytes(size),
            b"n1",
            partition,
            on_delivery=lambda error, _message: failed.append(error) if error else None,
        )
        assert producer.flush(60) == 0
        assert not failed


def refused(scene: WatchScene, topic: str, reason: str) -> int:
    """What the only worker counts as refused."""
    name = f'runtime_records_refused_total{{reason="{reason}",topic="{topic}"}} '
    page = scene.workers[0].get("/metrics")[1]
    return int(float(next((line.removeprefix(name) for line in page.splitlines() if line.startswith(name)), "0")))


def hits(answer: dict[str, Any]) -> int:
    """Hits of an answer."""
    return int(answer["hits"])


def _gaps(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(gap["node"], gap["cause"]) for gap in answer["gaps"]}


def test_the_watch_list_and_coverage_take_anything(scene: WatchScene) -> None:
    """Long texts, schemas of others, counts that cannot be true, and unknown ids: one worker lives through all."""
    evil = Attacker(scene)
    for record, topic in ((records.WATCH, topics.WATCH), (records.COVERAGE_GAP, topics.COVERAGE)):
        name = records.parsed_schema(record)["name"]
        recursive = evil.register(record, ["null", name], f"elsewhere-{topic}-value")
        nulls = evil.register(record, {"type": "array", "items": "null"}, f"nulls-{topic}-value")
        evil.send(topic, avro_wire.schema_header(recursive) + b"\x02" * 60_000, key=b"recursive")
        evil.send(topic, avro_wire.schema_header(recursive) + b"\x02" * 400_000, key=b"large")
        evil.send(topic, avro_wire.schema_header(nulls) + avro_wire.long(1 << 34) + b"\0", key=b"nulls")
    evil.send(topics.COVERAGE, b"nothing at all", key=b"\xff")  # the broker takes none without a key where it compacts
    scene.watch_as_a_service("f" * 5_000, ago_ns=DAY)
    evil.send(topics.COVERAGE, *(avro_wire.schema_header(900_000 + n) + b"x" for n in range(20_000)), partition=1)

    scene.add_worker()
    scene.watch_as_a_service("fine", ago_ns=30 * DAY)
    scene.cover(31 * DAY, 10 * SECOND)
    for partition in range(4):
        scene.call(FINE, partition=partition)
    named = {("", "Unreadable"), *((key, "Unknown") for key in ("k", "large", "nulls", "recursive"))}
    scene.await_answer("!fine", lambda answer: hits(answer) == 4 and _gaps(answer) == named)
    assert refused(scene, topics.COVERAGE, "unknown_schema") == 20_002
    assert refused(scene, topics.COVERAGE, "too_large") == 1
    assert refused(scene, topics.WATCH, "unknown_schema") == 2
    assert refused(scene, topics.WATCH, "text_too_long") == 1
    assert refused(scene, topics.COVERAGE, "not_framed") == 1
    assert scene.workers[0].log_tail().count("a record cannot be used and is passed over") < 20
    assert "a record cannot be used and is passed over" in scene.workers[0].log_tail()
    scene.cover(60 * SECOND, 50 * SECOND, GapCause.OVERFLOW)
    scene.await_answer("!fine", lambda answer: ("n1", "Overflow") in _gaps(answer))


def test_batches_that_inflate_to_anything_are_refused_by_their_offsets(scene: WatchScene) -> None:
    """Before and behind them, and in other partitions, all calls are counted; the worker stays small."""
    evil = Attacker(scene)
    scene.add_worker()
    scene.watch_as_a_service("fine", ago_ns=DAY)
    for partition in range(4):
        scene.call(FINE, partition=partition)
    evil.send_bomb(topics.CALLS, 200_000_000, 1)
    evil.send_bomb(topics.COVERAGE, 200_000_000, 2)
    for partition in range(4):
        scene.call(FINE, partition=partition)
    scene.await_answer("!fine", lambda answer: hits(answer) == 8)
    scene.cover(2 * DAY, 10 * SECOND)
    scene.await_answer("!fine", lambda answer: bool(answer["gaps"]))
    assert refused(scene, topics.COVERAGE, "batch_too_large") == 1
    page = scene.workers[0].get("/metrics")[1]
    assert 'runtime_dead_letters_total{reason="batch_too_large",stage="hot-symbols"} 1.0' in page
    assert "too large when inflated" in scene.workers[0].log_tail()
    assert scene.workers[0].peak_bytes < 400 << 20


def test_a_reader_of_whole_topics_goes_on_behind_a_batch_that_is_too_large(scene: WatchScene) -> None:
    """Each such offset is refused, once."""
    evil = Attacker(scene)
    for partition in range(4):
        evil.send(topics.WATCH, b"before", key=b"a", partition=partition)
        evil.send_bomb(topics.WATCH, 200_000_000, partition)
    for partition in range(1, 4):
        evil.send(topics.WATCH, b"behind", key=b"b", partition=partition)
    refusals: list[RecordRefusal] = []
    topic = scene.prefix + topics.WATCH
    reader = WholeTopics(from_env(scene.environ), {topic: 4}, RefusedRecords(refusals.append))
    reader.begin()
    found: list[tuple[int, int]] = []
    deadline = time.monotonic() + 40
    while not reader.is_read and time.monotonic() < deadline:
        found += [(record.partition, record.offset) for record in reader.next(0.5)]
    reader.close()
    assert reader.is_read, (found, refusals, reader.positions)
    assert sorted(found) == [(0, 0), *((number, offset) for number in (1, 2, 3) for offset in (0, 2))]
    assert sorted((one.partition, one.offset) for one in refusals) == [(number, 1) for number in range(4)]

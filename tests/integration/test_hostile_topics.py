"""What others may write on our topics ends no worker, costs no other record, and is counted and said."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from confluent_kafka import Producer

from app.embedded.broker import EmbeddedBroker
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


def refused(scene: WatchScene, topic: str, reason: str) -> int:
    """What the only worker counts as refused."""
    name = f'runtime_records_refused_total{{reason="{reason}",topic="{topic}"}} '
    page = scene.workers[0].get("/metrics")[1]
    return int(float(next((line.removeprefix(name) for line in page.splitlines() if line.startswith(name)), "0")))


def hits(answer: dict[str, Any]) -> int:
    """Hits of an answer."""
    return int(answer["hits"])


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
    evil.send(topics.COVERAGE, b"nothing at all", key=None)  # the broker takes none without a key where it compacts
    scene.watch_as_a_service("f" * 5_000, ago_ns=DAY)
    evil.send(topics.COVERAGE, *(avro_wire.schema_header(900_000 + n) + b"x" for n in range(20_000)), partition=1)

    scene.add_worker()
    scene.watch_as_a_service("fine", ago_ns=30 * DAY)
    scene.cover(31 * DAY, 10 * SECOND)
    for partition in range(4):
        scene.call(FINE, partition=partition)
    answer = scene.await_answer("!fine", lambda answer: hits(answer) == 4 and answer["gaps"])
    assert {(gap["node"], gap["cause"]) for gap in answer["gaps"]} == {("", "Unreadable")}
    assert refused(scene, topics.COVERAGE, "unknown_schema") == 20_002
    assert refused(scene, topics.COVERAGE, "too_large") == 1
    assert refused(scene, topics.WATCH, "unknown_schema") == 2
    assert refused(scene, topics.WATCH, "text_too_long") == 1
    assert refused(scene, topics.COVERAGE, "not_framed") == 1
    assert scene.workers[0].log_tail().count("a record cannot be used and is passed over") < 20
    assert "a record cannot be used and is passed over" in scene.workers[0].log_tail()
    scene.cover(60 * SECOND, 50 * SECOND, GapCause.OVERFLOW)
    scene.await_answer("!fine", lambda answer: len(answer["gaps"]) == 2)

"""Rows expire on a real broker: as tombstones, never one that is watched; a symbol that comes back begins at zero."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.embedded.broker import EmbeddedBroker
from app.kafka.topic_reader import TopicReader
from app.settings import from_env
from schemas import topics
from tests.support.calls import frame
from tests.support.delivery_run import PARTITIONS
from tests.support.watch_scene import DAY, WatchScene, watch_scene

pytestmark = pytest.mark.integration

OLD, WATCHED = frame("/usr/bin/b", "old"), frame("/usr/bin/a", "watched")  # rows of a watched path stay
FRESH = [frame("/usr/bin/a", f"fresh_{number}") for number in range(30)]


def _rows(it: WatchScene) -> dict[str, dict[str, Any]]:
    shown = it.hot_symbols("--top", "100", "--json").stdout.splitlines()
    return {row["symbol"]: row for row in map(json.loads, shown)}


def _tombstones(it: WatchScene, topic: str) -> set[bytes]:
    with TopicReader(from_env(it.environ)) as reader:
        return {record.key or b"" for record in reader.records(it.prefix + topic) if record.value is None}


def _partitions_without(it: WatchScene, topic: str, key: bytes) -> set[int]:
    """Partitions in which the newest record of a key removes it."""
    with TopicReader(from_env(it.environ)) as reader:
        newest = {one.partition: one.value for one in reader.records(it.prefix + topic) if one.key == key}
    return {number for number, value in newest.items() if value is None}


def test_old_rows_become_tombstones_and_watched_ones_stay(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Ninety days after the last hit, counted from the newest; what is counted afterwards is exact."""
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.environ["HOT_SWEEP_SECONDS"] = "1.5"
        it.watch("add", "watched", "--module", "/usr/bin/a")
        worker = it.add_worker()
        for partition in range(PARTITIONS):
            it.call(OLD, WATCHED, partition=partition, ago_ns=200 * DAY)
            it.call(*FRESH, partition=partition, ago_ns=2 * DAY)
        deadline = time.monotonic() + 60
        while b"/usr/bin/b!old" not in _tombstones(it, topics.HOT_SYMBOLS):
            assert time.monotonic() < deadline, worker.log_tail()
            time.sleep(0.5)
        rows = _rows(it)
        assert rows.keys() == {"watched"} | {f"fresh_{number}" for number in range(30)}
        assert {row["hits"] for row in rows.values()} == {PARTITIONS}
        assert _tombstones(it, topics.HOT_PARTIALS) == {
            b"/usr/bin/b!old\x00%d" % number for number in range(PARTITIONS)
        }
        assert b"/usr/bin/b!old" in _tombstones(
            it, topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE)
        )
        assert worker.metric("hot_symbols_expired_total") == 1
        counts = topics.changelog(topics.Stage.HOT_SYMBOLS, topics.PARTIAL_COUNTS_TABLE)
        while _partitions_without(it, counts, b"/usr/bin/b!old") != set(range(PARTITIONS)):
            assert time.monotonic() < deadline, worker.log_tail()  # a row can go in a sweep that left a partial
            time.sleep(0.5)

        it.call(OLD, WATCHED, partition=1)
        while _rows(it).get("watched", {}).get("hits") != PARTITIONS + 1 or "old" not in _rows(it):
            assert time.monotonic() < deadline, worker.log_tail()
            time.sleep(0.5)
        again = _rows(it)["old"]
        assert (again["hits"], again["first_seen_ns"], again["last_seen_ns"]) == (1, it.now_ns, it.now_ns)

"""Which calls of events that were refused before are counted by readers of `runtime.calls`."""

import random
from collections.abc import Iterator
from typing import Any, cast

import pytest

from app.dead_letters import settling
from app.dead_letters.settling import CLOCKS_DIFFER_MS, _CallsOf, _decided, rising
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader


def test_a_call_behind_one_with_a_higher_raw_offset_is_counted_by_nobody() -> None:
    """A pass that was not committed published 3 and 5; the next one, after a repair, publishes 3, 4, 5 and 6."""
    first, highest = rising([(0, 3), (0, 5)], -1)
    second, highest = rising([(0, 3), (0, 4), (0, 5), (0, 6)], highest)
    assert first == {(0, 3), (0, 5)}
    assert second == {(0, 6)}
    assert highest == 6


class _Calls:
    """A partition of calls, given as raw offset and time; counts the records that were read."""

    def __init__(self, calls: list[tuple[int, int]]) -> None:
        self.calls = calls
        self.read_records = 0

    def offset_at(self, _topic: str, _partition: int, timestamp_ms: int) -> int:
        found = (at for at, (_, time_ms) in enumerate(self.calls) if time_ms >= timestamp_ms)
        return next(found, len(self.calls))

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[list[Recorded]]:
        for begin in range(first, last + 1, 7):
            run = self.calls[begin : min(begin + 7, last + 1)]
            self.read_records += len(run)
            yield [
                Recorded(topic, partition, begin + at, time_ms, None, str(raw).encode())
                for at, (raw, time_ms) in enumerate(run)
            ]


def _decide(monkeypatch: pytest.MonkeyPatch, calls: _Calls, wanted: dict[int, int]) -> set[int]:
    monkeypatch.setattr(settling, "raw_position", lambda value, _schemas: (0, int(value)))
    of = _CallsOf(cast("TopicReader", calls), "calls", OffsetRange(0, 0, len(calls.calls)))
    asked = {(0, raw): time_ms for raw, time_ms in wanted.items()}
    decided = list(_decided(of, cast("Any", None), asked))
    assert sum(count for count, _ in decided) == len(wanted)
    return {raw for _, found in decided for _, raw in found}


def test_reading_here_and_there_finds_what_reading_everything_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over topics with records left out, passes that were repeated after kills, and clocks that differ."""
    monkeypatch.setattr(settling, "MAX_REPEATED", 40)
    for seed in range(200):
        choice = random.Random(seed)
        times = [number * 3_000 + choice.randrange(CLOCKS_DIFFER_MS // 2) for number in range(400)]
        refused = set(choice.sample(range(400), choice.choice([1, 5, 60])))
        calls, at = list[int](), 0
        while at < 400:
            end = min(400, at + choice.randrange(1, 60))
            calls += [raw for raw in range(at, end) if raw not in refused or choice.random() < 0.3]
            at = end - choice.randrange(0, min(20, end)) if choice.random() < 0.4 and end < 400 else end
        everything, _ = rising([(0, raw) for raw in calls], -1)
        topic = _Calls([(raw, times[raw]) for raw in calls])
        wanted = {raw: times[raw] for raw in refused}
        assert _decide(monkeypatch, topic, wanted) == {raw for _, raw in everything} & refused, seed


def test_of_a_long_topic_only_what_is_around_the_dead_letters_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of a hundred thousand records; the second one was published."""
    monkeypatch.setattr(settling, "MAX_REPEATED", 100)
    topic = _Calls([(raw, raw * 100) for raw in range(100_000) if raw != 30_000])
    assert _decide(monkeypatch, topic, {30_000: 3_000_000, 80_000: 8_000_000}) == {80_000}
    assert topic.read_records < 1_000

"""Which records a version leaves out: copies of those that it has, and no others."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from app.dead_letters.sent_again import SentAgain
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.reprocess.once_only import OnceOnly
from app.streaming.batch import RecordBatch
from schemas import topics
from schemas.canonical_pb2 import CanonicalEvent


class _Notes:
    """Raw record 1 was refused by canonicalize and sent again as 8, and 2 by privacy as 9."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, _partition: int) -> None:
        self.reads += 1

    def has_copies(self, _partition: int) -> bool:
        return True

    def meet(self, _partition: int, records: Any) -> None:
        assert list(records)

    def originals(self, _partition: int, offset: int) -> list[int]:
        return {8: [1], 9: [2]}.get(offset, [])

    def refused_by(self, _partition: int, offset: int) -> set[str]:
        return {1: {"canonicalize"}, 2: {"privacy"}}[offset]


class _Log:
    """Partition 0 of a version's source."""

    def __init__(self, records: Sequence[Recorded], first: int = 0) -> None:
        self.records, self.first = list(records), first

    def ends(self, _topic: str, partition: int) -> OffsetRange:
        return OffsetRange(partition, self.first, len(self.records))

    def read(self, _topic: str, _partition: int, first: int, last: int) -> Iterator[list[Recorded]]:
        yield self.records[first : last + 1]


def _canonical(*raw_offsets: int) -> list[Recorded]:
    values = [CanonicalEvent(event_id=bytes(16), raw_offset=one).SerializeToString() for one in raw_offsets]
    return [Recorded(topics.CANONICAL, 0, at, 0, None, value) for at, value in enumerate(values)]


def _omitted(topic: str, log: _Log, start: int, records: Sequence[Recorded] = ()) -> set[int]:
    omission = OnceOnly(topic, {0: start}, cast("TopicReader", log), cast("SentAgain", _Notes()))
    batch = RecordBatch(topic, 0, records or log.records[start:], cast("Any", None))
    return set(asyncio.run(omission(batch)))


@pytest.mark.parametrize(("start", "omitted"), [(0, {8, 9}), (1, {8, 9}), (2, {9}), (3, set())])
def test_a_version_of_the_raw_topic_leaves_out_copies_of_what_lies_behind_its_start(
    start: int, omitted: set[int]
) -> None:
    """A version that began behind the refused record has the copy."""
    log = _Log([Recorded(topics.RAW, 0, at, 0, None, b"") for at in range(10)])
    assert _omitted(topics.RAW, log, start) == omitted


@pytest.mark.parametrize(("start", "omitted"), [(0, {5}), (1, {5}), (2, set())])
def test_a_version_of_the_canonical_topic_has_copies_of_what_never_came_there(start: int, omitted: set[int]) -> None:
    """What canonicalize refused is there as a copy only; what privacy refused is there twice."""
    log = _Log(_canonical(0, 2, 3, 7, 8, 9))
    assert _omitted(topics.CANONICAL, log, start) == omitted


def test_a_start_that_has_expired_since_was_before_everything() -> None:
    """The version has read the refused record, though nobody can see any more where it began."""
    log = _Log(_canonical(0, 2, 3, 7, 8, 9), first=4)
    assert _omitted(topics.CANONICAL, log, 1, log.records[4:]) == {5}


def test_notes_are_read_again_only_near_the_end() -> None:
    """Those of copies far before it are known."""
    log, notes = _Log([Recorded(topics.RAW, 0, at, 0, None, b"") for at in range(10)]), _Notes()
    omission = OnceOnly(topics.RAW, {0: 0}, cast("TopicReader", log), cast("SentAgain", notes))
    for begin in (0, 3, 6):
        asyncio.run(omission(RecordBatch(topics.RAW, 0, log.records[begin : begin + 3], cast("Any", None))))
    assert notes.reads == 1
    log.records.append(Recorded(topics.RAW, 0, 10, 0, None, b""))
    asyncio.run(omission(RecordBatch(topics.RAW, 0, log.records[10:], cast("Any", None))))
    assert notes.reads == 2

"""Records that no stage read are a gap of all nodes, and it is stored before the commit that passes them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app.processes.process_end import ExitCode
from app.streaming.delivery import DeliveryFailedError, Parcel
from app.streaming.skipped import DELETED, LATENESS_NS, MOVED, SkippedGaps, SkippedRange, gap_of
from schemas import coverage, topics
from schemas.coverage import SkippedOffsets
from tests.support.fake_kafka import Ended, fail

MS = 1_000_000
RAW = SkippedRange("p." + topics.RAW, 2, 10, 30, 500_000, 900_000, DELETED)


class _Broker:
    """Keeps what it is given, or refuses."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.refuses = False

    async def deliver(self, parcels: Sequence[Parcel]) -> dict[tuple[str, int], int]:
        if self.refuses:
            raise DeliveryFailedError("no")
        await asyncio.sleep(0)
        self.parcels += parcels
        return {}


def _gaps(broker: Any, schema_id: int | None = 4, count: Callable[[str, int], None] = lambda *_: None) -> SkippedGaps:
    return SkippedGaps(broker, prefix="p.", partitions=4, schema_id=schema_id, count=count, fail=fail)


def test_a_gap_reaches_from_the_last_record_that_was_read_to_the_first_that_is_left() -> None:
    """And begins earlier by as much as events may be late."""
    gap = gap_of(RAW, topics.RAW)
    assert (gap.from_ns, gap.to_ns) == (500_000 * MS - LATENESS_NS, 900_000 * MS)
    assert (gap.node, gap.skipped) == ("", SkippedOffsets(topics.RAW, 2, 10, 30))


def test_a_gap_whose_beginning_nobody_knows_begins_with_time() -> None:
    """As of a group that somebody moved: what it had read before is not known."""
    moved = SkippedRange("p." + topics.RAW, 2, 0, 30, 0, 900_000, MOVED)
    assert (gap_of(moved, topics.RAW).from_ns, gap_of(moved, topics.RAW).to_ns) == (0, 900_000 * MS)


def test_a_gap_is_published_once_before_the_commit_that_passes_its_records() -> None:
    """Not before, and not again; a commit of another partition does not concern it."""

    async def scenario() -> None:
        broker, counted = _Broker(), list[tuple[str, int]]()
        gaps = _gaps(broker, count=lambda topic, records: counted.append((topic, records)))
        gaps.note(RAW)
        await gaps.before_commit({(RAW.topic, 2): 29, (RAW.topic, 1): 100})
        assert broker.parcels == []
        for _ in range(2):
            await gaps.before_commit({(RAW.topic, 2): 30})
        [(topic, partition, [record])] = broker.parcels
        assert (topic, partition, counted) == ("p." + topics.COVERAGE, 1, [(topics.RAW, 20)])
        assert record.key is not None
        assert record.value is not None
        assert coverage.decode(record.value) == gap_of(RAW, topics.RAW)

    asyncio.run(scenario())


def test_a_gap_that_cannot_be_stored_ends_the_process_before_the_commit() -> None:
    """The next process finds the same records missing."""

    async def scenario() -> None:
        broker = _Broker()
        broker.refuses = True
        gaps = _gaps(broker)
        gaps.note(RAW)
        with pytest.raises(Ended) as ended:
            await gaps.before_commit({(RAW.topic, 2): 30})
        assert ended.value.code is ExitCode.DELIVERY_FAILED

    asyncio.run(scenario())


def test_a_version_says_nothing_on_the_topic_of_the_live_stages() -> None:
    """Its own books say it: nobody asks a version about absence."""

    async def scenario() -> None:
        broker = _Broker()
        gaps = _gaps(broker, schema_id=None)
        gaps.note(RAW)
        await gaps.before_commit({(RAW.topic, 2): 30})
        assert broker.parcels == []

    asyncio.run(scenario())

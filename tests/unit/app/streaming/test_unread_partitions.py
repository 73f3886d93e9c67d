"""Partitions that were added to a source are a gap of all nodes for as long as nobody reads them."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from app.kafka.records import Partition
from app.kafka.topic_watch import Growth
from app.streaming.skipped import UNREAD, SkippedRange
from app.streaming.unread_partitions import UnreadPartitions


class _Gaps:
    def __init__(self) -> None:
        self.found: list[SkippedRange] = []

    async def publish(self, found: Iterable[SkippedRange]) -> None:
        self.found += found


class _Watch:
    grown: Mapping[str, Growth] = {"raw": Growth(6, since_ms=77), "calls": Growth(5, since_ms=1)}


def _look(ends: Any) -> list[SkippedRange]:
    gaps: Any = _Gaps()
    watch: Any = _Watch()
    asyncio.run(UnreadPartitions(["raw"], watch, gaps, ends, 4).look())
    found: list[SkippedRange] = gaps.found
    return found


def test_each_added_partition_of_a_source_that_holds_records_is_a_gap() -> None:
    """From when the topic was last seen without it; an empty one holds nothing that could be missing."""

    def ends(asked: Iterable[Partition]) -> dict[Partition, int]:
        return {where: 9 if where == ("raw", 5) else 0 for where in asked}

    [gap] = _look(ends)
    assert (gap.topic, gap.partition, gap.first, gap.next, gap.from_ms, gap.why) == ("raw", 5, 0, 9, 77, UNREAD)
    assert gap.to_ms > gap.from_ms


def test_a_broker_that_does_not_answer_is_asked_again_later() -> None:
    """Nothing is published, and nothing ends."""

    def ends(_asked: Iterable[Partition]) -> dict[Partition, int]:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    assert _look(ends) == []

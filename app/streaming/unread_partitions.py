"""Partitions that were added to a source while a stage runs: nobody reads them, and that is a gap of all nodes.

Ingest writes there as soon as its client has seen them. The gap begins when the topic was last seen without them and
grows until the stage ends; a new start refuses topics of different partition counts.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.kafka.log_ends import log_ends
from app.kafka.records import Partition
from app.kafka.topic_watch import TopicWatch
from app.streaming.skipped import UNREAD, SkippedGaps, SkippedRange
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 15.0
"""Between two looks; a heartbeat vouches for a time that is longer ago."""


class UnreadPartitions:
    """Says again and again, while it lasts, that partitions of these sources (full names) are not read."""

    def __init__(
        self,
        sources: Iterable[str],
        watch: TopicWatch,
        gaps: SkippedGaps,
        ends: Callable[[Iterable[Partition]], Mapping[Partition, int]],
        partitions: int,
    ) -> None:
        """`ends` gives the next offset of partitions and may block; `partitions` is how many of each are read."""
        self._sources = tuple(sources)
        self._watch = watch
        self._gaps = gaps
        self._ends = ends
        self._partitions = partitions
        self._said: set[Partition] = set()

    async def run(self) -> None:
        """Look until the process ends."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Publish a gap for each partition that has records and that nobody reads."""
        grown = {name: self._watch.grown[name] for name in self._sources if name in self._watch.grown}
        added = [(name, number) for name, one in grown.items() for number in range(self._partitions, one.partitions)]
        if not added:
            return
        try:
            ends = await asyncio.to_thread(self._ends, added)
        except KafkaException as error:
            log.warning("the ends of partitions that nobody reads are not known: %s", error.args[0].name())
            return
        now_ms = time.time_ns() // NS_PER_MS
        found = [
            SkippedRange(name, number, 0, end, grown[name].since_ms, now_ms, UNREAD)
            for (name, number), end in sorted(ends.items())
            if end
        ]
        for one in found:
            if (one.topic, one.partition) in self._said:
                continue
            self._said.add((one.topic, one.partition))
            facts = {"topic": one.topic, "partition": one.partition, "records": one.next}
            log.warning("a partition was added that nobody reads", extra={"facts": facts})
        await self._gaps.publish(found)


def ends_by(admin: AdminClient) -> Callable[[Iterable[Partition]], Mapping[Partition, int]]:
    """Asks this client for the ends of partitions. What it returns raises KafkaException."""
    return partial(log_ends, admin, patience_seconds=0.0)

"""Records of a topic that a stage never read: what is said about them before their offsets are committed.

Retention, `kafka-delete-records` or a group that somebody moved can take records away before a stage has read them.
Nobody knows what they said, so events of any node may be missing. Such a range is a gap of all nodes on
`runtime.coverage`, stored before the commit that passes it: whoever sees the commit can see the gap.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from agents.contract import OutRecord
from agents.coverage.keys import NO_NODE, node_partition, record_key
from agents.coverage.unreadable import GAP_BEFORE_NS
from app.kafka.records import Partition
from app.processes.process_end import Fail, end_process
from app.streaming.delivery import Delivery, Parcel, delivered_or_ended
from schemas.coverage import CoverageGap, GapCause, SkippedOffsets, encode
from schemas.topics import COVERAGE
from schemas.units import NS_PER_MS, NS_PER_SECOND

log = logging.getLogger(__name__)

LATENESS_NS: Final = 120 * NS_PER_SECOND
"""How much earlier than its receipt an event may have happened: ingest vouches for a time 70 s later, and hosts' clocks
differ."""

COVERAGE_LATENESS_NS: Final = GAP_BEFORE_NS
"""The same of a record of runtime.coverage, which may tell of a time long before it."""

MOVED: Final = "another program moved the group"
DELETED: Final = "deleted before a stage read them"
UNREAD: Final = "in a partition that nobody reads"


@dataclass(frozen=True, slots=True)
class SkippedRange:
    """Offsets `first` to before `next` of a topic's partition, the topic named in full.

    The records were received between `from_ms` (0: nobody knows) and `to_ms`. `why` is `MOVED`, `DELETED` or `UNREAD`.
    """

    topic: str
    partition: int
    first: int
    next: int
    from_ms: int
    to_ms: int
    why: str


def gap_of(skipped: SkippedRange, topic: str) -> CoverageGap:
    """The gap of all nodes that a skipped range is; `topic` is its unprefixed name."""
    lateness_ns = COVERAGE_LATENESS_NS if topic == COVERAGE else LATENESS_NS
    return CoverageGap(
        node="",
        from_ns=max(0, skipped.from_ms * NS_PER_MS - lateness_ns) if skipped.from_ms else 0,
        to_ns=max(skipped.from_ms, skipped.to_ms) * NS_PER_MS,
        cause=GapCause.SKIPPED,
        events_lost=None,
        detail=skipped.why,
        skipped=SkippedOffsets(topic, skipped.partition, skipped.first, skipped.next),
    )


class SkippedGaps:
    """Skipped ranges of one stage process that are not committed yet; bounded by its partitions."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        prefix: str,
        partitions: int,
        schema_id: int | None,
        count: Callable[[str, int], None] = lambda _topic, _records: None,
        fail: Fail = end_process,
    ) -> None:
        """`prefix` is that of all topics, and `partitions` how many of each are read.

        `count` takes the unprefixed topic and the number of offsets of each range.

        Without the `schema_id` of a coverage record nothing is published, as for a version that nobody asks about
        absence.
        """
        self._delivery = delivery
        self._prefix = prefix
        self._partitions = partitions
        self._schema_id = schema_id
        self._count = count
        self._fail = fail
        self._due: dict[Partition, dict[int, SkippedRange]] = {}

    def note(self, skipped: SkippedRange) -> None:
        """Take a range as soon as it is known."""
        topic = skipped.topic.removeprefix(self._prefix)
        self._due.setdefault((skipped.topic, skipped.partition), {})[skipped.first] = skipped
        self._count(topic, skipped.next - skipped.first)
        log.warning(
            "records of %s were not read: %s",
            topic,
            skipped.why,
            extra={"facts": {"partition": skipped.partition, "first": skipped.first, "next": skipped.next}},
        )

    async def before_commit(self, offsets: Mapping[Partition, int]) -> None:
        """Publish the gaps of what is about to be passed; returns when they are stored."""
        due = {
            where: [one for one in self._due.get(where, {}).values() if one.next <= position]
            for where, position in offsets.items()
        }
        await self.publish([one for found in due.values() for one in found])
        for where, found in due.items():
            for one in found:
                del self._due[where][one.first]

    async def publish(self, found: Iterable[SkippedRange]) -> None:
        """Say that these ranges are gaps of all nodes; returns when that is stored."""
        if self._schema_id is None:
            return
        parcels = []
        for one in found:
            gap = gap_of(one, one.topic.removeprefix(self._prefix))
            value = encode(gap, self._schema_id)
            record = OutRecord(record_key(gap), value, time.time_ns() // NS_PER_MS)
            parcels.append(Parcel(self._prefix + COVERAGE, node_partition(NO_NODE, self._partitions), [record]))
        if parcels:
            with delivered_or_ended(self._fail):
                await self._delivery.deliver(parcels)

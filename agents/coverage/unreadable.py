"""What follows from a coverage record that cannot be read: it may have said that events of its node are missing.

So it counts as a gap of the node that its key names, and of all nodes where the key names none.
"""

from typing import Final

from agents.contract import SourceRecord
from agents.coverage.interval import Interval
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId
from schemas.units import NS_PER_MS, NS_PER_SECOND

GAP_BEFORE_NS: Final = 3_600 * NS_PER_SECOND
"""How long before the record was written the loss may have begun. Ingest writes a gap as soon as it knows of it, and
vouches for nothing that it does not see; an hour is far more than its spill folder and its journal hold back."""

DETAIL: Final = "a record of runtime.coverage that cannot be read"

_MAX_NS: Final = (1 << 63) - 1


def unreadable_interval(record: SourceRecord) -> Interval:
    """When the events may be missing that the record might have named."""
    end_ns = min(max(record.timestamp, 0) * NS_PER_MS, _MAX_NS)
    return Interval(end_ns - GAP_BEFORE_NS, end_ns)


def unreadable_gap(node: NodeId, record: SourceRecord) -> CoverageGap:
    """The gap of `node` that stands for the record."""
    interval = unreadable_interval(record)
    return CoverageGap(
        node=node.name,
        cluster=node.cluster,
        from_ns=interval.from_ns,
        to_ns=interval.to_ns,
        cause=GapCause.UNKNOWN,
        detail=DETAIL,
    )

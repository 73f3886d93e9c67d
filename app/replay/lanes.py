"""Which process takes which offsets: a partition, or a part of one, in order.

A lane that does not begin where its partition's range does first takes the loader events before it, for the start
state that its first event sees: a sixth of the work of replaying them. Rules: lanes end where spans end, so what they
give can be joined without a trace. This module refuses to know processes.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.evidence.digests import SPAN_OFFSETS, span_of, span_start
from app.kafka.records import OffsetRange

SMALLEST_LANE: Final = 16 * SPAN_OFFSETS
"""Less is not worth a start state of its own."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Raw offsets `first` to before `next` of the range that begins at `range_first`.

    `number` is its place among its partition's lanes.
    """

    partition: int
    number: int
    first: int
    next: int
    range_first: int

    @property
    def offsets(self) -> int:
        """How many offsets."""
        return self.next - self.first


def plan(ranges: Iterable[OffsetRange], processes: int, *, divide: bool) -> tuple[Lane, ...]:
    """Lanes for that many processes, longest first; without `divide`, a partition is one lane."""
    ranges = tuple(ranges)
    share = -(-sum(one.offsets for one in ranges) // processes)
    lanes = [lane for one in ranges for lane in _lanes(one, max(share, SMALLEST_LANE) if divide else one.offsets)]
    return tuple(sorted(lanes, key=lambda lane: (-lane.offsets, lane.partition, lane.number)))


def _lanes(whole: OffsetRange, largest: int) -> Iterable[Lane]:
    pieces = max(1, -(-whole.offsets // largest)) if largest else 1
    cuts = [whole.first + whole.offsets * number // pieces for number in range(1, pieces)]
    inner = sorted({start for cut in cuts if whole.first < (start := span_start(span_of(cut))) < whole.next})
    bounds = [whole.first, *inner, whole.next]
    for number, (first, following) in enumerate(itertools.pairwise(bounds)):
        yield Lane(whole.partition, number, first, following, whole.first)

"""What is known of one node's coverage: when its events were vouched for, and the gaps in them.

The state depends only on which coverage records went in, not on their order or on how often one came. It is bounded:
only the newest intervals are kept. Where older ones were dropped, nothing is claimed about the time before
`known_from_ns`.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, Stretch, join
from agents.coverage.node_window import NodeWindow, is_gap, judge, vouches
from agents.packing import pack, unpack
from schemas.coverage import CoverageGap

MAX_INTERVALS: Final = 256
"""Of each kind. Heartbeats join into one interval as long as nothing is missing, so these are breaks of 16 bytes."""


_EARLIEST_NS: Final = -(1 << 63)


class GapInterval(NamedTuple):
    """A stretch of time in which events may be missing, and why: the value of a GapCause."""

    from_ns: int
    to_ns: int
    cause: str


class NodeCoverage:
    """Intervals of one node, each list in the order of time and without overlaps (of gaps: of one cause)."""

    __slots__ = ("gaps", "known_from_ns", "vouched")

    def __init__(
        self, vouched: Iterable[Interval] = (), gaps: Iterable[GapInterval] = (), known_from_ns: int | None = None
    ) -> None:
        self.vouched = list(vouched)
        self.gaps = list(gaps)
        self.known_from_ns = known_from_ns

    def add(self, found: Iterable[CoverageGap]) -> None:
        """Take records of this node."""
        for record in found:
            if vouches(record):
                self.vouched.append(Interval(record.from_ns, record.to_ns))
            if is_gap(record):
                self.gaps.append(GapInterval(record.from_ns, record.to_ns, record.cause.value))
        self._settle()

    def incomplete(self) -> list[Interval]:
        """When events may be missing: the gaps, and all the time before what is known."""
        begin = () if self.known_from_ns is None else (Interval(_EARLIEST_NS, self.known_from_ns),)
        return join((*begin, *(Interval(gap.from_ns, gap.to_ns) for gap in self.gaps)))

    def judge(self, window: Interval) -> NodeWindow[GapInterval]:
        """Whether a window is complete. What was dropped is not vouched for, so it is never trusted."""
        return judge(window, self.vouched, self.gaps)

    def _settle(self) -> None:
        vouched, gaps = join(self.vouched), _join_by_cause(self.gaps)
        dropped: list[Stretch] = [*vouched[:-MAX_INTERVALS], *gaps[:-MAX_INTERVALS]]
        for one in dropped:
            end_ns = max(one.to_ns, one.from_ns + 1)  # of an instant: nothing is claimed about its own moment either
            self.known_from_ns = max(end_ns, self.known_from_ns or end_ns)
        begin = self.known_from_ns
        if begin is not None:
            vouched = [Interval(max(one.from_ns, begin), one.to_ns) for one in vouched if one.to_ns > begin]
            gaps = [
                GapInterval(max(one.from_ns, begin), one.to_ns, one.cause)
                for one in gaps
                if one.to_ns > begin or one.from_ns == begin
            ]
        self.vouched, self.gaps = vouched, gaps

    def to_bytes(self) -> bytes:
        """Packed state; equal coverage is equal bytes."""
        numbers = [0 if self.known_from_ns is None else 1, self.known_from_ns or 0, len(self.vouched)]
        for interval in self.vouched:
            numbers += interval
        for gap in self.gaps:
            numbers += gap[:2]
        return pack(numbers, [gap.cause for gap in self.gaps])

    @classmethod
    def from_bytes(cls, state: bytes) -> "NodeCoverage":
        """The coverage in a packed state. Raises StateError."""
        numbers, causes = unpack(state)
        is_cut, known_from_ns, count = numbers[:3]
        intervals = [Interval(*pair) for pair in zip(numbers[3::2], numbers[4::2], strict=True)]
        gaps = [GapInterval(*one, cause) for one, cause in zip(intervals[count:], causes, strict=False)]
        return cls(intervals[:count], gaps, known_from_ns if is_cut else None)


def _join_by_cause(gaps: Iterable[GapInterval]) -> list[GapInterval]:
    by_cause: dict[str, list[Interval]] = {}
    for gap in gaps:
        by_cause.setdefault(gap.cause, []).append(Interval(gap.from_ns, gap.to_ns))
    return sorted(GapInterval(*one, cause) for cause, intervals in by_cause.items() for one in join(intervals))

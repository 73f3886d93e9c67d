"""What is known of one node's coverage: when its events were vouched for, and the gaps in them.

The state depends only on which coverage records went in, not on their order or on how often one came. It is bounded:
only the newest intervals are kept. Where older ones were dropped, nothing is claimed about the time before
`known_from_ns`.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, Stretch, join
from agents.coverage.node_window import NodeWindow, is_gap, judge, vouches
from agents.coverage.vouching import VouchedInterval, join_by_session, vouched_by_anybody, vouched_twice
from agents.packing import StateError, pack, unpack
from schemas.coverage import CoverageGap, GapCause

MAX_INTERVALS: Final = 256
"""Of each kind. A session's heartbeats join into one interval as long as nothing is missing, so these are breaks of 16
bytes and a word."""


_EARLIEST_NS: Final = -(1 << 63)


class GapInterval(NamedTuple):
    """A stretch of time in which events may be missing, and why: the value of a GapCause."""

    from_ns: int
    to_ns: int
    cause: str


class NodeCoverage:
    """Intervals of one node, each list in the order of time and without overlaps of one session or one cause."""

    __slots__ = ("by_session", "gaps", "known_from_ns", "twice", "vouched")

    def __init__(
        self,
        by_session: Iterable[VouchedInterval] = (),
        gaps: Iterable[GapInterval] = (),
        known_from_ns: int | None = None,
    ) -> None:
        self.by_session = list(by_session)
        """What each session vouched for, in the order of the ends."""
        self.vouched = vouched_by_anybody(self.by_session)
        """What was vouched for by anybody."""
        self.twice = vouched_twice(self.by_session)
        """When two sessions of ingest vouched for the node at once, in order."""
        self.gaps = list(gaps)
        self.known_from_ns = known_from_ns

    def add(self, found: Iterable[CoverageGap]) -> None:
        """Take records of this node."""
        for record in found:
            if vouches(record):
                self.by_session.append(VouchedInterval(record.from_ns, record.to_ns, record.session))
            if is_gap(record):
                self.gaps.append(GapInterval(record.from_ns, record.to_ns, record.cause.value))
        self._settle()

    def incomplete(self) -> list[GapInterval]:
        """When events may be missing: the gaps, and all the time before what is known."""
        if self.known_from_ns is None:
            return self.gaps
        return [GapInterval(_EARLIEST_NS, self.known_from_ns, GapCause.UNKNOWN.value), *self.gaps]

    def judge(self, window: Interval) -> NodeWindow[GapInterval]:
        """Whether a window is complete. What was dropped is not vouched for, so it is never trusted."""
        return judge(window, self.vouched, self.twice, self.gaps)

    def _settle(self) -> None:
        vouched, gaps = join_by_session(self.by_session), _join_by_cause(self.gaps)
        dropped: list[Stretch] = [*vouched[:-MAX_INTERVALS], *gaps[:-MAX_INTERVALS]]
        for one in dropped:
            end_ns = max(one.to_ns, one.from_ns + 1)  # of an instant: nothing is claimed about its own moment either
            self.known_from_ns = max(end_ns, self.known_from_ns or end_ns)
        begin = self.known_from_ns
        if begin is not None:
            vouched = [one._replace(from_ns=max(one.from_ns, begin)) for one in vouched if one.to_ns > begin]
            gaps = [
                GapInterval(max(one.from_ns, begin), one.to_ns, one.cause)
                for one in gaps
                if one.to_ns > begin or one.from_ns == begin
            ]
        self.by_session = sorted(vouched, key=lambda one: (one.to_ns, one.from_ns, one.session))
        self.vouched, self.twice = vouched_by_anybody(vouched), vouched_twice(vouched)
        self.gaps = gaps

    def to_bytes(self) -> bytes:
        """Packed state; equal coverage is equal bytes."""
        numbers = [0 if self.known_from_ns is None else 1, self.known_from_ns or 0, len(self.by_session)]
        for one in (*self.by_session, *self.gaps):
            numbers += one[:2]
        return pack(numbers, [*(one.session for one in self.by_session), *(gap.cause for gap in self.gaps)])

    @classmethod
    def from_bytes(cls, state: bytes) -> "NodeCoverage":
        """The coverage in a packed state. Raises StateError."""
        numbers, words = unpack(state)
        is_cut, known_from_ns, count = numbers[:3]
        if 2 * len(words) != max(len(numbers) - 3, 2):
            raise StateError("state of coverage in another form than this version writes")
        found = list(zip(numbers[3::2], numbers[4::2], words, strict=False))  # one empty word stands for none
        vouched = [VouchedInterval(*one) for one in found[:count]]
        return cls(vouched, [GapInterval(*one) for one in found[count:]], known_from_ns if is_cut else None)


def _join_by_cause(gaps: Iterable[GapInterval]) -> list[GapInterval]:
    by_cause: dict[str, list[Interval]] = {}
    for gap in gaps:
        by_cause.setdefault(gap.cause, []).append(Interval(gap.from_ns, gap.to_ns))
    return sorted(GapInterval(*one, cause) for cause, intervals in by_cause.items() for one in join(intervals))

"""What is known of one node's coverage: when its events were vouched for, and the gaps in them.

Rules: the result is a function of the set of coverage records that went in; neither their order nor how often one came
changes it. Only so many windows are kept; where older ones had to go, nothing is claimed about the time before
`known_from_ns`. Times are Unix epoch in nanoseconds, windows from inclusive to exclusive; a gap of no length is an
instant. This module refuses to know Kafka, clocks and other nodes.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.hot_symbols.counting.packing import pack, unpack
from schemas.coverage import CoverageGap, GapCause

MAX_WINDOWS: Final = 256
"""Of each kind. Heartbeats join into one window as long as nothing is missing, so these are breaks of 16 bytes."""


class Window(NamedTuple):
    """A stretch of time."""

    from_ns: int
    to_ns: int


class Gap(NamedTuple):
    """A stretch of time in which events may be missing, and why: a GapCause."""

    from_ns: int
    to_ns: int
    cause: str


class NodeCoverage:
    """Windows of one node, each list in the order of time and without overlaps (of gaps: of one cause)."""

    __slots__ = ("gaps", "known_from_ns", "vouched")

    def __init__(
        self, vouched: Iterable[Window] = (), gaps: Iterable[Gap] = (), known_from_ns: int | None = None
    ) -> None:
        self.vouched = list(vouched)
        self.gaps = list(gaps)
        self.known_from_ns = known_from_ns

    def add(self, found: Iterable[CoverageGap]) -> None:
        """Take records of this node; one that ends before it begins says nothing."""
        for record in found:
            if record.cause is not GapCause.HEARTBEAT:
                if record.to_ns >= record.from_ns:
                    self.gaps.append(Gap(record.from_ns, record.to_ns, record.cause.value))
            elif record.to_ns > record.from_ns:
                self.vouched.append(Window(record.from_ns, record.to_ns))
        self._settle()

    def _settle(self) -> None:
        vouched, gaps = _joined(self.vouched), _joined_by_cause(self.gaps)
        for dropped_to_ns in [one.to_ns for one in vouched[:-MAX_WINDOWS]] + [one.to_ns for one in gaps[:-MAX_WINDOWS]]:
            self.known_from_ns = max(dropped_to_ns, self.known_from_ns or dropped_to_ns)
        begin = self.known_from_ns
        if begin is not None:
            vouched = [Window(max(one.from_ns, begin), one.to_ns) for one in vouched if one.to_ns > begin]
            gaps = [Gap(max(one.from_ns, begin), one.to_ns, one.cause) for one in gaps if one.to_ns > begin]
        self.vouched, self.gaps = vouched, gaps

    def to_bytes(self) -> bytes:
        """Packed state; equal coverage is equal bytes."""
        numbers = [0 if self.known_from_ns is None else 1, self.known_from_ns or 0, len(self.vouched)]
        for window in self.vouched:
            numbers += window
        for gap in self.gaps:
            numbers += gap[:2]
        return pack(numbers, [gap.cause for gap in self.gaps])

    @classmethod
    def from_bytes(cls, state: bytes) -> "NodeCoverage":
        """The way back. Raises StateError."""
        numbers, causes = unpack(state)
        is_cut, known_from_ns, count = numbers[:3]
        windows = [Window(*pair) for pair in zip(numbers[3::2], numbers[4::2], strict=True)]
        gaps = [Gap(*window, cause) for window, cause in zip(windows[count:], causes, strict=False)]
        return cls(windows[:count], gaps, known_from_ns if is_cut else None)


def _joined(windows: Iterable[Window]) -> list[Window]:
    """Windows that overlap or touch as one, in the order of time."""
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and window.from_ns <= joined[-1].to_ns:
            joined[-1] = Window(joined[-1].from_ns, max(joined[-1].to_ns, window.to_ns))
        else:
            joined.append(window)
    return joined


def _joined_by_cause(gaps: Iterable[Gap]) -> list[Gap]:
    by_cause: dict[str, list[Window]] = {}
    for gap in gaps:
        by_cause.setdefault(gap.cause, []).append(Window(gap.from_ns, gap.to_ns))
    return sorted(Gap(*window, cause) for cause, windows in by_cause.items() for window in _joined(windows))

"""Events of one kind in one place, as long as they wait in memory: their times and raw offsets.

Rules: offsets rise strictly, so those above an offset are the end of the list. This module refuses to know what the
events say.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping

from agents.hot_symbols.tally import HOUR_NS


class Sightings:
    """Times (nanoseconds since the Unix epoch) and raw offsets of some events of one partition, in offset order."""

    __slots__ = ("_hours", "offsets", "times_ns")

    def __init__(self, times_ns: list[int], offsets: list[int]) -> None:
        self.times_ns = times_ns
        self.offsets = offsets
        self._hours: Mapping[int, int] | None = None

    def above(self, offset: int) -> "Sightings":
        """Those with a higher offset; this very object where all are."""
        begin = bisect_right(self.offsets, offset)
        return Sightings(self.times_ns[begin:], self.offsets[begin:]) if begin else self

    def span_ns(self) -> tuple[int, int]:
        """The first and the last time; there must be one."""
        return min(self.times_ns), max(self.times_ns)

    def hours(self) -> Mapping[int, int]:
        """Events by hours since the Unix epoch. Computed once: call it when nothing is added any more."""
        if self._hours is None:
            first, last = self.span_ns()
            if first // HOUR_NS == last // HOUR_NS:
                self._hours = {first // HOUR_NS: len(self.times_ns)}
            else:
                self._hours = Counter(time // HOUR_NS for time in self.times_ns)
        return self._hours

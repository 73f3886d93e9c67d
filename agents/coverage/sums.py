"""Sums over many intervals since a moment, each in the time of a binary search: how long they are, how much they lost.

Intervals may overlap, as those of different nodes do; then each counts. They are given as their begins and their ends,
which need not be in one order: no sum depends on which end belongs to which begin.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from agents.coverage.interval import Interval

_APART: Final = 64


class LengthSums:
    """The total length of intervals behind any moment."""

    __slots__ = ("_begins", "_begins_from", "_ends", "_ends_from")

    def __init__(self, begins: Iterable[int], ends: Iterable[int]) -> None:
        """As many begins as ends, of intervals with a length."""
        self._begins = sorted(begins)
        self._ends = sorted(ends)
        self._begins_from = SuffixSums(self._begins)
        self._ends_from = SuffixSums(self._ends)

    def since(self, moment_ns: int) -> int:
        """How long all of them are behind the moment, together."""
        first_end = bisect_right(self._ends, moment_ns)
        first_begin = bisect_left(self._begins, moment_ns)
        over = (len(self._ends) - first_end) - (len(self._begins) - first_begin)
        return self._ends_from.since(first_end) - self._begins_from.since(first_begin) - over * moment_ns

    def united(self) -> list[Interval]:
        """The union: a stretch ends where as many intervals have ended as have begun."""
        begins, ends = self._begins, self._ends
        breaks = [at for at in range(1, len(begins)) if begins[at] > ends[at - 1]]
        firsts = [0, *breaks] if begins else []
        lasts = [at - 1 for at in breaks] + [-1] if begins else []
        return [Interval(begins[first], ends[last]) for first, last in zip(firsts, lasts, strict=True)]


def sums_of(intervals: Sequence[Interval]) -> LengthSums:
    """The sums of intervals; those without a length do not count."""
    kept = [one for one in intervals if one[1] > one[0]]
    return LengthSums([one[0] for one in kept], [one[1] for one in kept])


class SharedTime:
    """How long intervals are within stretches of time that are the same for all: their owners', united."""

    __slots__ = ("_from_next", "_lengths", "_stretches")

    def __init__(self, lengths: LengthSums, stretches: Sequence[Interval]) -> None:
        """`stretches` are in order and do not overlap."""
        self._lengths = lengths
        self._stretches = [one for one in stretches if one.to_ns > one.from_ns]
        self._from_next = SuffixSums([self._within(one.from_ns, one.to_ns) for one in self._stretches])

    def since(self, moment_ns: int) -> int:
        """The same as `LengthSums.since`, within the stretches."""
        at = bisect_right(self._stretches, moment_ns, key=lambda one: one.to_ns)
        if at == len(self._stretches):
            return 0
        first = self._stretches[at]
        return self._within(max(first.from_ns, moment_ns), first.to_ns) + self._from_next.since(at + 1)

    def _within(self, from_ns: int, to_ns: int) -> int:
        return self._lengths.since(from_ns) - self._lengths.since(to_ns)


class SuffixSums:
    """Sums of numbers from any place on. Only each sixty-fourth is kept, because a sum takes more than a number."""

    __slots__ = ("_kept", "_numbers")

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        chunks = [sum(numbers[at : at + _APART]) for at in range(0, len(numbers), _APART)]
        self._kept = [*accumulate(reversed(chunks), initial=0)][::-1]

    def since(self, place: int) -> int:
        """The sum of the numbers from this place on."""
        chunk = -(-place // _APART)
        return sum(self._numbers[place : chunk * _APART]) + self._kept[chunk]

"""Sums over many intervals since a moment, each in the time of a binary search: how long they are, how much they lost.

Intervals may overlap, as those of different nodes do; then each counts. They are given as their begins and their ends,
which need not be in one order: no sum depends on which end belongs to which begin. Numbers have 64 bits, and sums are
exact, however large.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeAlias

import numpy as np

from agents.coverage.interval import Interval

Numbers: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"

_APART: Final = 64
_LOW_BITS: Final = 20
"""Halves of numbers are summed apart: sums of sixty-four stay within 64 bits."""


def numbers(found: Sequence[int]) -> Numbers:
    """An array of them."""
    return np.array(found, np.int64)


class LengthSums:
    """The total length of intervals behind any moment."""

    __slots__ = ("_begins", "_begins_from", "_ends", "_ends_from")

    def __init__(self, begins: Numbers, ends: Numbers) -> None:
        """As many begins as ends, each in order, of intervals with a length."""
        self._begins = begins
        self._ends = ends
        self._begins_from = SuffixSums(begins)
        self._ends_from = SuffixSums(ends)

    def since(self, moment_ns: int) -> int:
        """How long all of them are behind the moment, together."""
        first_end = int(self._ends.searchsorted(moment_ns, "right"))
        first_begin = int(self._begins.searchsorted(moment_ns))
        over = (len(self._ends) - first_end) - (len(self._begins) - first_begin)
        return self._ends_from.since(first_end) - self._begins_from.since(first_begin) - over * moment_ns


def united(begins: Numbers, ends: Numbers) -> LengthSums:
    """The union of intervals, given as for `LengthSums`: it has a break where as many have ended as have begun."""
    is_break = begins[1:] > ends[:-1]
    firsts = np.concatenate((begins[:1], begins[1:][is_break]))
    return LengthSums(firsts, np.concatenate((ends[:-1][is_break], ends[-1:])))


class SharedTime:
    """How long intervals are within stretches of time that are the same for all: their owners', united."""

    __slots__ = ("_from_next", "_lengths", "_stretches")

    def __init__(self, lengths: LengthSums, stretches: Sequence[Interval]) -> None:
        """`stretches` are in order and do not overlap."""
        self._lengths = lengths
        self._stretches = [one for one in stretches if one.to_ns > one.from_ns]
        within = [self._within(one.from_ns, one.to_ns) for one in self._stretches]
        self._from_next = [*accumulate(reversed(within), initial=0)][::-1]

    def since(self, moment_ns: int) -> int:
        """The same as `LengthSums.since`, within the stretches."""
        at = bisect_right(self._stretches, moment_ns, key=lambda one: one.to_ns)
        if at == len(self._stretches):
            return 0
        first = self._stretches[at]
        return self._within(max(first.from_ns, moment_ns), first.to_ns) + self._from_next[at + 1]

    def _within(self, from_ns: int, to_ns: int) -> int:
        return self._lengths.since(from_ns) - self._lengths.since(to_ns)


class SuffixSums:
    """Sums of numbers from any place on. Only each sixty-fourth is kept, because a sum takes more than a number."""

    __slots__ = ("_kept", "_numbers")

    def __init__(self, found: Numbers) -> None:
        self._numbers = found
        padded = np.concatenate((found, np.zeros(-len(found) % _APART, np.int64))).reshape(-1, _APART)
        high = (padded >> _LOW_BITS).sum(axis=1).tolist()
        low = (padded & ((1 << _LOW_BITS) - 1)).sum(axis=1).tolist()
        chunks = [(one << _LOW_BITS) + other for one, other in zip(high, low, strict=True)]
        self._kept: list[int] = [*accumulate(reversed(chunks), initial=0)][::-1]

    def since(self, place: int) -> int:
        """The sum of the numbers from this place on."""
        chunk = -(-place // _APART)
        first: list[int] = self._numbers[place : chunk * _APART].tolist()
        return sum(first) + self._kept[chunk]

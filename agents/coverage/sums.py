"""Sums over many intervals since moments: how long they are, how much they lost.

Intervals may overlap, as those of different nodes do; then each counts. They are given as their begins and their ends,
which need not be in one order: no sum depends on which end belongs to which begin. Numbers have 64 bits, and sums are
exact, however large. Many moments are looked up at once, each in the time of a binary search.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeAlias

import numpy as np

from agents.coverage.interval import Interval
from schemas.units import LATEST_NS

Numbers: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"

_LOW_BITS: Final = 32
_LOW: Final = (1 << _LOW_BITS) - 1
"""Halves of numbers are summed apart: sums of two billion stay within 64 bits."""


def numbers(found: Sequence[int]) -> Numbers:
    """An array of them."""
    return np.array(found, np.int64)


class LengthSums:
    """The total length of intervals behind moments."""

    __slots__ = ("_begins", "_begins_from", "_ends", "_ends_from")

    def __init__(self, begins: Numbers, ends: Numbers) -> None:
        """As many begins as ends, each in order, of intervals with a length."""
        self._begins = begins
        self._ends = ends
        self._begins_from = SuffixSums(begins)
        self._ends_from = SuffixSums(ends)

    def since(self, moments: Numbers) -> list[int]:
        """For each moment, how long all of them are behind it, together."""
        first_ends, first_begins = self._ends.searchsorted(moments, "right"), self._begins.searchsorted(moments)
        over = (first_begins - first_ends).tolist()
        sums = zip(self._ends_from.since(first_ends), self._begins_from.since(first_begins), strict=True)
        return [end - begin - more * at for (end, begin), more, at in zip(sums, over, moments.tolist(), strict=True)]


def united(begins: Numbers, ends: Numbers) -> LengthSums:
    """The union of intervals, given as for `LengthSums`: it has a break where as many have ended as have begun."""
    is_break = begins[1:] > ends[:-1]
    firsts = np.concatenate((begins[:1], begins[1:][is_break]))
    return LengthSums(firsts, np.concatenate((ends[:-1][is_break], ends[-1:])))


class SharedTime:
    """How long intervals are within stretches of time that are the same for all: their owners', united."""

    __slots__ = ("_ends", "_from_next", "_lengths", "_stretches")

    def __init__(self, lengths: LengthSums, stretches: Sequence[Interval]) -> None:
        """`stretches` are in order and do not overlap."""
        self._lengths = lengths
        # an empty one behind the last, for moments that are behind all
        self._stretches = [*(one for one in stretches if one.to_ns > one.from_ns), Interval(LATEST_NS, LATEST_NS)]
        self._ends = [one.to_ns for one in self._stretches[:-1]]
        within = self._within(self._stretches)
        self._from_next = [*accumulate(reversed(within), initial=0)][::-1]

    def since(self, moments: Numbers) -> list[int]:
        """The same as `LengthSums.since`, within the stretches."""
        if not self._ends:
            return [0] * len(moments)
        places = [bisect_right(self._ends, at) for at in moments.tolist()]
        firsts = [
            Interval(max(self._stretches[place].from_ns, at), self._stretches[place].to_ns)
            for place, at in zip(places, moments.tolist(), strict=True)
        ]
        return [within + self._from_next[place + 1] for within, place in zip(self._within(firsts), places, strict=True)]

    def _within(self, stretches: Sequence[Interval]) -> list[int]:
        begins = self._lengths.since(numbers([one.from_ns for one in stretches]))
        ends = self._lengths.since(numbers([one.to_ns for one in stretches]))
        return [begin - end for begin, end in zip(begins, ends, strict=True)]


class SuffixSums:
    """Sums of numbers from any place on."""

    __slots__ = ("_high", "_low")

    def __init__(self, found: Numbers) -> None:
        self._high, self._low = _from_each(found >> _LOW_BITS), _from_each(found & _LOW)

    def since(self, places: Numbers) -> list[int]:
        """For each place, the sum of the numbers from there on."""
        halves = zip(self._high[places].tolist(), self._low[places].tolist(), strict=True)
        return [(high << _LOW_BITS) + low for high, low in halves]


def _from_each(found: Numbers) -> Numbers:
    """The sum from each place on, and a 0 behind the last."""
    sums = np.zeros(len(found) + 1, np.int64)
    np.cumsum(found[::-1], out=sums[1:])
    return sums[::-1]

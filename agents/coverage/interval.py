"""Stretches of time in nanoseconds since the Unix epoch, from inclusive to exclusive.

An interval of no length (`from_ns == to_ns`) is an instant: something happened then, and nobody can say for how long.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar


class Stretch(Protocol):
    """Whatever has a beginning and an end: an interval, or a gap with its cause."""

    @property
    def from_ns(self) -> int:
        """The beginning."""

    @property
    def to_ns(self) -> int:
        """The end, not included."""


StretchT = TypeVar("StretchT", bound=Stretch)


class Interval(NamedTuple):
    """A stretch of time; tuples sort by their beginning."""

    from_ns: int
    to_ns: int


def touches(one: Stretch, window: Interval) -> bool:
    """Whether the two share a moment; an instant counts where the window holds it, its first moment included."""
    if one.from_ns == one.to_ns:
        return window.from_ns <= one.from_ns < window.to_ns
    return one.from_ns < window.to_ns and one.to_ns > window.from_ns


def touching(ones: Iterable[StretchT], window: Interval) -> list[StretchT]:
    """Those that touch the window, as `touches` says it of one, in their order."""
    begin, end = window
    return [one for one in ones if one.from_ns < end and (one.to_ns > begin or one.from_ns == one.to_ns == begin)]


def cut(one: Stretch, window: Interval) -> Interval:
    """The part of an interval that lies in a window that it touches."""
    return Interval(max(one.from_ns, window.from_ns), min(one.to_ns, window.to_ns))


def join(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals that overlap or touch as one, in the order of time. Instants are kept where no interval holds them.

    An instant at the end of an interval is kept, for the end is not part of the interval: a window that begins there
    is touched by the instant alone.
    """
    joined: list[Interval] = []
    instants: list[Interval] = []
    last_ns = 0
    for one in sorted(intervals):
        begin_ns, end_ns = one
        if begin_ns == end_ns:
            instants.append(one)
        elif joined and begin_ns <= last_ns:
            if end_ns > last_ns:
                joined[-1], last_ns = Interval(joined[-1][0], end_ns), end_ns
        else:
            joined.append(one)
            last_ns = end_ns
    return sorted(joined + _outside(instants, joined)) if instants else joined


def _outside(instants: Iterable[Interval], joined: list[Interval]) -> list[Interval]:
    """Instants that no interval holds, each once; both lists are in the order of time."""
    kept: list[Interval] = []
    at = 0
    for instant in dict.fromkeys(instants):
        while at < len(joined) and joined[at].to_ns <= instant.from_ns:
            at += 1
        if at == len(joined) or instant.from_ns < joined[at].from_ns:
            kept.append(instant)
    return kept


def uncovered(window: Interval, covered: Iterable[Interval]) -> Iterator[Interval]:
    """Parts of the window that no interval covers, in order; `covered` is in the order of time."""
    begin = window.from_ns
    for one in covered:
        if one.from_ns >= window.to_ns:
            break
        if one.from_ns > begin:
            yield Interval(begin, one.from_ns)
        begin = max(begin, one.to_ns)
    if begin < window.to_ns:
        yield Interval(begin, window.to_ns)


def outside(ones: Sequence[Interval], others: Sequence[Interval]) -> Iterator[Interval]:
    """Parts of the ones that the others do not cover; each is in the order of time, without overlaps."""
    at = 0
    for begin_ns, end_ns in ones:
        while at < len(others) and others[at][1] <= begin_ns:
            at += 1
        first = at
        while first < len(others) and others[first][0] < end_ns:
            other_begin_ns, other_end_ns = others[first]
            if other_begin_ns > begin_ns:
                yield Interval(begin_ns, other_begin_ns)
            begin_ns = max(begin_ns, other_end_ns)  # noqa: PLW2901 - what is left of it
            first += 1
        if begin_ns < end_ns:
            yield Interval(begin_ns, end_ns)


def total_ns(intervals: Iterable[Stretch]) -> int:
    """Length of the union."""
    return sum(one.to_ns - one.from_ns for one in join(Interval(one.from_ns, one.to_ns) for one in intervals))


def overlap(ones: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """What lies in both; each is in the order of time, without overlaps and instants."""
    if len(ones) == 1 == len(others):  # nearly always
        begin, end = max(ones[0][0], others[0][0]), min(ones[0][1], others[0][1])
        return [Interval(begin, end)] if begin < end else []
    found = []
    at = 0
    for one in ones:
        while at < len(others) and others[at].to_ns <= one.from_ns:
            at += 1
        for other in others[at:]:
            if other.from_ns >= one.to_ns:
                break
            found.append(cut(other, one))
    return found

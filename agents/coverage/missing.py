"""Stretches of time in which events may be missing, and the largest of them since any moment."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from agents.coverage.sums import SuffixSums
from schemas.coverage import LOSSES
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

MAX_GAPS: Final = 8
"""Gaps that an answer lists; a single one decides, so further ones are only counted."""

MAX_RANKED: Final = 256
"""Gaps that are kept in order for each beginning; of a file that is on one node in ten, eight are among them."""

_LONG_NS: Final = 3_600 * NS_PER_SECOND
"""Longer gaps are few, and looked at one by one."""

UNVOUCHED: Final = "Unvouched"
EXPIRED: Final = "Expired"
REFUSED: Final = "Refused"
UNREADABLE: Final = "Unreadable"
TOO_MANY_NODES: Final = "TooManyNodes"

_LOSSES: Final = frozenset(cause.value for cause in LOSSES)


class MissingInterval(NamedTuple):
    """A stretch of time in which events may be missing.

    `cause` is the value of a GapCause, or VOUCHED_TWICE, UNVOUCHED, EXPIRED, REFUSED, UNREADABLE or
    TOO_MANY_NODES. `node` is None when the gap affects all nodes. `events_lost` is None where nobody counted them.
    """

    from_ns: int
    to_ns: int
    node: NodeId | None
    cause: str
    events_lost: int | None = None


def by_size(gap: MissingInterval) -> tuple[int, int, NodeId | tuple[()], str]:
    """Sorts gaps by their length, the longest first, then the newest."""
    return gap.from_ns - gap.to_ns, -gap.to_ns, gap.node or (), gap.cause


class GapEnds(NamedTuple):
    """The ends of gaps, those of gaps that lost events with their number, and up to when a loss has no number.

    An instant lasts until the next nanosecond, as far as it is asked whether a moment is before its end.
    """

    ends: tuple[int, ...] = ()
    lost: tuple[tuple[int, int], ...] = ()
    uncounted_until_ns: int = 0


NO_ENDS: Final = GapEnds()


def ends_of(gaps: Iterable[MissingInterval]) -> GapEnds:
    """The ends of some gaps."""
    found = [(max(gap.to_ns, gap.from_ns + 1), gap) for gap in gaps]
    uncounted = (end_ns for end_ns, gap in found if gap.events_lost is None and _needs_number(gap))
    lost = tuple([(end_ns, gap.events_lost) for end_ns, gap in found if gap.events_lost])
    return GapEnds(tuple([end_ns for end_ns, _ in found]), lost, max(uncounted, default=0))


class GapCounts:
    """How many gaps there are since any moment, and how many events they lost."""

    __slots__ = ("_ends", "_lost_ends", "_lost_from", "_uncounted_until_ns")

    def __init__(self, found: Iterable[GapEnds]) -> None:
        """Of the gaps of some nodes."""
        ends: list[int] = []
        lost: list[tuple[int, int]] = []
        self._uncounted_until_ns = 0
        for one in found:
            if one.ends:
                ends += one.ends
                lost += one.lost
                self._uncounted_until_ns = max(self._uncounted_until_ns, one.uncounted_until_ns)
        self._ends = sorted(ends)
        lost.sort()
        self._lost_ends = [end_ns for end_ns, _ in lost]
        self._lost_from = SuffixSums([events for _, events in lost])

    def count(self, since_ns: int) -> int:
        """How many there are since the moment, those that began before it included."""
        return len(self._ends) - bisect_right(self._ends, since_ns)

    def events_lost(self, since_ns: int) -> int | None:
        """Events that their counters say; None where a loss or an instant has no number."""
        if self._uncounted_until_ns > since_ns:
            return None
        return self._lost_from.since(bisect_right(self._lost_ends, since_ns))


class GapRanking:
    """Gaps of all nodes, and the longest of them since any moment."""

    def __init__(self, gaps: Iterable[MissingInterval]) -> None:
        found = sorted(gaps, key=lambda gap: (gap.from_ns, gap.to_ns, gap.node or (), gap.cause))
        self._begins = [gap.from_ns for gap in found]
        self._longest_from = list(_best(reversed(found)))[::-1]
        self._long = [gap for gap in found if gap.to_ns - gap.from_ns > _LONG_NS]
        self._short = [gap for gap in found if gap.to_ns - gap.from_ns <= _LONG_NS]
        self._short_begins = [gap.from_ns for gap in self._short]

    def longest(self, since_ns: int, nodes: Container[NodeId | None] | None = None) -> list[MissingInterval] | None:
        """The longest gaps since the moment, and all that go on at it, cut to it: of some nodes or of all.

        None where more of these nodes' gaps may be among those that are not ranked.
        """
        at = bisect_left(self._begins, since_ns)
        ranked = self._longest_from[at]
        found = list(islice((gap for gap in ranked if nodes is None or gap.node in nodes), MAX_GAPS))
        if len(found) < MAX_GAPS and len(self._begins) - at > MAX_RANKED:
            return None
        return [*found, *(gap for gap in self._begun(since_ns) if nodes is None or gap.node in nodes)]

    def _begun(self, since_ns: int) -> Iterator[MissingInterval]:
        """Gaps that began before the moment and go on."""
        first, last = (bisect_left(self._short_begins, at) for at in (since_ns - _LONG_NS, since_ns))
        for gap in (*self._long, *self._short[first:last]):
            if gap.from_ns < since_ns < gap.to_ns:
                yield gap._replace(from_ns=since_ns)


def _best(gaps: Iterable[MissingInterval]) -> Iterator[tuple[MissingInterval, ...]]:
    """The longest of the gaps so far, before the first, between two and behind the last."""
    best: list[tuple[tuple[Any, ...], MissingInterval]] = []
    shown: tuple[MissingInterval, ...] = ()
    yield shown
    for gap in gaps:
        rank = by_size(gap)
        if len(best) < MAX_RANKED or rank < best[-1][0]:
            insort(best, (rank, gap))
            del best[MAX_RANKED:]
            shown = tuple([one for _, one in best])
        yield shown


def _needs_number(gap: MissingInterval) -> bool:
    """Whether its length says nothing of how much is missing."""
    return gap.cause in _LOSSES or gap.from_ns == gap.to_ns

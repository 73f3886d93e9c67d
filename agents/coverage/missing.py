"""Stretches of time in which events may be missing, and the largest of them since any moment."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

import numpy as np

from agents.coverage.sums import Numbers, SuffixSums, numbers
from schemas.coverage import LOSSES
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

MAX_GAPS: Final = 8
"""Gaps that an answer lists; a single one decides, so further ones are only counted."""

MAX_RANKED: Final = 256
"""Gaps that are kept in order for each beginning; of a file that is on one node in ten, eight are among them."""

_APART: Final = 256
"""For each so many gaps the longest ones from there on are kept."""

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


def by_size(gap: MissingInterval) -> tuple[int, int, NodeId | tuple[()], str, int]:
    """Sorts gaps by their length, the longest first, then the newest. No two gaps have one place."""
    from_ns, to_ns, node, cause, lost = gap
    return from_ns - to_ns, -to_ns, node or (), cause, -1 if lost is None else lost


def end_of(gap: MissingInterval) -> int:
    """An instant lasts until the next nanosecond, as far as it is asked whether a moment is before its end."""
    return max(gap.to_ns, gap.from_ns + 1)


def is_uncounted(gap: MissingInterval) -> bool:
    """Whether nobody knows how many events it lost, and its length says nothing of it."""
    return gap[4] is None and (gap[3] in _LOSSES or gap[0] == gap[1])


class GapCounts:
    """How many gaps there are since any moment, and how many events they lost."""

    __slots__ = ("_ends", "_lost_from", "_uncounted_until_ns")

    def __init__(self, ends: Numbers, lost: Numbers, uncounted_until_ns: int) -> None:
        """The end of each gap and what it lost, and up to when there is a loss without a number."""
        order = np.argsort(ends)
        self._ends = ends[order]
        self._lost_from = SuffixSums(lost[order]) if lost.any() else None
        self._uncounted_until_ns = uncounted_until_ns

    @classmethod
    def of(cls, gaps: Collection[MissingInterval]) -> "GapCounts":
        """Of these gaps."""
        uncounted_ns = max([end_of(gap) for gap in gaps if is_uncounted(gap)], default=0)
        lost = numbers([gap.events_lost or 0 for gap in gaps])
        return cls(numbers([end_of(gap) for gap in gaps]), lost, uncounted_ns)

    def count(self, since_ns: int) -> int:
        """How many there are since the moment, those that began before it included."""
        return len(self._ends) - self._behind(since_ns)

    def events_lost(self, since_ns: int) -> int | None:
        """Events that their counters say; None where a loss or an instant has no number."""
        if self._uncounted_until_ns > since_ns:
            return None
        return self._lost_from.since(self._behind(since_ns)) if self._lost_from else 0

    def _behind(self, since_ns: int) -> int:
        return int(self._ends.searchsorted(since_ns, "right"))


class GapsSince(NamedTuple):
    """Gaps since a moment: the longest of those that began later, whether these are all, and those that went on.

    The latter are cut at the moment, each beside the gap that it is a part of. The longest come first.
    """

    longest: list[MissingInterval]
    are_all: bool
    going_on: list[tuple[MissingInterval, MissingInterval]]


class GapRanking:
    """Gaps of all nodes, and the longest of them since any moment."""

    def __init__(self, gaps: Sequence[MissingInterval]) -> None:
        self._by_size = sorted(gaps, key=by_size)
        begins = [gap.from_ns for gap in self._by_size]
        ranks = sorted(range(len(begins)), key=begins.__getitem__)
        self._begins = [begins[rank] for rank in ranks]
        self._ranks = ranks
        self._best_from: list[list[int]] = [[]]
        for end in range(len(ranks), 0, -_APART):
            best = sorted([*ranks[max(0, end - _APART) : end], *self._best_from[-1]])
            self._best_from.append(best[:MAX_RANKED])
        self._long = list(takewhile(lambda gap: gap.to_ns - gap.from_ns > _LONG_NS, self._by_size))
        self._since: dict[int, GapsSince] = {}

    def since(self, since_ns: int) -> GapsSince:
        """The gaps since a moment; at most MAX_RANKED of those that began later. Moments are asked for again."""
        found = self._since.get(since_ns)
        if found is None:
            found = self._since[since_ns] = self._found(since_ns)
        return found

    def _found(self, since_ns: int) -> GapsSince:
        at = bisect_left(self._begins, since_ns)
        chunks = (len(self._ranks) - at) // _APART
        best = [*self._ranks[at : len(self._ranks) - chunks * _APART], *self._best_from[chunks]]
        longest = [self._by_size[rank] for rank in sorted(best)[:MAX_RANKED]]
        first = bisect_left(self._begins, since_ns - _LONG_NS)
        near = [self._by_size[rank] for rank in self._ranks[first:at]]
        begun = [*self._long, *(gap for gap in near if gap.to_ns - gap.from_ns <= _LONG_NS)]
        going_on = [(gap._replace(from_ns=since_ns), gap) for gap in begun if gap.from_ns < since_ns < gap.to_ns]
        going_on.sort(key=lambda both: by_size(both[0]))
        return GapsSince(longest, len(self._ranks) - at <= MAX_RANKED, going_on)

"""Stretches of time in which events may be missing, and the largest of them since any moment."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from agents.coverage.sums import Numbers, SuffixSums, numbers
from schemas.coverage import LOSSES
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

Places: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int32]]"

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
    """How many gaps there are since moments, and how many events they lost."""

    __slots__ = ("_ends", "_lost_from", "_uncounted_until_ns")

    def __init__(self, ends: Numbers, lost: Numbers, uncounted_until_ns: int) -> None:
        """The ends of the gaps, in order, and what each lost; up to when there is a loss without a number."""
        self._ends = ends
        self._lost_from = SuffixSums(lost) if lost.any() else None
        self._uncounted_until_ns = uncounted_until_ns

    @classmethod
    def of(cls, gaps: Collection[MissingInterval]) -> "GapCounts":
        """Of these gaps."""
        uncounted_ns = max([end_of(gap) for gap in gaps if is_uncounted(gap)], default=0)
        by_end = sorted(gaps, key=end_of)
        lost = numbers([gap.events_lost or 0 for gap in by_end])
        return cls(numbers([end_of(gap) for gap in by_end]), lost, uncounted_ns)

    def count(self, moments: Numbers) -> list[int]:
        """How many there are since each moment, those that began before it included."""
        found: list[int] = (len(self._ends) - self._behind(moments)).tolist()
        return found

    def events_lost(self, moments: Numbers) -> list[int | None]:
        """Events that their counters say; None where a loss or an instant has no number."""
        lost = self._lost_from.since(self._behind(moments)) if self._lost_from else [0] * len(moments)
        until_ns = self._uncounted_until_ns
        return [None if until_ns > at else one for one, at in zip(lost, moments.tolist(), strict=True)]

    def _behind(self, moments: Numbers) -> Numbers:
        return self._ends.searchsorted(moments, "right")


class GapsSince(NamedTuple):
    """Gaps since a moment, as places in the list of all: the longest of those that began later, and those that went on.

    `are_all` is whether no others began later. Of those that went on, the one that lasts longest is first.
    """

    longest: Places
    are_all: bool
    going_on: Places


class GapRanking:
    """Gaps of all nodes, and the longest of them since any moment."""

    def __init__(self, gaps: Sequence[MissingInterval]) -> None:
        self._begins, self._ends = numbers([gap[0] for gap in gaps]), numbers([gap[1] for gap in gaps])
        lengths = (self._ends - self._begins).view(np.uint64)  # one may be longer than 63 bits can say
        others = (
            numbers([-1 if gap[4] is None else gap[4] for gap in gaps]),
            _order([gap[3] for gap in gaps]),
            _order([gap[2] or () for gap in gaps]),
            ~self._ends,
        )
        self.by_size = np.lexsort((*others, ~lengths)).astype(np.int32)
        """Their places, in the order of `by_size`."""
        self._last_end = _ranks(np.lexsort(others).astype(np.int32))
        self._rank = _ranks(self.by_size)
        by_begin = np.argsort(self._begins, kind="stable")
        self._in_order = self._begins[by_begin]
        self._by_begin = by_begin.astype(np.int32)
        ranks = self._rank[by_begin]
        self._best_from = [ranks[:0]]
        for end in range(len(ranks), 0, -_APART):
            best = np.sort(np.concatenate((ranks[max(0, end - _APART) : end], self._best_from[-1])))
            self._best_from.append(best[:MAX_RANKED])
        self._long = self.by_size[: int((lengths > _LONG_NS).sum())]
        self._since: dict[int, GapsSince] = {}

    def since(self, since_ns: int) -> GapsSince:
        """The gaps since a moment; at most MAX_RANKED of those that began later. Moments are asked for again."""
        found = self._since.get(since_ns)
        if found is None:
            found = self._since[since_ns] = self._found(since_ns)
        return found

    def longest_of(self, places: Places, since_ns: int) -> Places:
        """Of places in the order of `by_size`, those of the first few gaps that began since a moment."""
        return places[self._begins[places] >= since_ns][:MAX_GAPS]

    def _found(self, since_ns: int) -> GapsSince:
        at = int(self._in_order.searchsorted(since_ns))
        chunks, behind = divmod(len(self._in_order) - at, _APART)
        ranks = np.concatenate((self._rank[self._by_begin[at : at + behind]], self._best_from[chunks]))
        longest = self.by_size[np.sort(ranks)[:MAX_RANKED]]
        near = self._by_begin[int(self._in_order.searchsorted(since_ns - _LONG_NS)) : at]
        near = near[(self._ends[near] - self._begins[near]).view(np.uint64) <= _LONG_NS]
        begun = np.concatenate((self._long, near))
        begun = begun[(self._begins[begun] < since_ns) & (self._ends[begun] > since_ns)]
        going_on = begun[np.argsort(self._last_end[begun])]
        return GapsSince(longest, len(self._in_order) - at <= MAX_RANKED, going_on)


def _order(found: Sequence[object]) -> Numbers:
    """Where each stands in the order of all different ones."""
    numbered = {one: number for number, one in enumerate(sorted(set(found)))}  # type: ignore[type-var]
    return numbers([numbered[one] for one in found])


def _ranks(order: Places) -> Places:
    """For each place, where it stands in an order of them."""
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return ranks

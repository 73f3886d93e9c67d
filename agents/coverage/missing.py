"""Stretches of time in which events may be missing, and the largest of them since any moment."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from agents.coverage.sums import Numbers, SuffixSums, numbers
from schemas.coverage import LOSSES
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

Places: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int32]]"

MAX_GAPS: Final = 8
"""Gaps that an answer lists; a single one decides, so further ones are only counted."""

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


class GapColumns:
    """Gaps, and arrays of what many of them are compared by."""

    def __init__(self, gaps: Sequence[MissingInterval]) -> None:
        begins, ends, nodes, causes, lost = zip(*gaps, strict=True) if gaps else ((),) * 5
        self.gaps = gaps
        self.begins, self.ends = numbers(begins), numbers(ends)
        self.lost = numbers([-1 if one is None else one for one in lost])
        """-1 where nobody counted."""
        self.causes = _order(causes)
        self.nodes = _order([node or () for node in nodes])
        self.is_loss = np.array([cause in _LOSSES for cause in causes], bool)

    def ordered(self, places: Places) -> Places:
        """Places of gaps that began at one moment, in the order of `by_size`."""
        keys = self.lost, self.causes, self.nodes, ~self.ends
        return places[np.lexsort([key[places] for key in keys])]

    def by_size(self) -> Places:
        """The places of all in the order of `by_size`."""
        lengths = (self.ends - self.begins).view(np.uint64)  # one may be longer than 63 bits can say
        return np.lexsort((self.lost, self.causes, self.nodes, ~self.ends, ~lengths)).astype(np.int32)


class GapCounts:
    """How many gaps there are since moments, and how many events they lost."""

    __slots__ = ("_ends", "_lost_from", "_uncounted_until_ns")

    def __init__(self, gaps: GapColumns) -> None:
        ends = np.maximum(gaps.ends, gaps.begins + 1)  # an instant lasts until the next nanosecond
        by_end = np.argsort(ends)
        lost = np.maximum(gaps.lost, 0)[by_end]
        self._ends = ends[by_end]
        self._lost_from = SuffixSums(lost) if lost.any() else None
        is_uncounted = (gaps.lost < 0) & (gaps.is_loss | (gaps.begins == gaps.ends))
        self._uncounted_until_ns = int(ends[is_uncounted].max(initial=0))

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


class GapRanking:
    """The longest gaps since any moment."""

    def __init__(self, gaps: GapColumns) -> None:
        self._gaps = gaps
        self._by_size = gaps.by_size()
        by_begin = np.argsort(gaps.begins, kind="stable")
        self._in_order = gaps.begins[by_begin]
        self._by_begin = by_begin.astype(np.int32)
        self._ranks = _ranks(self._by_size)[by_begin]
        self._best_from = [self._ranks[:0]]
        for end in range(len(self._ranks), 0, -_APART):
            best = np.sort(np.concatenate((self._ranks[max(0, end - _APART) : end], self._best_from[-1])))
            self._best_from.append(best[:MAX_GAPS])
        lengths = (gaps.ends - gaps.begins)[self._by_size].view(np.uint64)
        self._long = self._by_size[: int((lengths > _LONG_NS).sum())]

    def since(self, since_ns: int) -> list[MissingInterval]:
        """The first MAX_GAPS by size of what is behind a moment: gaps that began before it are cut."""
        at = int(self._in_order.searchsorted(since_ns))
        chunks, more = divmod(len(self._in_order) - at, _APART)
        ranks = np.concatenate((self._ranks[at : at + more], self._best_from[chunks]))
        later = self._by_size[np.sort(ranks)[:MAX_GAPS]].tolist()
        begun = self._gaps.ordered(self._begun(at, since_ns))[:MAX_GAPS].tolist()
        found = [*map(self._gaps.gaps.__getitem__, later)]
        found += [self._gaps.gaps[place]._replace(from_ns=since_ns) for place in begun]
        return sorted(found, key=by_size)[:MAX_GAPS]

    def _begun(self, at: int, since_ns: int) -> Places:
        """Gaps that began before the moment and go on behind it. Those that began later are from the place `at` on."""
        near = self._by_begin[int(self._in_order.searchsorted(since_ns - _LONG_NS)) : at]
        begins, ends = self._gaps.begins, self._gaps.ends
        near = near[(ends[near] - begins[near]).view(np.uint64) <= _LONG_NS]
        begun = np.concatenate((self._long, near))
        return begun[(begins[begun] < since_ns) & (ends[begun] > since_ns)]


def _order(found: Sequence[object]) -> Numbers:
    """Where each stands in the order of all different ones."""
    numbered = {one: number for number, one in enumerate(sorted(set(found)))}  # type: ignore[type-var]
    return numbers([numbered[one] for one in found])


def _ranks(order: Places) -> Places:
    """For each place, where it stands in an order of them."""
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return ranks

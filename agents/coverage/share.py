"""Node-time that was owed, and how much of it is missing, for some nodes and any beginning.

It is summed up once. Then shares for many beginnings cost a few binary searches each, however many nodes there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from agents.coverage.fleet_times import FleetTimes, Pick
from agents.coverage.interval import Interval
from agents.coverage.missing import MAX_GAPS, GapCounts, GapRanking, MissingInterval, Places, by_size
from agents.coverage.sums import LengthSums, Numbers, SharedTime, numbers, united
from schemas.units import NS_PER_MS


@dataclass(frozen=True, slots=True)
class Share:
    """Node-time since a moment, and the gaps in it. What is missing is rounded up: a nanosecond is not nothing.

    `complete_ns` is the time in which nothing is missing of any of the nodes. `gaps` are the longest ones.
    `events_lost` is what counters say, None where a loss has no number.
    """

    nodes: int = 0
    watched_ms: int = 0
    missing_ms: int = 0
    complete_ns: int = 0
    events_lost: int | None = 0
    gaps: tuple[MissingInterval, ...] = ()
    gaps_more: int = 0


NO_SHARE: Final = Share()


class Beginning(NamedTuple):
    """From when on a share is asked for. Before `known_ns` all is missing, and `extra` are the gaps that say why."""

    since_ns: int
    known_ns: int
    extra: tuple[MissingInterval, ...] = ()


class _Sums(NamedTuple):
    """What a share is made of. `missing` is of the time that is known; `lost` is what each counter says."""

    owed: int
    owed_known: int
    missing: int
    lost: tuple[int | None, ...]
    gaps: int
    incomplete_ns: int
    nodes: int


@dataclass(frozen=True, slots=True)
class NodeTime:
    """Node-time since a moment, without its gaps; rounded as in `Share`."""

    nodes: int = 0
    watched_ms: int = 0
    missing_ms: int = 0


class PickSums:
    """The sums of a pick. In the stretches `shared`, something is missing on every node."""

    def __init__(self, pick: Pick, times: FleetTimes, shared: Sequence[Interval]) -> None:
        self.pick = pick
        self._times = times
        self._ranked: Places | None = None
        self.owed = LengthSums(*pick.owed())
        self.own_begins, self.own_ends = pick.own()
        self._own = LengthSums(self.own_begins, self.own_ends)
        self._shared = SharedTime(self.owed, shared)
        self._has = pick.gaps()
        self.counts = times.counts(self._has, pick.gaps_cut)
        self.last_owed = pick.last_owed()
        self.has_nodes = len(self.last_owed) > 0

    def missing_since(self, moments: Numbers) -> list[int]:
        """Node-time that is missing since each moment."""
        return _each_sum([self._own.since(moments), self._shared.since(moments)])

    def node_times(self, beginnings: Sequence[Beginning]) -> list[NodeTime]:
        """The time since each of them."""
        since, known = numbers([one[0] for one in beginnings]), numbers([one[1] for one in beginnings])
        found = zip(
            _behind(self.last_owed, since),
            self.owed.since(since),
            self.owed.since(known),
            self.missing_since(known),
            strict=True,
        )
        missing = ((nodes, owed, more + owed - owed_known) for nodes, owed, owed_known, more in found)
        return [NodeTime(nodes, (owed - all_) // NS_PER_MS, -(-all_ // NS_PER_MS)) for nodes, owed, all_ in missing]

    def longest(self, since_ns: int, ranking: GapRanking) -> list[MissingInterval]:
        """The longest gaps since the moment, and perhaps others."""
        if not self.has_nodes:
            return []
        found, has = ranking.since(since_ns), self._has
        longest = found.longest[has[found.longest]][:MAX_GAPS]
        if len(longest) < MAX_GAPS and not found.are_all:
            if self._ranked is None:
                self._ranked = ranking.by_size[has[ranking.by_size]]
            longest = ranking.longest_of(self._ranked, since_ns)
        begun = found.going_on[has[found.going_on]][:MAX_GAPS]
        gaps = self._times.gaps
        return [gaps[place] for place in (*longest.tolist(), *begun.tolist())] + self.pick.gaps_cut


class ShareSums:
    """The share of some nodes, up to one end.

    They are one or two picks: what holds for every file, and what holds for one.
    """

    def __init__(
        self, sums: Sequence[PickSums], ranking: GapRanking, of_all: Sequence[MissingInterval], until_ns: int
    ) -> None:
        """`ranking` has the gaps of all nodes, one by one, and `of_all` those that any node has."""
        self._sums = sums
        self._ranking = ranking
        self._of_all = of_all
        self._counts = [GapCounts.of(of_all), *(one.counts for one in sums)]
        self._until_ns = until_ns
        lasting = [gap for gap in of_all if gap.to_ns > gap.from_ns]
        begins = [numbers([gap.from_ns for gap in lasting]), *(one.own_begins for one in sums)]
        ends = [numbers([gap.to_ns for gap in lasting]), *(one.own_ends for one in sums)]
        self._united = united(_in_order(begins), _in_order(ends))
        self._last_owed = [one.last_owed for one in sums]
        self._last_owed_twice = numbers([])
        if len(sums) > 1 and sums[0].has_nodes:
            self._last_owed_twice = np.sort(numbers(_earlier_ends(sums[0].pick, sums[1].pick)))

    def since(self, beginnings: Sequence[Beginning]) -> list[Share]:
        """The share since each of them."""
        since, known = numbers([one[0] for one in beginnings]), numbers([one[1] for one in beginnings])
        owed, owed_known = (_each_sum([one.owed.since(at) for one in self._sums]) for at in (since, known))
        missing = _each_sum([one.missing_since(known) for one in self._sums])
        lost = zip(*(counts.events_lost(since) for counts in self._counts), strict=True)
        counts = _each_sum([counts.count(since) for counts in self._counts])
        found = zip(owed, owed_known, missing, lost, counts, self._united.since(known), self._nodes(since), strict=True)
        return [self._share(one, _Sums(*sums)) for one, sums in zip(beginnings, found, strict=True)]

    def _share(self, beginning: Beginning, found: _Sums) -> Share:
        since_ns, known_ns, extra = beginning
        missing = found.missing + found.owed - found.owed_known
        count = len(extra) + found.gaps
        gaps = self._gaps(since_ns, extra) if count else ()
        return Share(
            nodes=found.nodes,
            watched_ms=(found.owed - missing) // NS_PER_MS,
            missing_ms=-(-missing // NS_PER_MS),
            complete_ns=max(0, self._until_ns - known_ns - found.incomplete_ns),
            events_lost=None if None in found.lost else sum([one or 0 for one in found.lost]),
            gaps=gaps,
            gaps_more=count - len(gaps),
        )

    def _gaps(self, since_ns: int, extra: Sequence[MissingInterval]) -> tuple[MissingInterval, ...]:
        candidates = [*self._of_all, *(gap for one in self._sums for gap in one.longest(since_ns, self._ranking))]
        found = [*extra]
        for gap in candidates:
            if gap[0] >= since_ns:
                found.append(gap)
            elif gap[1] > since_ns:
                found.append(gap._replace(from_ns=since_ns))
        return tuple(sorted(found, key=by_size)[:MAX_GAPS])

    def _nodes(self, since: Numbers) -> list[int]:
        """Nodes that owe since each moment; one that is in both sets counts once."""
        twice = _behind(self._last_owed_twice, since)
        each = _each_sum([_behind(one, since) for one in self._last_owed])
        return [several - both for several, both in zip(each, twice, strict=True)]


def _each_sum(found: Sequence[Sequence[int]]) -> list[int]:
    """Sums of the first ones, of the second ones, and so on."""
    return [sum(several) for several in zip(*found, strict=True)]


def _in_order(found: Sequence[Numbers]) -> Numbers:
    """All of them; each is in order already."""
    some = [one for one in found if len(one)]
    return some[0] if len(some) == 1 else np.sort(np.concatenate(found))


def _behind(ends: Numbers, since: Numbers) -> list[int]:
    found: list[int] = (len(ends) - ends.searchsorted(since, "right")).tolist()
    return found


def _earlier_ends(one: Pick, other: Pick) -> list[int]:
    """Of the nodes that are in both: when they cease to owe in the first of the two."""
    return [min(one.end_of(number), other.end_of(number)) for number in one.numbers() & other.numbers()]

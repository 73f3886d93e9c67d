"""Node-time that was owed, and how much of it is missing, for some nodes and any beginning.

It is summed up once. Then an answer for a beginning costs a few binary searches, however many nodes there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from agents.coverage.fleet_times import Pick
from agents.coverage.interval import Interval
from agents.coverage.missing import MAX_GAPS, GapCounts, GapRanking, MissingInterval, by_size
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


class PickSums:
    """The sums of a pick. In the stretches `shared`, something is missing on every node."""

    def __init__(self, pick: Pick, shared: Sequence[Interval]) -> None:
        self.pick = pick
        self._by_size: list[MissingInterval] | None = None
        self.owed = LengthSums(*pick.owed())
        self.own_begins, self.own_ends = pick.own()
        self.own = LengthSums(self.own_begins, self.own_ends)
        self.shared = SharedTime(self.owed, shared)
        self.counts = pick.counts()
        self.last_owed = pick.last_owed()
        self.has_nodes = len(self.last_owed) > 0

    def missing_since(self, moment_ns: int) -> int:
        """Node-time that is missing since the moment."""
        return self.own.since(moment_ns) + self.shared.since(moment_ns)

    def longest(self, since_ns: int, ranking: GapRanking) -> list[MissingInterval]:
        """The longest gaps since the moment, and perhaps others."""
        if not self.has_nodes:
            return []
        found, has = ranking.since(since_ns), self.pick.has
        longest = list(islice((gap for gap in found.longest if has(gap)), MAX_GAPS))
        if len(longest) < MAX_GAPS and not found.are_all:
            if self._by_size is None:
                self._by_size = sorted(self.pick.all_gaps(), key=by_size)
            longest = list(islice((gap for gap in self._by_size if gap.from_ns >= since_ns), MAX_GAPS))
        begun = (part for part, gap in found.going_on if has(gap))
        return [*longest, *islice(begun, MAX_GAPS), *self.pick.gaps_cut]


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
        begins = np.concatenate([numbers([gap.from_ns for gap in lasting]), *(one.own_begins for one in sums)])
        ends = np.concatenate([numbers([gap.to_ns for gap in lasting]), *(one.own_ends for one in sums)])
        self._united = united(np.sort(begins), np.sort(ends))
        self._last_owed = [one.last_owed for one in sums]
        self._last_owed_twice = numbers([])
        if len(sums) > 1 and sums[0].has_nodes:
            self._last_owed_twice = np.sort(numbers(_earlier_ends(sums[0].pick, sums[1].pick)))

    def since(self, since_ns: int, known_ns: int, extra: Sequence[MissingInterval]) -> Share:
        """The share since `since_ns`. Before `known_ns` all is missing, and `extra` are the gaps that say why."""
        owed = sum([one.owed.since(since_ns) for one in self._sums])
        owed_known = sum([one.owed.since(known_ns) for one in self._sums]) if known_ns > since_ns else owed
        missing = owed - owed_known + sum([one.missing_since(known_ns) for one in self._sums])
        lost = [counts.events_lost(since_ns) for counts in self._counts]
        count = len(extra) + sum([counts.count(since_ns) for counts in self._counts])
        gaps = self._gaps(since_ns, extra) if count else ()
        return Share(
            nodes=self._nodes(since_ns),
            watched_ms=(owed - missing) // NS_PER_MS,
            missing_ms=-(-missing // NS_PER_MS),
            complete_ns=max(0, self._until_ns - known_ns - self._united.since(known_ns)),
            events_lost=None if None in lost else sum([one or 0 for one in lost]),
            gaps=gaps,
            gaps_more=count - len(gaps),
        )

    def _gaps(self, since_ns: int, extra: Sequence[MissingInterval]) -> tuple[MissingInterval, ...]:
        candidates = [*self._of_all, *(gap for one in self._sums for gap in one.longest(since_ns, self._ranking))]
        found = [*extra]
        for gap in candidates:
            if gap.from_ns >= since_ns:
                found.append(gap)
            elif gap.to_ns > since_ns:
                found.append(gap._replace(from_ns=since_ns))
        return tuple(sorted(found, key=by_size)[:MAX_GAPS])

    def _nodes(self, since_ns: int) -> int:
        """Nodes that owe since the moment; one that is in both sets counts once."""
        return sum([_behind(one, since_ns) for one in self._last_owed]) - _behind(self._last_owed_twice, since_ns)


def _behind(ends: Numbers, since_ns: int) -> int:
    return len(ends) - int(ends.searchsorted(since_ns, "right"))


def _earlier_ends(one: Pick, other: Pick) -> list[int]:
    """Of the nodes that are in both: when they cease to owe in the first of the two."""
    return [min(one.end_of(number), other.end_of(number)) for number in one.numbers() & other.numbers()]

"""Node-time that was owed, and how much of it is missing, for some nodes and any beginning.

It is summed up once. Then an answer for a beginning costs a few binary searches, however many nodes there are.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, join, uncovered
from agents.coverage.missing import MAX_GAPS, GapRanking, MissingInterval, by_size
from agents.coverage.sums import LengthSums, SharedTime
from schemas.node import NodeId
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


class OwedPart(NamedTuple):
    """What one node owed, or the part of it in which a file was placed there; `united` is what is missing of it."""

    owed: Sequence[Interval]
    missing: Sequence[MissingInterval]
    united: Sequence[Interval]


class PartSums:
    """The sums of many nodes' parts. In the stretches `shared`, something is missing on every node."""

    def __init__(self, parts: Mapping[NodeId, OwedPart], shared: Sequence[Interval]) -> None:
        owed = LengthSums([one for part in parts.values() for one in part.owed])
        own = [one for part in parts.values() for stretch in part.united for one in uncovered(stretch, shared)]
        self.owed = owed
        self.shared = SharedTime(owed, shared)
        self.own = LengthSums(own)
        self.united = join(own)
        self.ranking = GapRanking([one for part in parts.values() for one in part.missing])
        self.ends = {node: part.owed[-1].to_ns for node, part in parts.items() if part.owed}

    def missing_since(self, moment_ns: int) -> int:
        """Node-time that is missing since the moment."""
        return self.own.since(moment_ns) + self.shared.since(moment_ns)


class ShareSums:
    """The share of some nodes, up to one end.

    They are one or two sets of parts: what holds for every file, and what holds for one.
    """

    def __init__(self, sums: Sequence[PartSums], of_all: GapRanking, shared: Sequence[Interval], until_ns: int) -> None:
        """`of_all` are the gaps of all nodes, and `shared` when they are."""
        self._sums = sums
        self._rankings = [of_all, *(one.ranking for one in sums)]
        self._until_ns = until_ns
        self._united = LengthSums(join([*shared, *(stretch for one in sums for stretch in one.united)]))
        first, *others = [one.ends for one in sums]
        self._ends = sorted(first.values())
        self._more_ends = sorted(end for ends in others for end in ends.values())
        self._both_ends = sorted(
            min(end, first[node]) for ends in others for node, end in ends.items() if node in first
        )

    def since(self, since_ns: int, known_ns: int, extra: Sequence[MissingInterval]) -> Share:
        """The share since `since_ns`. Before `known_ns` all is missing, and `extra` are the gaps that say why."""
        owed = sum(one.owed.since(since_ns) for one in self._sums)
        owed_known = sum(one.owed.since(known_ns) for one in self._sums)
        missing = owed - owed_known + sum(one.missing_since(known_ns) for one in self._sums)
        lost = [ranking.events_lost(since_ns) for ranking in self._rankings]
        gaps = [*extra, *(gap for ranking in self._rankings for gap in ranking.largest(since_ns))]
        count = len(extra) + sum(ranking.count(since_ns) for ranking in self._rankings)
        listed = tuple(sorted(gaps, key=by_size)[:MAX_GAPS])
        return Share(
            nodes=self._nodes(since_ns),
            watched_ms=(owed - missing) // NS_PER_MS,
            missing_ms=-(-missing // NS_PER_MS),
            complete_ns=max(0, self._until_ns - known_ns - self._united.since(known_ns)),
            events_lost=None if None in lost else sum(one or 0 for one in lost),
            gaps=listed,
            gaps_more=count - len(listed),
        )

    def _nodes(self, since_ns: int) -> int:
        """Nodes that owe since the moment; one that is in both sets counts once."""
        return _behind(self._ends, since_ns) + _behind(self._more_ends, since_ns) - _behind(self._both_ends, since_ns)


def _behind(ends: Sequence[int], since_ns: int) -> int:
    return len(ends) - bisect_right(ends, since_ns)

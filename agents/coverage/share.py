"""Node-time that was owed, and how much of it is missing, for some nodes and any beginning.

It is summed up once. Then an answer for a beginning costs a few binary searches, however many nodes there are.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, join, uncovered
from agents.coverage.missing import MAX_GAPS, NO_ENDS, GapCounts, GapEnds, GapRanking, MissingInterval, by_size, ends_of
from agents.coverage.sums import LengthSums, SharedTime, sums_of
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
    """What one node owed, or the part of it in which a file was placed there.

    `own` is what is missing of it, without the gaps of all nodes. All are begins and ends apart.
    """

    owed_begins: tuple[int, ...]
    owed_ends: tuple[int, ...]
    own_begins: tuple[int, ...] = ()
    own_ends: tuple[int, ...] = ()
    gaps: tuple[MissingInterval, ...] = ()
    ends: GapEnds = NO_ENDS


def owed_part(
    owed: Sequence[Interval], missing: Sequence[MissingInterval], united: Sequence[Interval], shared: Sequence[Interval]
) -> OwedPart:
    """The part of a node that owed these times; `united` is what is missing of them, whatever its cause."""
    begins, ends = tuple([one[0] for one in owed]), tuple([one[1] for one in owed])
    if not missing:
        return OwedPart(begins, ends)
    own = [one for stretch in united for one in uncovered(stretch, shared)] if shared else united
    gaps = tuple(missing)
    return OwedPart(begins, ends, tuple([o[0] for o in own]), tuple([o[1] for o in own]), gaps, ends_of(gaps))


class PartSums:
    """The sums of many nodes' parts. In the stretches `shared`, something is missing on every node."""

    def __init__(
        self, parts: Mapping[NodeId, OwedPart], shared: Sequence[Interval], whole: Collection[NodeId] | None = None
    ) -> None:
        """`whole` are the nodes whose part is all that they owed; None: all of them."""
        owed_begins: list[int] = []
        owed_ends: list[int] = []
        own_begins: list[int] = []
        own_ends: list[int] = []
        for part in parts.values():
            owed_begins += part.owed_begins
            owed_ends += part.owed_ends
            if part.own_begins:
                own_begins += part.own_begins
                own_ends += part.own_ends
        self._parts = parts
        self._whole = whole
        partial = () if whole is None else [part for node, part in parts.items() if node not in whole]
        self._partial = [gap for part in partial for gap in part.gaps]
        self.owed = LengthSums(owed_begins, owed_ends)
        self.own = LengthSums(own_begins, own_ends)
        self.shared = SharedTime(self.owed, shared)
        self.counts = GapCounts([part.ends for part in parts.values()])
        self.ends = {node: part.owed_ends[-1] for node, part in parts.items()}

    def missing_since(self, moment_ns: int) -> int:
        """Node-time that is missing since the moment."""
        return self.own.since(moment_ns) + self.shared.since(moment_ns)

    def longest(self, since_ns: int, ranking: GapRanking) -> list[MissingInterval]:
        """The longest gaps since the moment, and perhaps others; `ranking` has those of all nodes."""
        found = ranking.longest(since_ns, self._whole)
        if found is None:
            found = [gap for node in self._whole or () for gap in self._parts[node].gaps]
        return [*found, *self._partial]


class ShareSums:
    """The share of some nodes, up to one end.

    They are one or two sets of parts: what holds for every file, and what holds for one.
    """

    def __init__(
        self, sums: Sequence[PartSums], ranking: GapRanking, of_all: Sequence[MissingInterval], until_ns: int
    ) -> None:
        """`ranking` has the gaps of all nodes, one by one, and `of_all` those that any node has."""
        self._sums = sums
        self._ranking = ranking
        self._of_all = of_all
        self._counts = [GapCounts([ends_of(of_all)]), *(one.counts for one in sums)]
        self._until_ns = until_ns
        united = [stretch for one in sums for stretch in one.own.united()]
        self._united = sums_of(join([*united, *(Interval(gap.from_ns, gap.to_ns) for gap in of_all)]))
        first, *others = [one.ends for one in sums]
        self._ends = sorted(first.values())
        self._more_ends = sorted(end for ends in others for end in ends.values())
        self._both_ends = sorted(
            min(end, first[node]) for ends in others for node, end in ends.items() if node in first
        )

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
        return _behind(self._ends, since_ns) + _behind(self._more_ends, since_ns) - _behind(self._both_ends, since_ns)


def _behind(ends: Sequence[int], since_ns: int) -> int:
    return len(ends) - bisect_right(ends, since_ns)

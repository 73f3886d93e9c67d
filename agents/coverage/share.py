"""Node-time that was owed, and how much of it is missing, for any beginning.

It is summed up once. Then shares for many beginnings cost a few binary searches each, however many nodes there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from agents.coverage.fleet_times import FleetTimes
from agents.coverage.interval import Interval
from agents.coverage.missing import MAX_GAPS, GapColumns, GapCounts, GapRanking, MissingInterval, by_size
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
    """What a share is made of. `missing` is of the time that is known."""

    owed: int
    owed_known: int
    missing: int
    lost: int | None
    gaps: int
    incomplete_ns: int
    nodes: int


@dataclass(frozen=True, slots=True)
class NodeTime:
    """Node-time since a moment, without its gaps; rounded as in `Share`."""

    nodes: int = 0
    watched_ms: int = 0
    missing_ms: int = 0


class NodeTimeSums:
    """The sums of nodes, each from a moment on. In the stretches `shared`, something is missing on every node."""

    def __init__(self, times: FleetTimes, moments: Numbers, shared: Sequence[Interval]) -> None:
        """`moments` has that of each node, by its number."""
        self.owed = LengthSums(*times.owed.since(moments))
        self.own_begins, self.own_ends = times.own.since(moments)
        self._own = LengthSums(self.own_begins, self.own_ends)
        self._shared = SharedTime(self.owed, shared)
        self._last_owed = np.sort(times.last_owed[times.last_owed > moments])

    def missing_since(self, moments: Numbers) -> list[int]:
        """Node-time that is missing since each moment."""
        return [own + all_ for own, all_ in zip(self._own.since(moments), self._shared.since(moments), strict=True)]

    def nodes_since(self, moments: Numbers) -> list[int]:
        """Nodes that owe since each moment."""
        found: list[int] = (len(self._last_owed) - self._last_owed.searchsorted(moments, "right")).tolist()
        return found

    def node_times(self, beginnings: Sequence[Beginning]) -> list[NodeTime]:
        """The time since each of them."""
        since, known = numbers([one[0] for one in beginnings]), numbers([one[1] for one in beginnings])
        found = zip(
            self.nodes_since(since),
            self.owed.since(since),
            self.owed.since(known),
            self.missing_since(known),
            strict=True,
        )
        missing = ((nodes, owed, more + owed - owed_known) for nodes, owed, owed_known, more in found)
        return [NodeTime(nodes, (owed - all_) // NS_PER_MS, -(-all_ // NS_PER_MS)) for nodes, owed, all_ in missing]


class ShareSums:
    """The share of all nodes, up to one end."""

    def __init__(
        self, sums: NodeTimeSums, gaps: Sequence[MissingInterval], of_all: Sequence[MissingInterval], until_ns: int
    ) -> None:
        """`gaps` are those of the nodes, one by one, and `of_all` those that any node has."""
        self._sums = sums
        columns = GapColumns([*of_all, *gaps])
        self._ranking, self._counts = GapRanking(columns), GapCounts(columns)
        self._until_ns = until_ns
        lasting = [gap for gap in of_all if gap.to_ns > gap.from_ns]
        begins, ends = numbers([gap.from_ns for gap in lasting]), numbers([gap.to_ns for gap in lasting])
        self._united = united(
            np.sort(np.concatenate((sums.own_begins, begins))), np.sort(np.concatenate((sums.own_ends, ends)))
        )

    def since(self, beginnings: Sequence[Beginning]) -> list[Share]:
        """The share since each of them."""
        since, known = numbers([one[0] for one in beginnings]), numbers([one[1] for one in beginnings])
        found = zip(
            self._sums.owed.since(since),
            self._sums.owed.since(known),
            self._sums.missing_since(known),
            self._counts.events_lost(since),
            self._counts.count(since),
            self._united.since(known),
            self._sums.nodes_since(since),
            strict=True,
        )
        return [self._share(one, _Sums(*sums)) for one, sums in zip(beginnings, found, strict=True)]

    def _share(self, beginning: Beginning, found: _Sums) -> Share:
        since_ns, known_ns, extra = beginning
        missing = found.missing + found.owed - found.owed_known
        count = len(extra) + found.gaps
        gaps = sorted([*extra, *self._ranking.since(since_ns)], key=by_size)[:MAX_GAPS] if count else []
        return Share(
            nodes=found.nodes,
            watched_ms=(found.owed - missing) // NS_PER_MS,
            missing_ms=-(-missing // NS_PER_MS),
            complete_ns=max(0, self._until_ns - known_ns - found.incomplete_ns),
            events_lost=found.lost,
            gaps=tuple(gaps),
            gaps_more=count - len(gaps),
        )

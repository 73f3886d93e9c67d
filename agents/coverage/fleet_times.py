"""When each node of a fleet owed an account and what is missing of it, and picks of that.

A pick is what counts for one file: some nodes, or parts of their time. What it takes as it is, is chosen out of arrays
that the whole fleet has. Only what its windows cut is new. All times fit into 64 bits; sums do not (`sums.py`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from agents.coverage.interval import Interval, cut, outside, overlap
from agents.coverage.missing import GapCounts, MissingInterval, end_of, is_uncounted
from agents.coverage.node_account import NodeAccount
from agents.coverage.sums import Numbers, numbers
from schemas.node import NodeId

Windows = Sequence[Interval]
"""In order, without overlaps."""

Flags: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.bool]]"

_begin_of: Final = itemgetter(0)
_end_of: Final = itemgetter(1)


class _NodeTimes(NamedTuple):
    """One node. What it has is in the arrays of the fleet, from the places `own_at` and `gaps_at` on."""

    number: int
    owed: Sequence[Interval]
    own: Sequence[Interval]
    own_at: int
    gaps: Sequence[MissingInterval]
    """In the order of their begins."""
    gaps_at: int
    gaps_end_ns: int


class Pick:
    """What counts of some nodes. `add` takes a node, whole or within windows."""

    def __init__(self, times: "FleetTimes") -> None:
        self._times = times
        self._whole: list[int] = []
        self._is_whole = bytearray(len(times.of_node))
        self._windows: dict[int, Windows] = {}
        """Of the nodes of which parts are there, by their number."""
        self._owed: list[Interval] = []
        self._own: list[tuple[int, int]] = []
        self._own_cut: list[Interval] = []
        self._gaps: list[tuple[int, int]] = []
        self.gaps_cut: list[MissingInterval] = []
        self._last_owed: list[int] = []

    def add(self, node: NodeId, windows: Windows | None = None) -> None:
        """Take what a node owed, of it what lies in the windows."""
        times = self._times.of_node.get(node)
        if times is None:
            return
        if windows is not None and (
            len(windows) != 1 or windows[0][0] > times.owed[0][0] or windows[0][1] < times.owed[-1][1]
        ):
            self._add_part(times, windows)
        else:
            self._whole.append(times.number)
            self._is_whole[times.number] = 1

    def owed(self) -> tuple[Numbers, Numbers]:
        """Begins and ends of what the nodes owed, each in order."""
        return self._intervals(self._times.owed_begins, self._times.owed_ends, self._times.owed_of, [], self._owed)

    def own(self) -> tuple[Numbers, Numbers]:
        """Begins and ends of what is missing on single nodes, each in order."""
        times = self._times
        return self._intervals(times.own_begins, times.own_ends, times.own_of, self._own, self._own_cut)

    def counts(self) -> GapCounts:
        """How many gaps there are, and what they lost."""
        return self._times.counts(self._chosen(self._times.gaps_of, self._gaps), self.gaps_cut)

    def last_owed(self) -> Numbers:
        """When each node ceases to owe, in order."""
        times = self._times
        return np.sort(np.concatenate((times.last_owed[self._whole], numbers(self._last_owed))))

    def numbers(self) -> set[int]:
        """The nodes that are there."""
        return {*self._whole, *self._windows}

    def end_of(self, number: int) -> int:
        """When a node that is there ceases to owe."""
        if self._is_whole[number]:
            return int(self._times.last_owed[number])
        return overlap(self._times.owed_by(number), self._windows[number])[-1][1]

    def has(self, gap: MissingInterval) -> bool:
        """Whether it has this gap of the fleet, as it is."""
        number = self._times.of_node[gap.node].number if gap.node else 0
        if self._is_whole[number]:
            return True
        windows = self._windows.get(number, ())
        at = bisect_right(windows, gap.from_ns, key=_begin_of) - 1
        return at >= 0 and gap.from_ns < windows[at][1] >= gap.to_ns

    def all_gaps(self) -> list[MissingInterval]:
        """Those that it has as they are."""
        return [self._times.gaps[place] for place in np.nonzero(self._chosen(self._times.gaps_of, self._gaps))[0]]

    def _chosen(self, owners: Numbers, parts: Iterable[tuple[int, int]]) -> Flags:
        chosen = np.frombuffer(self._is_whole, bool)[owners]
        for begin, end in parts:
            chosen[begin:end] = True
        return chosen

    def _intervals(
        self,
        begins: Numbers,
        ends: Numbers,
        owners: Numbers,
        parts: Iterable[tuple[int, int]],
        more: Sequence[Interval],
    ) -> tuple[Numbers, Numbers]:
        chosen = self._chosen(owners, parts)
        found = begins[chosen], ends[chosen]
        if more:
            found = (
                np.concatenate((found[0], numbers([one[0] for one in more]))),
                np.concatenate((found[1], numbers([one[1] for one in more]))),
            )
        return np.sort(found[0]), np.sort(found[1])

    def _add_part(self, times: _NodeTimes, windows: Windows) -> None:
        owed = overlap(times.owed, windows)
        if not owed:
            return
        self._windows[times.number] = windows
        self._owed += owed
        self._last_owed.append(owed[-1][1])
        if times.gaps:
            for window in windows:
                self._add_own(times, window)
                self._add_gaps(times, window)

    def _add_own(self, times: _NodeTimes, window: Interval) -> None:
        own = times.own
        first, behind = bisect_left(own, window[0], key=_begin_of), bisect_right(own, window[1], key=_end_of)
        if first < behind:
            self._own.append((times.own_at + first, times.own_at + behind))
        for at in {first - 1, behind}:
            if 0 <= at < len(own) and own[at][0] < window[1] and own[at][1] > window[0]:
                part = cut(own[at], window)
                if part != own[at]:
                    self._own_cut.append(part)

    def _add_gaps(self, times: _NodeTimes, window: Interval) -> None:
        gaps, at = times.gaps, times.gaps_at
        first = bisect_left(gaps, window[0], key=_begin_of)
        behind = bisect_left(gaps, window[1], first, key=_begin_of)
        cut_ones = [gap for gap in gaps[:first] if gap[1] > window[0]]
        if window[1] >= times.gaps_end_ns:
            self._gaps.append((at + first, at + behind))
        else:
            for place in range(first, behind):
                if gaps[place][1] <= window[1]:
                    self._gaps.append((at + place, at + place + 1))
                else:
                    cut_ones.append(gaps[place])
        for gap in cut_ones:
            begin_ns, end_ns = cut(gap, window)
            self.gaps_cut.append(gap._replace(from_ns=begin_ns, to_ns=end_ns))


class FleetTimes:
    """All nodes that owe. In the stretches `shared` something is missing on every node, so no node has them itself."""

    def __init__(self, accounts: Mapping[NodeId, NodeAccount], shared: Sequence[Interval]) -> None:
        owed: list[Interval] = []
        own: list[Interval] = []
        self.gaps: list[MissingInterval] = []
        self.of_node: dict[NodeId, _NodeTimes] = {}
        owners: tuple[list[int], list[int], list[int]] = [], [], []
        for node, account in accounts.items():
            if not account.owed:
                continue
            its_own = tuple(outside(account.united, shared)) if shared else account.united
            gaps = sorted(account.missing, key=_begin_of)
            number, end_ns = len(self.of_node), max(map(end_of, gaps), default=0)
            self.of_node[node] = _NodeTimes(number, account.owed, its_own, len(own), gaps, len(self.gaps), end_ns)
            for has, found in zip(owners, (account.owed, its_own, gaps), strict=True):
                has.extend([number] * len(found))
            owed += account.owed
            own += its_own
            self.gaps += gaps
        self.owed_of, self.own_of, self.gaps_of = (numbers(one) for one in owners)
        self.owed_begins, self.owed_ends = numbers([one[0] for one in owed]), numbers([one[1] for one in owed])
        self.own_begins, self.own_ends = numbers([one[0] for one in own]), numbers([one[1] for one in own])
        self.last_owed = numbers([times.owed[-1][1] for times in self.of_node.values()])
        self._gap_ends = numbers([end_of(gap) for gap in self.gaps])
        self._lost = numbers([gap[4] or 0 for gap in self.gaps])
        self._uncounted = np.array([is_uncounted(gap) for gap in self.gaps], bool)

    def owed_by(self, number: int) -> list[Interval]:
        """What a node owed."""
        places = np.nonzero(self.owed_of == number)[0]
        return [Interval(int(self.owed_begins[place]), int(self.owed_ends[place])) for place in places]

    def pick(self, nodes: Iterable[tuple[NodeId, Windows | None]]) -> Pick:
        """Of these nodes what lies in their windows; None: all of it."""
        found = Pick(self)
        for node, windows in nodes:
            found.add(node, windows)
        return found

    def counts(self, chosen: Flags, more: Sequence[MissingInterval]) -> GapCounts:
        """Of the gaps that are chosen, and of more."""
        ends, lost = self._gap_ends[chosen], self._lost[chosen]
        uncounted = [*ends[self._uncounted[chosen]].tolist(), *(end_of(one) for one in more if is_uncounted(one))]
        if more:
            ends = np.concatenate((ends, numbers([end_of(one) for one in more])))
            lost = np.concatenate((lost, numbers([one.events_lost or 0 for one in more])))
        return GapCounts(ends, lost, max(uncounted, default=0))

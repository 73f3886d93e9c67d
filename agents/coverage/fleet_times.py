"""When each node of a fleet owed an account and what is missing of it, and picks of that.

A pick is what counts for one file: some nodes, or parts of their time. What it takes as it is, is chosen out of arrays
that the whole fleet has, and that are in order. Only what its windows cut is new. All times fit into 64 bits; sums do
not (`sums.py`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from agents.coverage.interval import Interval, cut, outside, overlap
from agents.coverage.missing import GapCounts, MissingInterval, Places, end_of, is_uncounted
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
    owed_from_ns: int
    owed_to_ns: int
    owed: Sequence[Interval]
    own: Sequence[Interval]
    own_at: int
    gaps: Sequence[MissingInterval]
    """In the order of their begins."""
    gaps_at: int
    gaps_end_ns: int


class Pick:
    """What counts of some nodes. `add` takes nodes, whole or within windows."""

    def __init__(self, times: "FleetTimes") -> None:
        self._times = times
        self._whole: list[int] = []
        self._windows: dict[int, Windows] = {}
        """Of the nodes of which parts are there, by their number."""
        self._owed: list[Interval] = []
        self._own: list[tuple[int, int]] = []
        self._own_cut: list[Interval] = []
        self._gaps: list[tuple[int, int]] = []
        self.gaps_cut: list[MissingInterval] = []
        self._last_owed: list[int] = []

    def add(self, nodes: Iterable[tuple[NodeId, Windows | None]]) -> None:
        """Take what nodes owed, of it what lies in the windows; None: all of it."""
        of_node, whole = self._times.of_node, self._whole
        for node, windows in nodes:
            times = of_node.get(node)
            if times is None:
                continue
            if windows is None:
                whole.append(times.number)
                continue
            if len(windows) == 1:  # nearly always
                from_ns, to_ns = windows[0]
                if from_ns <= times.owed_from_ns and to_ns >= times.owed_to_ns:
                    whole.append(times.number)
                    continue
            self._add_part(times, windows)

    def owed(self) -> tuple[Numbers, Numbers]:
        """Begins and ends of what the nodes owed, each in order."""
        return self._times.owed.chosen(self._chosen(self._times.owed.owners, ()), self._owed)

    def own(self) -> tuple[Numbers, Numbers]:
        """Begins and ends of what is missing on single nodes, each in order."""
        return self._times.own.chosen(self._chosen(self._times.own.owners, self._own), self._own_cut)

    def gaps(self) -> Flags:
        """Which gaps of the fleet it has as they are, by place."""
        return self._chosen(self._times.gaps_of, self._gaps)

    def last_owed(self) -> Numbers:
        """When each node ceases to owe, in order."""
        times = self._times
        return np.sort(np.concatenate((times.last_owed[self._whole], numbers(self._last_owed))))

    def numbers(self) -> set[int]:
        """The nodes that are there."""
        return {*self._whole, *self._windows}

    def end_of(self, number: int) -> int:
        """When a node that is there ceases to owe."""
        if number not in self._windows:
            return int(self._times.last_owed[number])
        return overlap(self._times.owed_by(number), self._windows[number])[-1][1]

    def _chosen(self, owners: Places, parts: Iterable[tuple[int, int]]) -> Flags:
        is_whole = np.zeros(len(self._times.of_node), bool)
        is_whole[self._whole] = True
        chosen = is_whole[owners]
        for begin, end in parts:
            chosen[begin:end] = True
        return chosen

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


class _Stretches:
    """Stretches of time of all nodes, those of a node behind each other. `owners` has the node of each."""

    def __init__(self, found: Sequence[Interval], owners: Sequence[int]) -> None:
        self.owners = np.array(owners, np.int32)
        begins, ends = numbers([one[0] for one in found]), numbers([one[1] for one in found])
        self._by_begin, self._by_end = _order_of(begins), _order_of(ends)
        self._begins, self._ends = begins[self._by_begin], ends[self._by_end]

    def chosen(self, chosen: Flags, more: Sequence[Interval]) -> tuple[Numbers, Numbers]:
        """Begins and ends of those that are chosen and of more, each in order."""
        begins, ends = self._begins[chosen[self._by_begin]], self._ends[chosen[self._by_end]]
        if not more:
            return begins, ends
        begins = np.concatenate((begins, numbers([one[0] for one in more])))
        return np.sort(begins), np.sort(np.concatenate((ends, numbers([one[1] for one in more]))))


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
            self.of_node[node] = _NodeTimes(
                number,
                account.owed[0][0],
                account.owed[-1][1],
                account.owed,
                its_own,
                len(own),
                gaps,
                len(self.gaps),
                end_ns,
            )
            for has, found in zip(owners, (account.owed, its_own, gaps), strict=True):
                has.extend([number] * len(found))
            owed += account.owed
            own += its_own
            self.gaps += gaps
        self.owed, self.own = _Stretches(owed, owners[0]), _Stretches(own, owners[1])
        self.gaps_of = np.array(owners[2], np.int32)
        self._by_number = list(self.of_node.values())
        self.last_owed = numbers([times.owed_to_ns for times in self._by_number])
        gap_ends = numbers([end_of(gap) for gap in self.gaps])
        self._by_end = _order_of(gap_ends)
        self._gap_ends = gap_ends[self._by_end]
        self._lost = numbers([gap[4] or 0 for gap in self.gaps])[self._by_end]
        self._uncounted = np.array([is_uncounted(gap) for gap in self.gaps], bool)[self._by_end]

    def owed_by(self, number: int) -> Sequence[Interval]:
        """What a node owed."""
        return self._by_number[number].owed

    def pick(self, nodes: Iterable[tuple[NodeId, Windows | None]]) -> Pick:
        """Of these nodes what lies in their windows; None: all of it."""
        found = Pick(self)
        found.add(nodes)
        return found

    def counts(self, chosen: Flags, more: Sequence[MissingInterval]) -> GapCounts:
        """Of the gaps that are chosen, and of more."""
        chosen = chosen[self._by_end]
        ends, lost = self._gap_ends[chosen], self._lost[chosen]
        uncounted = [*ends[self._uncounted[chosen]][-1:].tolist(), *(end_of(one) for one in more if is_uncounted(one))]
        if more:
            ends = np.concatenate((ends, numbers([end_of(one) for one in more])))
            lost = np.concatenate((lost, numbers([one.events_lost or 0 for one in more])))
            order = np.argsort(ends)
            ends, lost = ends[order], lost[order]
        return GapCounts(ends, lost, max(uncounted, default=0))


def _order_of(found: Numbers) -> Places:
    return np.argsort(found, kind="stable").astype(np.int32)

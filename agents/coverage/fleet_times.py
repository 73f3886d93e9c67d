"""When each node of a fleet owed an account and what is missing of it, as arrays.

All times fit into 64 bits; sums do not (`sums.py`).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from agents.coverage.interval import Interval, outside
from agents.coverage.missing import MissingInterval
from agents.coverage.node_account import NodeAccount
from agents.coverage.sums import Numbers, numbers
from schemas.node import NodeId
from schemas.units import EARLIEST_NS, LATEST_NS


class Stretches:
    """Stretches of time of nodes, which have numbers."""

    def __init__(self, found: Sequence[Interval], owners: Sequence[int]) -> None:
        """`owners` has the number of the node of each."""
        begins, ends = numbers([one[0] for one in found]), numbers([one[1] for one in found])
        by_end = np.argsort(ends, kind="stable")
        by_end = by_end[begins[by_end] < ends[by_end]]
        self._begins, self._ends, self._owners = begins[by_end], ends[by_end], np.array(owners, np.intp)[by_end]

    def since(self, moments: Numbers) -> tuple[Numbers, Numbers]:
        """Begins and ends of what lies behind the moment of its node, each in order. Moments are by number."""
        at = np.flatnonzero(moments[self._owners] < self._ends)
        return np.sort(np.maximum(self._begins[at], moments[self._owners[at]])), self._ends[at]


class FleetTimes:
    """All nodes that owe. In the stretches `shared` something is missing on every node, so no node has them itself."""

    def __init__(self, accounts: Mapping[NodeId, NodeAccount], shared: Sequence[Interval]) -> None:
        owed: list[Interval] = []
        own: list[Interval] = []
        owes: list[int] = []
        misses: list[int] = []
        self.gaps: list[MissingInterval] = []
        self._number_of: dict[NodeId, int] = {}
        for node, account in accounts.items():
            if not account.owed:
                continue
            number = self._number_of[node] = len(self._number_of)
            its_own = tuple(outside(account.united, shared)) if shared else account.united
            owed += account.owed
            owes += [number] * len(account.owed)
            own += its_own
            misses += [number] * len(its_own)
            self.gaps += account.missing
        self.owed, self.own = Stretches(owed, owes), Stretches(own, misses)
        self.last_owed = numbers([accounts[node].owed[-1][1] for node in self._number_of])
        """When each node ceases to owe, by number."""

    def always(self) -> Numbers:
        """A moment for each node, by number, before all of its time."""
        return np.full(len(self._number_of), EARLIEST_NS, np.int64)

    def moments(self, of: Mapping[NodeId, int]) -> Numbers:
        """The moment of each node, by number; of nodes that have none, one behind all of their time."""
        found = np.full(len(self._number_of), LATEST_NS, np.int64)
        numbered = numbers([self._number_of.get(node, -1) for node in of])
        has = numbered >= 0
        found[numbered[has]] = np.fromiter(of.values(), np.int64, len(of))[has]
        return found

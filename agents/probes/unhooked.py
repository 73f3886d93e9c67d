"""On which nodes not all entries of a watched function had a hook since a moment. Its file may have been on any.

Of each node only the last moment without is kept: it decides for every beginning. Nodes that never had a hook of a
policy are counted once for all functions, so a function costs what the nodes cost that have its hooks.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from agents.coverage.interval import Interval
from agents.coverage.sums import Numbers
from agents.probes.hook_windows import HookWindows, NeededHooks
from agents.probes.probe_table import PackedWindows
from schemas.node import NodeId
from schemas.units import EARLIEST_NS, LATEST_NS

Flags: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.bool]]"


class Unhooked(NamedTuple):
    """How many nodes, and one of them: that on which it was so last, of several the first by name."""

    nodes: int
    example: NodeId | None


ALL_HOOKED: Final = Unhooked(0, None)


class OwedNodes:
    """When each node was there, as arrays, beside what agents told of hooks. A node's place is that of its name."""

    def __init__(self, owed: Mapping[NodeId, Sequence[Interval]], hooks: HookWindows) -> None:
        """What each node owed is in order and without overlaps. Of nodes that agents name later nothing is known."""
        self.hooks = hooks
        self.names = sorted(node for node, several in owed.items() if any(begin < end for begin, end in several))
        stretches = [
            (place, *one) for place, node in enumerate(self.names) for one in owed[node] if one.from_ns < one.to_ns
        ]
        self._owners, begins, self._ends = np.array(stretches, np.int64).reshape(-1, 3).T
        self._begins = np.sort(begins)
        self._keys = self._key(self._owners, begins)
        self.ends = self._ends[self._owners.searchsorted(np.arange(len(self.names)), "right") - 1]
        """The last moment of each."""
        told = [(place, hooks.numbers[node]) for place, node in enumerate(self.names) if node in hooks.numbers]
        self._place_of = np.full(len(hooks.numbers) + 1, -1, np.int64)
        self.told = [number for _, number in told]
        """The numbers of those of which agents told."""
        self._place_of[self.told] = [place for place, _ in told]

    def ends_before(self, places: Numbers, moments: Numbers) -> Numbers:
        """The end of what each node owed before a moment, `EARLIEST_NS` where it owed nothing."""
        at = self._keys.searchsorted(self._key(places, moments)) - 1
        return np.where((at >= 0) & (self._owners[at] == places), np.minimum(self._ends[at], moments), EARLIEST_NS)

    def _key(self, places: Numbers, moments: Numbers) -> Numbers:
        """Orders by node, and then by how many stretches of all nodes begin before the moment."""
        return places * (len(self._begins) + 1) + self._begins.searchsorted(moments)

    def places(self, told: Mapping[int, object]) -> Numbers:
        """The place of each node with such a number, -1 where it did not owe."""
        return self._place_of[np.minimum(np.fromiter(told, np.int64, len(told)), len(self._place_of) - 1)]

    @cached_property
    def in_order(self) -> Numbers:
        """The last moments of all nodes, in order."""
        return np.sort(self.ends)

    @cached_property
    def latest(self) -> list[int]:
        """All places, the node that was there last first; of several by name."""
        found: list[int] = np.argsort(~self.ends, kind="stable").tolist()
        return found


class UnhookedNodes:
    """The nodes of which some had the needed hooks at some time; `needed` is None where no node ever had them."""

    def __init__(self, nodes: OwedNodes, needed: NeededHooks | None) -> None:
        self._nodes = nodes
        hooked = {} if needed is None else nodes.hooks.hooked_on(needed, nodes.told)
        places = nodes.places(hooked)
        owes = places >= 0
        self._sometimes = places[owes]
        self._ends = _last_unhooked(nodes, self._sometimes, hooked, owes)
        self._own = np.sort(self._ends[self._ends > EARLIEST_NS])
        self._known = np.sort(nodes.ends[self._sometimes])

    def since(self, since_ns: int) -> Unhooked:
        """Those that had no hook at some time behind a moment."""
        found = _after(self._own, since_ns) + _after(self._nodes.in_order, since_ns) - _after(self._known, since_ns)
        return Unhooked(found, self._latest) if found else ALL_HOOKED

    @cached_property
    def _latest(self) -> NodeId:
        """The node that was without a hook last, of several the first by name."""
        found = []
        if len(self._own):
            last_ns = int(self._own[-1])
            found.append((-last_ns, int(self._sometimes[self._ends == last_ns].min())))
        if len(self._sometimes) < len(self._nodes.names):
            known = frozenset(self._sometimes.tolist())
            other = next(place for place in self._nodes.latest if place not in known)
            found.append((-int(self._nodes.ends[other]), other))
        return self._nodes.names[min(found)[1]]


def _after(ends: Numbers, since_ns: int) -> int:
    return len(ends) - int(ends.searchsorted(since_ns, "right"))


def _last_unhooked(nodes: OwedNodes, places: Numbers, hooked: Mapping[int, PackedWindows], owes: Flags) -> Numbers:
    """When each of the nodes at these places last owed without a hook, the end of that; `EARLIEST_NS`: at no time.

    `owes` says which of those with hooks the places are of. From the last to the first it looks at the times between
    two windows of hooks, at those of all nodes together.
    """
    lengths = np.fromiter(map(len, hooked.values()), np.int64, len(hooked))
    windows = np.append(np.frombuffer(b"".join(hooked.values()), np.int64), EARLIEST_NS)
    at = lengths.cumsum()[owes]
    firsts = at - lengths[owes]
    found = np.full(len(places), EARLIEST_NS, np.int64)
    open_ones = np.arange(len(places))
    behind = np.full(len(places), LATEST_NS, np.int64)
    while len(open_ones):
        at = at - 2
        has_window = at >= firsts
        before = windows[np.where(has_window, at + 1, -1)]
        ends = nodes.ends_before(places[open_ones], behind)
        is_unhooked = ends > before
        found[open_ones[is_unhooked]] = ends[is_unhooked]
        goes_on = has_window & ~is_unhooked
        open_ones, at, firsts = open_ones[goes_on], at[goes_on], firsts[goes_on]
        behind = windows[at]
    return found

"""On which nodes not all entries of a watched function had a hook since a moment. Its file may have been on any.

Of each node only the last moment without is kept: it decides for every beginning. Nodes that never had a hook of a
policy are counted once for all functions, so a function costs what the nodes cost that have its hooks.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from agents.coverage.interval import Interval
from agents.probes.hook_windows import HookWindows, NeededHooks
from agents.probes.probe_table import PackedWindows, packed
from schemas.node import NodeId


class Unhooked(NamedTuple):
    """How many nodes, and one of them: that on which it was so last, of several the first by name."""

    nodes: int
    example: NodeId | None


ALL_HOOKED: Final = Unhooked(0, None)


class OwedNodes:
    """When each node was there: in order and without overlaps, and not beyond the end."""

    def __init__(self, owed: Mapping[NodeId, Sequence[Interval]]) -> None:
        """Each node has at least one stretch."""
        self.owed = owed

    @cached_property
    def ends(self) -> list[int]:
        """The last moments of all nodes, in order."""
        return sorted(stretches[-1].to_ns for stretches in self.owed.values())

    @cached_property
    def latest(self) -> list[NodeId]:
        """All nodes, the one that was there last first; of several by name."""
        return sorted(self.owed, key=lambda node: (-self.owed[node][-1].to_ns, node))


class UnhookedNodes:
    """The nodes of which some had the needed hooks at some time; `needed` is None where no node ever had them."""

    def __init__(self, hooks: HookWindows, needed: NeededHooks | None, nodes: OwedNodes) -> None:
        owed, self._nodes = nodes.owed, nodes
        by_one = hooks.hooked_by_one(needed) if needed is not None else {}
        if by_one is None:
            several = needed or frozenset()
            by_one = {node: packed(hooks.hooked(node, several)) for node in hooks.nodes(several) if node in owed}
        self._sometimes: list[NodeId] = []
        self._own: dict[NodeId, int] = {}
        for node, hooked in by_one.items():
            stretches = owed.get(node)
            if stretches is not None:
                self._sometimes.append(node)
                end_ns = last_unhooked(stretches, hooked)
                if end_ns is not None:
                    self._own[node] = end_ns
        self._own_ends = sorted(self._own.values())
        self._has_others = len(self._sometimes) < len(owed)
        self._all_ends = nodes.ends if self._has_others else []
        self._known_ends = sorted([owed[node][-1].to_ns for node in self._sometimes]) if self._has_others else []

    def since(self, since_ns: int) -> Unhooked:
        """Those that had no hook at some time behind a moment."""
        found = _after(self._own_ends, since_ns) + _after(self._all_ends, since_ns) - _after(self._known_ends, since_ns)
        return Unhooked(found, self._latest) if found else ALL_HOOKED

    @cached_property
    def _latest(self) -> NodeId:
        """The node that was without a hook last, of several the first by name."""
        ends = self._own
        if self._has_others:
            known = frozenset(self._sometimes)
            other = next(node for node in self._nodes.latest if node not in known)
            ends = ends | {other: self._nodes.owed[other][-1].to_ns}
        last_ns = max(ends.values())
        return min(node for node, end_ns in ends.items() if end_ns == last_ns)


def _after(ends: Sequence[int], since_ns: int) -> int:
    return len(ends) - bisect_right(ends, since_ns)


def last_unhooked(owed: Sequence[Interval], hooked: PackedWindows) -> int | None:
    """The end of the last time that was owed without a hook; None where there was none. Both are without overlaps."""
    at = len(hooked) - 2
    for from_ns, to_ns in reversed(owed):
        if from_ns >= to_ns:
            continue
        while at >= 0 and hooked[at] >= to_ns:
            at -= 2
        if at < 0 or hooked[at + 1] < to_ns:
            return to_ns
        if hooked[at] > from_ns:
            return hooked[at]
    return None

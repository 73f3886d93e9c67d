"""On which nodes not all entries of a watched function had a hook since a moment, while its file may have been there.

Of each node only the last moment without is kept: it decides for every beginning. Nodes that never had a hook of a
policy are counted once for all functions, so a function costs what the nodes cost that have its hooks.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from agents.coverage.interval import Interval
from agents.probes.hook_windows import HookWindows, NeededHooks
from schemas.node import NodeId


class Unhooked(NamedTuple):
    """How many nodes, and one of them: that on which it was so last, of several the first by name."""

    nodes: int
    example: NodeId | None


ALL_HOOKED: Final = Unhooked(0, None)


class OwedNodes:
    """When each node was there and may have had a file: in order and without overlaps, and not beyond the end."""

    def __init__(self, owed: Mapping[NodeId, Sequence[Interval]]) -> None:
        self.owed = owed
        self.ends = LastMoments((stretches[-1].to_ns, node) for node, stretches in owed.items() if stretches)


class LastMoments:
    """Nodes by the end of the last time without hooks."""

    def __init__(self, moments: Iterable[tuple[int, NodeId]]) -> None:
        self._sorted = sorted((-end_ns, node) for end_ns, node in moments)

    def after(self, since_ns: int) -> int:
        """How many ended behind a moment."""
        return bisect_left(self._sorted, (-since_ns,))

    def latest(self) -> Iterable[tuple[int, NodeId]]:
        """The latest first, and of those of one moment the first by name."""
        return ((-end, node) for end, node in self._sorted)


class UnhookedNodes:
    """The nodes of which some had the needed hooks at some time; `needed` is None where no node ever had them."""

    def __init__(self, hooks: HookWindows, needed: NeededHooks | None, nodes: OwedNodes) -> None:
        found = hooks.nodes(needed) if needed is not None else ()
        self._ends = nodes.ends
        self._sometimes = [node for node in found if nodes.owed.get(node)]
        self._known = frozenset(self._sometimes)
        self._of_known = LastMoments((nodes.owed[node][-1].to_ns, node) for node in self._sometimes)
        self._own = LastMoments(
            (end_ns, node)
            for node in self._sometimes
            if (end_ns := last_unhooked(nodes.owed[node], hooks.hooked(node, needed or frozenset()))) is not None
        )

    def since(self, since_ns: int) -> Unhooked:
        """Those that had no hook at some time behind a moment."""
        own = self._own.after(since_ns)
        others = self._ends.after(since_ns) - self._of_known.after(since_ns)
        if not own and not others:
            return ALL_HOOKED
        examples = [next(iter(self._own.latest()))] if own else []
        if others:
            examples.append(next(one for one in self._ends.latest() if one[1] not in self._known))
        return Unhooked(own + others, min(examples, key=lambda one: (-one[0], one[1]))[1])


def last_unhooked(owed: Sequence[Interval], hooked: Sequence[Interval]) -> int | None:
    """The end of the last time that was owed without a hook; None where there was none. Both are without overlaps."""
    at = len(hooked) - 1
    for stretch in reversed(owed):
        end = stretch.to_ns
        if stretch.from_ns >= end:
            continue
        while at >= 0 and hooked[at].from_ns >= end:
            at -= 1
        if at < 0 or hooked[at].to_ns < end:
            return end
        if hooked[at].from_ns > stretch.from_ns:
            return hooked[at].from_ns
    return None

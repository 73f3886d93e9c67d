"""Where a node had a watched file, and not all entries of the watched function had a hook."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from agents.coverage.interval import Interval, cut, touches, uncovered
from agents.probes.hook_windows import HookWindows, WantedEntries
from schemas.node import NodeId


class Unhooked(NamedTuple):
    """A stretch of time in which a call on a node may have made no event, because no hook was there."""

    from_ns: int
    to_ns: int
    node: NodeId


def unhooked(
    hooks: HookWindows,
    wanted: Sequence[WantedEntries],
    owed: Mapping[NodeId, Sequence[Interval]],
    window: Interval,
) -> Iterator[Unhooked]:
    """What was not hooked of the window, by node and time.

    `owed` is when each node was there and may have had the files, in order and without overlaps. A watch whose code is
    not known in any file was never hooked.
    """
    for node in sorted(owed):
        hooked = hooks.hooked_in_all(node, wanted)
        for stretch in owed[node]:
            if stretch.from_ns < stretch.to_ns and touches(stretch, window):
                for missing in uncovered(cut(stretch, window), hooked):
                    yield Unhooked(*missing, node)

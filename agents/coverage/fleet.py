"""What is known of the coverage of all nodes, from the rows of the table `node-coverage`.

Nodes come and go, so those that are gone for the longest are forgotten when there is no more room; nothing is said of
the time up to the end of the last of them. Whoever may write runtime.coverage may name any number of nodes that are
not gone, so only the first ones are kept. Beyond that nobody knows which nodes are real: any node may have lost events
at any time, and no answer says that something never ran.
"""

from collections.abc import Mapping
from typing import Final

from agents.coverage.covering import ALL_NODES_KEY, parse_node_key
from agents.coverage.lives import FOREVER_NS
from agents.coverage.missing import EXPIRED, TOO_MANY_NODES
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from schemas.node import NodeId
from schemas.units import EARLIEST_NS, LATEST_NS

MAX_NODES: Final = 100_000
"""Nodes that are kept, at some 1 kB each: a month of 10,000 nodes that live for a week, twice over."""

_AT_ONCE: Final = 16
"""A sixteenth of the nodes is forgotten at once, so that a look at all of them is rare."""

_ALWAYS: Final = GapInterval(EARLIEST_NS, LATEST_NS, TOO_MANY_NODES)


class FleetCoverage:
    """Coverage by node. Equal rows in another order give the same, as long as there are not too many nodes."""

    def __init__(self, max_nodes: int = MAX_NODES) -> None:
        self._max_nodes = max_nodes
        self._nodes: dict[NodeId, NodeCoverage] = {}
        self._of_all: dict[int | None, NodeCoverage] = {}
        self._forgotten_ns: int | None = None
        self.left_out = False
        """Whether there was a node that is not kept."""

    def take(self, partition: int | None, key: bytes, value: bytes | None) -> None:
        """Take a row, or the end of one. Raises StateError for a value that is none."""
        if key == ALL_NODES_KEY:
            self._of_all[partition] = NodeCoverage() if value is None else NodeCoverage.from_bytes(value)
            return
        node = parse_node_key(key)
        if node is None:
            return
        if value is None:
            self._nodes.pop(node, None)
        elif node in self._nodes or len(self._nodes) < self._max_nodes or self._has_forgotten_some():
            self._nodes[node] = NodeCoverage.from_bytes(value)
        else:
            self.left_out = True

    def _has_forgotten_some(self) -> bool:
        """Forget nodes that are gone, those that went first; returns whether there were any."""
        if self.left_out:
            return False
        gone = sorted(
            (lives[-1].to_ns, node)
            for node, lives in ((node, known.lives()) for node, known in self._nodes.items())
            if lives and lives[-1].to_ns < FOREVER_NS
        )
        for end_ns, node in gone[: max(1, self._max_nodes // _AT_ONCE)]:
            del self._nodes[node]
            self._forgotten_ns = max(end_ns, self._forgotten_ns or end_ns)
        return bool(gone)

    def nodes(self) -> Mapping[NodeId, NodeCoverage]:
        """The nodes as they are now; later rows do not change it."""
        return dict(self._nodes)

    def of_all(self) -> list[GapInterval]:
        """When any node may have lost events."""
        gaps = [gap for known in self._of_all.values() for gap in known.incomplete()]
        if self._forgotten_ns is not None:
            gaps.append(GapInterval(_ALWAYS.from_ns, self._forgotten_ns, EXPIRED))
        return [_ALWAYS, *gaps] if self.left_out else gaps

"""Third step: coverage records become one row for each node, so years of heartbeats are a few numbers.

A row depends only on which records went into it, not on their order or repetition. A record that cannot be read is a
gap of the node in its key, or one of all nodes, which has a row of its own. The caller reads rows and decides when to
flush.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agents.contract import SourceRecord
from agents.coverage.interval import Interval, touches
from agents.coverage.keys import NO_NODE, node_in
from agents.coverage.node_coverage import NodeCoverage
from agents.coverage.node_window import vouches
from agents.coverage.unreadable import unreadable_gap
from schemas.coverage import CoverageGap
from schemas.node import NodeId, node_of_text

Decode = Callable[[bytes | None], CoverageGap | str]
"""Reads the value of a record of runtime.coverage; where that is something else, a word that says why."""

Read = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Rows of the table's partition by key."""


@dataclass(frozen=True, slots=True)
class CoverageRefusal:
    """A record that could not be read, and the word that says why."""

    offset: int
    reason: str


class CoverageFolder:
    """Folds the coverage of all partitions that a worker owns."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._waiting: dict[int, dict[bytes, list[CoverageGap]]] = {}
        self._twice: dict[NodeId, Interval] = {}

    def absorb(self, partition: int, records: Sequence[SourceRecord]) -> list[CoverageRefusal]:
        """Take records of one partition into memory; returns those that cannot be read."""
        waiting = self._waiting.setdefault(partition, {})
        refusals: list[CoverageRefusal] = []
        for record in records:
            found = self._decode(record.value)
            if isinstance(found, CoverageGap):
                key = node_key(found.node_id) if found.skipped is None else ALL_NODES_KEY
                waiting.setdefault(key, []).append(found)
                continue
            refusals.append(CoverageRefusal(record.offset, found))
            node = node_in(record.key)
            key = ALL_NODES_KEY if node is None else node_key(node)
            waiting.setdefault(key, []).append(unreadable_gap(node or NO_NODE, record))
        return refusals

    def unwritten(self) -> list[int]:
        """Partitions with something to flush."""
        return sorted(self._waiting)

    def flush(self, partition: int, read: Read) -> dict[bytes, bytes]:
        """Turn what waits into rows."""
        waiting = self._waiting.pop(partition)
        rows: dict[bytes, bytes] = {}
        for (key, found), state in zip(waiting.items(), read(list(waiting)), strict=True):
            known = NodeCoverage() if state is None else NodeCoverage.from_bytes(state)
            known.add(found)
            rows[key] = known.to_bytes()
            self._look_for_two(key, found, known)
        return rows

    def take_vouched_twice(self) -> dict[NodeId, Interval]:
        """Nodes that two ingests vouched for at once, by the records of the flushes since the last call, and when."""
        found, self._twice = self._twice, {}
        return found

    def _look_for_two(self, key: bytes, found: Iterable[CoverageGap], known: NodeCoverage) -> None:
        node, newest = parse_node_key(key), known.twice[-1:]
        if node is not None and newest and any(vouches(one) and touches(one, newest[0]) for one in found):
            self._twice[node] = newest[0]


_NODE = b"node:"
"""A row's key begins with it, because a node's name may be empty."""

ALL_NODES_KEY = b"all-nodes"
"""Key of a partition's row of the gaps that affect all nodes."""


def node_key(node: NodeId) -> bytes:
    """Key of a node's row; longer names than a place may have are cut."""
    return _NODE + node.within_limits().as_key()


def parse_node_key(key: bytes) -> NodeId | None:
    """The node of a row's key; None for any other key."""
    if not key.startswith(_NODE):
        return None
    return node_of_text(key.removeprefix(_NODE).decode("utf-8", "surrogatepass"))

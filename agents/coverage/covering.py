"""Third step: coverage records become one row for each node, so years of heartbeats are a few numbers.

A row depends only on which records went into it, not on their order or repetition. The caller reads rows and decides
when to flush.
"""

from collections.abc import Callable, Sequence

from agents.contract import SourceRecord
from agents.coverage.node_coverage import NodeCoverage
from schemas.coverage import CoverageGap

Decode = Callable[[bytes | None], CoverageGap | None]
"""Reads a record of runtime.coverage; None where the bytes are something else."""

Read = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Rows of the table's partition by key."""


class CoverageFolder:
    """Folds the coverage of all partitions that a worker owns."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._waiting: dict[int, dict[bytes, list[CoverageGap]]] = {}

    def absorb(self, partition: int, records: Sequence[SourceRecord]) -> None:
        """Take records of one partition into memory."""
        waiting = self._waiting.setdefault(partition, {})
        for record in records:
            found = self._decode(record.value)
            if found is not None:
                waiting.setdefault(node_key(found.node), []).append(found)

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
        return rows


_NODE = b"node:"
"""A row's key begins with it, because a node's name may be empty."""


def node_key(node: str) -> bytes:
    """Key of a node's row."""
    return _NODE + node.encode("utf-8", "surrogatepass")


def parse_node_key(key: bytes) -> str | None:
    """The node of a row's key; None for any other key."""
    return key.removeprefix(_NODE).decode("utf-8", "surrogatepass") if key.startswith(_NODE) else None

"""Third step: coverage records become one row a node, so that years of heartbeats are a few numbers.

Rules: a row is a function of the records that went into it, each counted once however often it came. No clock, no I/O;
the caller reads rows and decides when to flush. This module refuses to know Faust and Kafka.
"""

from collections.abc import Callable, Sequence

from agents.contract import SourceRecord
from agents.coverage.node_coverage import NodeCoverage
from schemas.coverage import CoverageGap

Decode = Callable[[bytes | None], CoverageGap | None]
"""Reads a record of runtime.coverage; None where it is none."""

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
"""Before a node's name, which may be empty, in a row's key."""


def node_key(node: str) -> bytes:
    """Key of a node's row."""
    return _NODE + node.encode("utf-8", "surrogatepass")


def parse_node_key(key: bytes) -> str | None:
    """The way back; None for a key that is no node's."""
    return key.removeprefix(_NODE).decode("utf-8", "surrogatepass") if key.startswith(_NODE) else None

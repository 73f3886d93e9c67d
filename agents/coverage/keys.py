"""Keys and partitions of runtime.coverage: all records of a node are in one partition, and compaction erases no gap.

A growing record (a stretch of time that ingest watches, or for which an authority knows all nodes) keeps its key as it
grows. All others have keys of their own. A key begins with the node; `#` stands between its parts.
"""

from typing import Final
from zlib import crc32

from schemas.coverage import CLAIMS, CoverageGap, GapCause
from schemas.murmur2 import positive_murmur2
from schemas.node import NodeId, node_of_text

NO_NODE: Final = NodeId("", "")
"""Stands where a gap is one of all nodes."""

_BETWEEN: Final = "#"
_ESCAPED: Final = "%23"
_OF_ALL: Final = "##"
"""Keys of gaps of all nodes begin with it; a node's is followed by a session or by who says something."""

_GROWING: Final = CLAIMS | {GapCause.FOLLOWED}


def record_key(record: CoverageGap) -> bytes:
    """The record's key."""
    if (of := record.skipped) is not None:
        return f"{_OF_ALL}{record.cause.value}#{of.topic}#{of.partition}#{of.first}#{of.next}".encode()
    node = str(record.node_id).replace(_BETWEEN, _ESCAPED)
    parts: list[str | int | None] = [node, record.session or record.said_by or "-", record.cause.value, record.from_ns]
    if record.cause not in _GROWING:
        parts += [record.to_ns, record.events_lost, crc32((record.detail or "").encode("utf-8", "surrogatepass"))]
    return _BETWEEN.join(map(str, parts)).encode("utf-8", "surrogatepass")


def node_in(key: bytes | None) -> NodeId | None:
    """The node that the key of a record names; None where it names none that a node may have.

    A key without parts is that of an older record, and all of it is the node.
    """
    if key is None or key.startswith(_OF_ALL.encode()):
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    node = node_of_text(text.partition(_BETWEEN)[0].replace(_ESCAPED, _BETWEEN))
    return node if node == node.within_limits() else None


def node_partition(node: NodeId, partitions: int) -> int:
    """The partition of all records of a node; `NO_NODE` for gaps of all nodes. Kafka's own rule for `str` of it."""
    return positive_murmur2(node.as_key()) % partitions

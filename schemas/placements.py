"""On which nodes files were seen mapped, by build id. The typed twin of schemas/avro/file_placement.avsc.

Times are Unix epoch in nanoseconds.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from schemas import records
from schemas.coverage import MAX_SESSION_CHARS
from schemas.node import NodeId
from schemas.text_limits import cut_place, cut_text


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlacement:
    """One record of runtime.placements."""

    node: str
    cluster: str = ""
    session: str = ""
    build_id: str
    from_ns: int
    to_ns: int

    @property
    def node_id(self) -> NodeId:
        """The node that it is about."""
        return NodeId(self.cluster, self.node)


def encode(placement: FilePlacement, schema_id: int) -> bytes:
    """The Avro record with its schema header. Raises ValueError where a time is outside of 64 bits."""
    return records.encode(records.FILE_PLACEMENT, schema_id, asdict(placement))


def from_record(record: Mapping[str, Any]) -> FilePlacement:
    """The placement that a record describes; names are within their limits."""
    node = NodeId(record["cluster"], record["node"]).within_limits()
    return FilePlacement(
        node=node.name,
        cluster=node.cluster,
        session=cut_text(record["session"], MAX_SESSION_CHARS),
        build_id=cut_place(record["build_id"]),
        from_ns=record["from_ns"],
        to_ns=record["to_ns"],
    )


def decode(value: bytes, writer_schema: Any = None) -> FilePlacement:
    """The placement in an Avro record with its schema header; see `records.decode` for what it raises."""
    return from_record(records.decode(records.FILE_PLACEMENT, value, writer_schema))

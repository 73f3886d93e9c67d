"""Windows of a node's events: what is missing, and, with cause Heartbeat, what is complete.

The typed twin of schemas/avro/coverage_gap.avsc. Times are Unix epoch in nanoseconds, and a window is from `from_ns`
inclusive to `to_ns` exclusive; `detail` names a counter, a limit or a filter, never event data. A window is trustworthy
where heartbeats cover it and no gap touches it. A heartbeat that must keep something back has a cause that says what:
it vouches that its node was looked at, and is a gap too. A node is its cluster and its name together.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from schemas import records
from schemas.node import NodeId
from schemas.text_limits import cut_text
from schemas.units import EARLIEST_NS, LATEST_NS

MAX_SESSION_CHARS: Final = 64
"""Ingest's are 16 hex digits; a row keeps some hundred of them. Boot ids, versions and who says something, too."""


class GapCause(StrEnum):
    """Symbols of the Avro enum GapCause."""

    UNKNOWN = "Unknown"
    OVERFLOW = "Overflow"
    RECONNECT = "Reconnect"
    AGENT_RESTART = "AgentRestart"
    THROTTLE = "Throttle"
    UNDECODABLE = "Undecodable"
    OVERSIZED = "Oversized"
    AGENT_LOSS = "AgentLoss"
    SPILL_LOSS = "SpillLoss"
    INGEST_RESTART = "IngestRestart"
    HEARTBEAT = "Heartbeat"
    FILTERED = "Filtered"
    REFUSED = "Refused"
    LOSSES_UNREAD = "LossesUnread"
    SKIPPED = "Skipped"
    FAREWELL = "Farewell"
    CREATED = "Created"
    BOOTED = "Booted"
    RETIRED = "Retired"
    RETIREMENT_UNDONE = "RetirementUndone"
    FOLLOWED = "Followed"
    UNEXPLAINED = "Unexplained"


CLAIMS: Final = frozenset({GapCause.HEARTBEAT, GapCause.FILTERED, GapCause.LOSSES_UNREAD})
"""Causes of heartbeats: ingest saw the stream of that time. Filtered: Tetragon was told to leave events out.
LossesUnread: nobody read what the agent itself lost."""

AUTHORITY: Final = frozenset(
    {GapCause.CREATED, GapCause.BOOTED, GapCause.RETIRED, GapCause.RETIREMENT_UNDONE, GapCause.FOLLOWED}
)
"""Causes of records by somebody who may know which nodes there are: `from_ns` is the moment that they tell of, and
`to_ns` is when they said so. Followed: of a cluster, whose nodes were all known from `from_ns` to `to_ns`."""

LOSSES: Final = frozenset(
    {
        GapCause.OVERFLOW,
        GapCause.OVERSIZED,
        GapCause.AGENT_LOSS,
        GapCause.SPILL_LOSS,
        GapCause.UNDECODABLE,
        GapCause.UNEXPLAINED,
    }
)
"""Causes of gaps whose length says nothing of how much is missing: a nanosecond may have held a thousand events."""

TELLING: Final = AUTHORITY | {GapCause.FAREWELL}
"""Causes of records that neither vouch nor are a gap."""


@dataclass(frozen=True, slots=True)
class SkippedOffsets:
    """Records that no stage will read: offsets `first` to before `next` of a partition; `topic` has no prefix."""

    topic: str
    partition: int
    first: int
    next: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageGap:
    """One record of runtime.coverage. `events_lost` is None where the number is unknown.

    A gap with `skipped` is one of all nodes, and its node is empty. Heartbeats tell the node's boot, where ingest runs
    on the node, and the version of ingest; `said_by` is who says what only an authority may know.
    """

    node: str
    from_ns: int
    to_ns: int
    cause: GapCause
    events_lost: int | None = None
    detail: str | None = None
    cluster: str = ""
    session: str = ""
    skipped: SkippedOffsets | None = None
    boot_id: str | None = None
    boot_ns: int | None = None
    ingest_version: str = ""
    said_by: str = ""

    @property
    def node_id(self) -> NodeId:
        """The node that it is about."""
        return NodeId(self.cluster, self.node)

    def as_record(self) -> dict[str, Any]:
        """Field names and values of the Avro record; also fit for JSON."""
        return asdict(self) | {"cause": self.cause.value}


def merge(first: CoverageGap, second: CoverageGap) -> CoverageGap | None:
    """One gap that spans two that differ in nothing but times and numbers; None for different ones."""
    if replace(first, from_ns=0, to_ns=0, events_lost=0) != replace(second, from_ns=0, to_ns=0, events_lost=0):
        return None
    counts = (first.events_lost, second.events_lost)
    return replace(
        first,
        from_ns=min(first.from_ns, second.from_ns),
        to_ns=max(first.to_ns, second.to_ns),
        events_lost=None if None in counts else sum(count or 0 for count in counts),
    )


def from_record(record: dict[str, Any]) -> CoverageGap:
    """The gap that a record describes; a cause of a newer schema is Unknown, and names are within their limits.

    Raises KeyError where a field is missing that always was there.
    """
    cause = record["cause"]
    node = NodeId(record.get("cluster", ""), record["node"]).within_limits()
    skipped = record.get("skipped")
    return CoverageGap(
        node=node.name,
        from_ns=record["from_ns"],
        to_ns=record["to_ns"],
        cause=GapCause(cause) if cause in GapCause.__members__.values() else GapCause.UNKNOWN,
        events_lost=record["events_lost"],
        detail=record["detail"],
        cluster=node.cluster,
        session=cut_text(record.get("session", ""), MAX_SESSION_CHARS),
        skipped=None if skipped is None else SkippedOffsets(**skipped),
        boot_id=_cut(record.get("boot_id")),
        boot_ns=record.get("boot_ns"),
        ingest_version=cut_text(record.get("ingest_version", ""), MAX_SESSION_CHARS),
        said_by=cut_text(record.get("said_by", ""), MAX_SESSION_CHARS),
    )


def _cut(text: str | None) -> str | None:
    return None if text is None else cut_text(text, MAX_SESSION_CHARS)


def encode(gap: CoverageGap, schema_id: int) -> bytes:
    """The Avro record with its schema header; times that it cannot hold are the first or the last that it can."""
    times = {"from_ns": _within_long(gap.from_ns), "to_ns": _within_long(gap.to_ns)}
    return records.encode(records.COVERAGE_GAP, schema_id, gap.as_record() | times)


def _within_long(time_ns: int) -> int:
    return max(EARLIEST_NS, min(LATEST_NS, time_ns))


def decode(value: bytes, writer_schema: Any = None) -> CoverageGap:
    """The gap in an Avro record with its schema header; see `records.decode` for what it raises."""
    return from_record(records.decode(records.COVERAGE_GAP, value, writer_schema))

"""A keeper of ingest with everything around it faked: the test moves its clock, stream, writer and agent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from app.ingest.agent_metrics import AgentMetrics
from app.ingest.buffer import Buffer, BufferLimits
from app.ingest.filter_effect import NO_FILTERS, FiltersInForce
from app.ingest.gap_writer import GapWriter
from app.ingest.journal import Journal
from app.ingest.keeper import Keeper
from app.ingest.kernel_books import OF_POLICIES, KernelBooks
from app.ingest.keys import KeyReader
from app.ingest.node_claims import AgentLoss, NodeClaims
from app.ingest.statuses import StreamEnd
from app.telemetry.meter import Meter
from schemas.coverage import CoverageGap
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse

S = 1_000_000_000
UNAVAILABLE = StreamEnd(grpc.StatusCode.UNAVAILABLE, "")


def event_at(second: int, node: str = "node-1", flags: str = "", cluster: str = "") -> bytes:
    """An event of this second."""
    event: Any = GetEventsResponse(node_name=node, cluster_name=cluster)
    event.process_exec.process.exec_id = "e"
    event.process_exec.process.flags = flags
    event.time.seconds = second
    return bytes(event.SerializeToString())


class Told(GapWriter):
    """Stands in for the writer of coverage records; it has no producer."""

    def __init__(self) -> None:
        # no super().__init__(): it makes a producer
        self.said: list[CoverageGap] = []
        self.unacknowledged: list[CoverageGap] = []
        self.acknowledges = True
        self.knows_schema = True

    @property
    def pending(self) -> int:
        """Gaps without an acknowledgement."""
        return len(self.unacknowledged)

    def find_schema(self) -> bool:
        """As the test wants it."""
        return self.knows_schema

    def report(self, gaps: Sequence[CoverageGap]) -> None:
        """Note gaps."""
        self.said += gaps
        self.unacknowledged += gaps

    def claim(self, heartbeat: CoverageGap) -> None:
        """Note a heartbeat."""
        self.said.append(heartbeat)

    def pump(self) -> None:
        """Acknowledge, if the test wants it."""
        if self.acknowledges:
            self.unacknowledged.clear()

    def flush(self, timeout_seconds: float) -> None:
        """As pump."""
        del timeout_seconds
        self.pump()

    def windows(self) -> list[tuple[str, int, int]]:
        """Cause, from and to in seconds of everything said so far; forgets it."""
        said, self.said = self.said, []
        return [(gap.cause.value, gap.from_ns // S, gap.to_ns // S) for gap in said]


class PreparedAgent(AgentMetrics):
    """An agent's metrics page whose losses the test prepares."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:0/metrics")
        self.losses: list[AgentLoss] = []

    def read(self, now_ns: int) -> list[AgentLoss]:
        """The losses that the test prepared."""
        if self.trouble is None:
            self.read_at_ns = now_ns
        found, self.losses = self.losses, []
        return found


class KeeperScene:
    """A keeper whose clock, stream, writer and agent the test moves."""

    def __init__(self, folder: Path, *, agent: bool = True, filters: FiltersInForce = NO_FILTERS) -> None:
        self.now_s = 10_000
        self.told = Told()
        self.journal = Journal(folder)
        self.meter = Meter()
        limits = BufferLimits(max_events=1000, max_bytes=1 << 20, grace_seconds=0.0)
        known = self.journal.state
        node = NodeId(known.cluster, known.node) if known else NodeId("", "host")
        self.buffer = Buffer(limits, KeyReader(node), wall_ns=self._wall_ns)
        self.stream_answers = True
        self.settle_asked = 0
        self.agent = PreparedAgent()
        self.books = KernelBooks(lambda: self.buffer.received_of(OF_POLICIES), self.agent.explains)
        self.keeper = Keeper(
            coverage=NodeClaims(node, known.vouched_until_ns if known else None, session="here"),
            journal=self.journal,
            gaps=self.told,
            buffer=self.buffer,
            written_before_ms=lambda: self.now_s * 1000,  # all that arrived is written at once
            settle_soon=self._settle_soon,
            agent=self.agent if agent else None,
            heartbeat_seconds=0.0,
            meter=self.meter,
            wall_ns=self._wall_ns,
            public_name=lambda name: name.replace("node-1", "[redacted]"),
            filters=filters,
            books=self.books,
        )
        self.keeper.watch(self.answers)

    def _wall_ns(self) -> int:
        return self.now_s * S

    def _settle_soon(self) -> None:
        """Count the requests."""
        self.settle_asked += 1

    def answers(self, timeout_seconds: float) -> bool:
        """As the test wants it."""
        del timeout_seconds
        return self.stream_answers

    def open(self, event: bytes) -> None:
        """The stream's first event, as the client does it."""
        self.keeper.stream_opened(event)
        self.buffer.put(event)

    def step_at(self, now_s: int) -> list[tuple[str, int, int]]:
        """What is said by a step at this time."""
        self.now_s = now_s
        self.keeper.step()
        return self.told.windows()

"""Keeps a node's coverage: gathers what is known once a second, and sees that it is said.

Rules: what was lost is in the journal before anything else is done with it. Questions that may take seconds (the
agent's metrics, the registry, whether the connection lives) are asked outside the lock, so the reading thread never
waits for them. This module refuses to decide what can be claimed (`coverage`) and how it is sent (`gap_writer`).
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from app.ingest.buffer import Buffer
from app.ingest.coverage import AgentLoss, Coverage, Evidence
from app.ingest.journal import Journal, State
from app.ingest.keys import is_from_agent_start, node_of
from app.ingest.statuses import StreamEnd, cause_of
from app.telemetry import metrics
from app.telemetry.meter import Meter
from schemas.coverage import CoverageGap, GapCause

STEP_S: Final = 1.0
"""How often losses are turned into gaps: what a crash can cost is covered by the gap that the next start reports."""
_ANSWER_S: Final = 3.0
_NS_PER_MS: Final = 1_000_000


class Answering(Protocol):
    """The stream, as far as coverage asks it."""

    def answers(self, timeout_s: float) -> bool:
        """Whether the server answers on the stream's connection."""


class Settling(Protocol):
    """The writer, as far as coverage asks it."""

    @property
    def written_before_ms(self) -> int:
        """Everything received before this Unix time is written or dropped."""

    def settle_soon(self) -> None:
        """Have `written_before_ms` move, even under load."""


class Measuring(Protocol):
    """The agent's loss counters, as `agent_metrics.AgentMetrics` reads them."""

    trouble: str | None
    read_at_ns: int

    def read(self, now_ns: int) -> list[AgentLoss]:
        """Losses since the last reading."""


class Publishing(Protocol):
    """The writer of coverage records, as `gap_writer.GapWriter` is."""

    @property
    def pending(self) -> int:
        """Gaps that the broker has not acknowledged."""

    def find_schema(self) -> bool:
        """Whether records can be written."""

    def report(self, gaps: Sequence[CoverageGap]) -> None:
        """Take responsibility for gaps."""

    def claim(self, heartbeat: CoverageGap) -> None:
        """Publish a heartbeat."""

    def pump(self) -> None:
        """Send what is pending."""

    def flush(self, timeout_s: float) -> None:
        """Wait until everything is acknowledged, at most for the timeout."""


class Keeper:
    """One node's coverage, as a `client.Listener` and as a thread's work."""

    def __init__(
        self,
        *,
        coverage: Coverage,
        journal: Journal,
        gaps: Publishing,
        buffer: Buffer,
        writer: Settling,
        agent: Measuring | None,
        heartbeat_s: float,
        meter: Meter,
        wall_ns: Callable[[], int] = time.time_ns,
        public_name: Callable[[str], str] = str,
    ) -> None:
        """`public_name` makes of a node's name what may stand on a public topic, in a log and on disk."""
        self._coverage = coverage
        self._journal = journal
        self._gaps = gaps
        self._buffer = buffer
        self._writer = writer
        self._agent = agent
        self._heartbeat_s = heartbeat_s
        self._meter = meter
        self._wall_ns = wall_ns
        self._public_name = public_name
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stream: Answering | None = None
        self._alive_ns = 0
        self._next_heartbeat = time.monotonic() + heartbeat_s

    def watch(self, stream: Answering) -> None:
        """Ask this stream whether it lives."""
        self._stream = stream

    def run(self) -> None:
        """Work until `stop`."""
        while not self._stopped.wait(STEP_S):
            self.step()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def stream_opened(self, first_event: bytes) -> None:
        """The stream brought its first event."""
        self._open(self._node(node_of(first_event)), agent_restarted=is_from_agent_start(first_event))

    def stream_ended(self, end: StreamEnd) -> None:
        """The stream is over."""
        with self._lock:
            self._meter.add(metrics.STREAM_ENDS, 1, end.name)
            self._gaps.report(self._coverage.ended(self._node(), self._wall_ns(), cause_of(end)))

    def step(self) -> None:
        """Turn what happened into gaps, and make a claim where one is due."""
        now = time.monotonic()
        due = now >= self._next_heartbeat
        if self._next_heartbeat - now <= STEP_S:
            self._writer.settle_soon()
        losses = self._read_agent() if due else []
        self._look_for_life(due=due)
        can_publish = self._gaps.find_schema()
        with self._lock:
            findings = self._buffer.take_findings()
            self._gaps.report(self._coverage.losses(self._node(), findings, losses))
            self._gaps.pump()
            if due and can_publish and not self._gaps.pending:
                self._claim()
                self._next_heartbeat = now + self._heartbeat_s
            self._meter.set(metrics.GAPS_PENDING, self._gaps.pending)
            self._meter.set(metrics.STREAM_UP, int(self._coverage.seeing))

    def finish(self, timeout_s: float) -> None:
        """Say what is left to say; gaps that the broker does not acknowledge in time stay in the journal."""
        with self._lock:
            self._gaps.report(self._coverage.losses(self._node(), self._buffer.take_findings(), []))
            self._gaps.report(self._coverage.ended(self._node(), self._wall_ns(), GapCause.INGEST_RESTART))
            self._gaps.flush(timeout_s)

    def _node(self, name: str = "") -> str:
        """What to call the node in public: by `name`, or where that is empty as events have told it."""
        return self._public_name(name or self._buffer.node)

    def _open(self, node: str, *, agent_restarted: bool) -> None:
        with self._lock:
            now_ns = self._alive_ns = self._wall_ns()
            was_seeing = self._coverage.seeing
            self._gaps.report(self._coverage.opened(node, now_ns, agent_restarted=agent_restarted))
            if not was_seeing:
                self._save(node)

    def _read_agent(self) -> list[AgentLoss]:
        if self._agent is None:
            return []
        losses = self._agent.read(self._wall_ns())
        if self._agent.trouble is not None:
            self._meter.add(metrics.AGENT_SCRAPE_ERRORS)
        for loss in losses:
            self._meter.add(metrics.AGENT_LOST, loss.growth, loss.counter)
        return losses

    def _look_for_life(self, *, due: bool) -> None:
        """Events are a sign of life; where there are none, ask, so that quiet and blind are not the same."""
        received_ns = self._buffer.last_received_ms * _NS_PER_MS
        if self._coverage.seeing and received_ns > self._alive_ns:
            self._alive_ns = received_ns
        elif (due or not self._coverage.seeing) and self._stream is not None:
            asked_ns = self._wall_ns()
            if self._stream.answers(_ANSWER_S):
                self._alive_ns = asked_ns
                self._open(self._node(), agent_restarted=False)

    def _claim(self) -> None:
        evidence = Evidence(
            node=self._node(),
            now_ns=self._wall_ns(),
            alive_ns=self._alive_ns,
            written_before_ns=self._writer.written_before_ms * _NS_PER_MS,
            scraped_ns=None if self._agent is None else self._agent.read_at_ns,
        )
        for gap in self._coverage.heartbeat(evidence):
            if gap.cause is GapCause.HEARTBEAT:
                self._gaps.claim(gap)
                self._save(gap.node)
            else:
                self._gaps.report([gap])
                self._gaps.pump()

    def _save(self, node: str) -> None:
        since_ns = self._coverage.unvouched_since_ns
        if since_ns is not None:
            self._journal.save(State(node, since_ns))

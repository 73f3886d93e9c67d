"""Keeps a node's coverage: once a second it collects what is known, and publishes gaps and heartbeats.

A loss is in the journal before anything else is done with it. Calls that may take seconds (the agent's metrics, the
registry, a sign of life of the connection) run outside the lock, so the reading thread never waits for them.
`node_claims` decides what can be claimed, and `gap_writer` sends it.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from app.ingest.agent_metrics import AgentMetrics
from app.ingest.buffer import Buffer
from app.ingest.filter_effect import NO_FILTERS, FiltersInForce
from app.ingest.gap_writer import GapWriter
from app.ingest.journal import Journal, State
from app.ingest.kernel_books import KernelBooks
from app.ingest.node_claims import AgentLoss, ClaimEvidence, NodeClaims, OpenClaim
from app.ingest.public_words import public_node
from app.ingest.statuses import StreamEnd, cause_of
from app.telemetry import metrics, state_metrics
from app.telemetry.meter import Meter
from schemas.coverage import CLAIMS, GapCause
from schemas.node import NodeId
from schemas.raw_event import is_from_agent_start, node_of
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)

STEP_SECONDS: Final = 1.0
"""How often losses are turned into gaps. The next start's gap covers what a crash in between leaves out."""
RENAME_SECONDS: Final = 10.0
"""Between two changes of name in one stream. No Tetragon changes its name; one that did so with each event would fill
the journal while Kafka is away."""
_ANSWER_SECONDS: Final = 3.0


class Keeper:
    """One node's coverage, as the event stream's callbacks and as a thread's work."""

    def __init__(
        self,
        *,
        coverage: NodeClaims,
        journal: Journal,
        gaps: GapWriter,
        buffer: Buffer,
        written_before_ms: Callable[[], int],
        settle_soon: Callable[[], None],
        agent: AgentMetrics | None,
        heartbeat_seconds: float,
        meter: Meter,
        wall_ns: Callable[[], int] = time.time_ns,
        public_name: Callable[[str], str] = str,
        filters: FiltersInForce = NO_FILTERS,
        books: KernelBooks | None = None,
    ) -> None:
        """`written_before_ms`: everything received before this Unix time is written or dropped.

        `settle_soon` has that time move, even under load. `public_name` turns the name of a node or a cluster into what
        may stand on a public topic, in a log and on disk.
        """
        self._coverage = coverage
        self._journal = journal
        self._gaps = gaps
        self._buffer = buffer
        self._written_before_ms = written_before_ms
        self._settle_soon = settle_soon
        self._agent = agent
        self._heartbeat_seconds = heartbeat_seconds
        self._meter = meter
        self._wall_ns = wall_ns
        self._public_name = public_name
        self._filters = filters
        self._books = books
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stream_answers: Callable[[float], bool] | None = None
        self._named = buffer.node
        self._rename_at = 0.0
        self._alive_ns = 0
        self._next_heartbeat = time.monotonic() + heartbeat_seconds

    def watch(self, stream_answers: Callable[[float], bool]) -> None:
        """Have `stream_answers` say, within a number of seconds, whether the stream's connection lives."""
        self._stream_answers = stream_answers

    def public_node(self) -> tuple[NodeId, str] | None:
        """The node, as it may be called on a public topic, and the session; None while no event has named it."""
        with self._lock:
            return (self._coverage.node, self._coverage.session) if self._coverage.is_named else None

    def run(self) -> None:
        """Work until `stop`."""
        while not self._stopped.wait(STEP_SECONDS):
            self.step()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def stream_opened(self, first_event: bytes) -> None:
        """The stream brought its first event."""
        node = node_of(first_event)
        self._buffer.begin_stream(node)
        self._open(agent_restarted=is_from_agent_start(first_event), is_named=bool(node.name))

    def stream_ended(self, end: StreamEnd) -> None:
        """The stream is over."""
        with self._lock:
            self._meter.add(metrics.STREAM_ENDS, 1, end.name)
            self._gaps.report(self._coverage.ended(self._wall_ns(), cause_of(end)))

    def step(self) -> None:
        """Turn what happened into gaps, and make a claim where one is due."""
        now = time.monotonic()
        due = now >= self._next_heartbeat
        if self._next_heartbeat - now <= STEP_SECONDS:
            self._settle_soon()
        losses = self._read_agent() if due or (self._agent is not None and not self._agent.read_at_ns) else []
        if self._books is not None:
            losses += self._books.take(self._wall_ns())
            if self._books.balance is not None:
                self._meter.set(state_metrics.POSTS_BALANCE, self._books.balance)
        self._look_for_life(due=due)
        can_publish = self._gaps.find_schema()
        with self._lock:
            findings = self._buffer.take_findings()
            self._gaps.report(self._coverage.losses(findings, losses))
            if self._buffer.node != self._named and now >= self._rename_at:
                self._rename_at = now + RENAME_SECONDS
                self._name(self._wall_ns())
            self._journal.store_again()
            self._gaps.pump()
            if due and can_publish and not self._gaps.pending:
                self._claim()
                self._next_heartbeat = now + self._heartbeat_seconds
            self._meter.set(metrics.GAPS_PENDING, self._gaps.pending)
            self._meter.set(metrics.STREAM_UP, int(self._coverage.seeing))

    def take_over(self, claim: OpenClaim, first_event: bytes | None) -> None:
        """Go on from another ingest's claim; the stream is open, and this is its first event if it had one."""
        node = NodeId("", "") if first_event is None else node_of(first_event)
        self._buffer.begin_stream(node)
        with self._lock:
            self._alive_ns = self._wall_ns()
            self._coverage.take_over(claim)
            if node.name:
                self._name(self._alive_ns)
            self._save()

    def finish(
        self, timeout_seconds: float, *, in_good_order: bool = False, for_successor: bool = False
    ) -> OpenClaim | None:
        """Report the last gaps; gaps that the broker does not acknowledge in time stay in the journal.

        In good order, everything is written that was received: a last heartbeat and a farewell say so. If a successor
        waits and the stream is open, there is no farewell: the successor goes on from the claim that is returned.
        """
        with self._lock:
            self._gaps.report(self._coverage.losses(self._buffer.take_findings(), []))
            self._gaps.pump()
            if in_good_order and not self._gaps.pending:
                self._claim()
            claim = self._coverage.hand_over(self._wall_ns()) if for_successor else None
            if claim is None and in_good_order and not self._gaps.pending:
                for farewell in self._coverage.farewell():
                    self._gaps.claim(farewell)
            self._gaps.report(self._coverage.ended(self._wall_ns(), GapCause.INGEST_RESTART))
            if claim is None:
                self._gaps.report(self._coverage.last_words(self._wall_ns()))
            self._gaps.flush(timeout_seconds)
            return claim

    def _open(self, *, agent_restarted: bool, is_named: bool) -> None:
        with self._lock:
            now_ns = self._alive_ns = self._wall_ns()
            if is_named:
                self._name(now_ns, agent_restarted=agent_restarted)
            was_seeing = self._coverage.seeing
            self._gaps.report(self._coverage.opened(now_ns, agent_restarted=agent_restarted))
            if not was_seeing:
                self._save()

    def _name(self, now_ns: int, *, agent_restarted: bool = False) -> None:
        """Take the name that the latest events give the node."""
        self._named = self._buffer.node
        before = self._coverage.node
        public = public_node(self._public_name, self._named)
        gaps = self._coverage.named(public, now_ns, agent_restarted=agent_restarted)
        if public != before:
            log.warning("the node is called %s from now on, and was called %s", public, before)
            self._save()
        self._gaps.report(gaps)

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
        """Events are a sign of life. Without any, query the connection: a quiet node is not a lost one."""
        received_ns = self._buffer.last_received_ms * NS_PER_MS
        if self._coverage.seeing and received_ns > self._alive_ns:
            self._alive_ns = received_ns
        elif (due or not self._coverage.seeing) and self._stream_answers is not None:
            queried_ns = self._wall_ns()
            if self._stream_answers(_ANSWER_SECONDS):
                self._alive_ns = queried_ns
                self._open(agent_restarted=False, is_named=False)

    def _claim(self) -> None:
        evidence = ClaimEvidence(
            now_ns=self._wall_ns(),
            alive_ns=self._alive_ns,
            written_before_ns=self._written_before_ms() * NS_PER_MS,
            scraped_ns=None if self._agent is None else self._agent.read_at_ns,
            filters=self._filters,
        )
        for gap in self._coverage.heartbeat(evidence):
            if gap.cause in CLAIMS:
                self._gaps.claim(gap)
                self._save()
            else:
                self._gaps.report([gap])
                self._gaps.pump()

    def _save(self) -> None:
        since_ns, node = self._coverage.unvouched_since_ns, self._coverage.node
        if since_ns is not None:
            self._journal.save(State(node.name, since_ns, node.cluster))

"""What can be claimed about the completeness of a node's events, and what is missing. Decides only; does nothing.

A heartbeat says "complete up to T". T is at least `LATENESS_NS` before the present, because Tetragon holds an event
for up to 30 s until pod information arrives. T is also bounded by what must be known first: the stream is open and
alive, what was received is written, and the agent's own loss counters were read. A time in which nothing was seen
becomes a gap when the stream opens again. The gap starts where the last heartbeat ended, because no heartbeat has
covered what came later.

A heartbeat says what was looked at: under a filter that may hide events, or without the agent's loss counters, its
cause says so instead. Gaps come before the heartbeat that covers their time. Times are Unix epoch in nanoseconds and
are passed in.
"""

from dataclasses import dataclass, replace
from typing import Final

from app.ingest.event_books import EventInterval, Findings
from app.ingest.filter_effect import NO_FILTERS, FiltersInForce
from app.ingest.keys import Throttle
from app.telemetry.metric import DropReason
from schemas.coverage import CoverageGap, GapCause, merge
from schemas.units import NS_PER_SECOND

LATENESS_NS: Final = 60 * NS_PER_SECOND
"""Twice Tetragon's longest wait for pod information (15 retries, 2 s each)."""

MAX_THROTTLED: Final = 10_000
"""Cgroups whose throttling is remembered; more than any node runs. Further ones are not, and their gap ends early."""

_CAUSES: Final = {
    DropReason.OVERFLOW: (GapCause.OVERFLOW, None),
    DropReason.SPILL: (GapCause.SPILL_LOSS, None),
    DropReason.SPILL_FULL: (GapCause.SPILL_LOSS, "the spill folder was full"),
    DropReason.OVERSIZED: (GapCause.OVERSIZED, "larger than a record of the raw topic may be"),
    DropReason.REJECTED: (GapCause.UNKNOWN, "refused by Kafka"),
    DropReason.SHUTDOWN: (GapCause.INGEST_RESTART, "unwritten when the time for draining was over"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimEvidence:
    """What is known at one moment. None in a field means "nothing to wait for"."""

    node: str
    now_ns: int
    alive_ns: int
    """When the stream last showed that it lives: an event, or an answer on its connection."""
    written_before_ns: int
    """Everything received before then is written or dropped."""
    scraped_ns: int | None = None
    """When the agent's loss counters were last read; None when nobody reads them."""
    filters: FiltersInForce = NO_FILTERS
    """What Tetragon was told to leave out."""


@dataclass(frozen=True, slots=True)
class AgentLoss:
    """One of Tetragon's loss counters grew between two readings."""

    counter: str
    growth: int
    from_ns: int
    to_ns: int


class NodeClaims:
    """The state of one node's coverage. Not locked."""

    def __init__(self, unvouched_since_ns: int | None, lateness_ns: int = LATENESS_NS) -> None:
        """`unvouched_since_ns`: up to when an earlier process claimed completeness; None if none did."""
        self._lateness_ns = lateness_ns
        self.unvouched_since_ns = unvouched_since_ns
        """Up to when heartbeats cover the node; None before the stream was ever open."""
        self.seeing = False
        """Whether the stream is known to be open."""
        self._blind_cause = GapCause.INGEST_RESTART
        self._throttled: set[str] = set()
        self._throttled_since_ns = 0

    def opened(self, node: str, now_ns: int, *, agent_restarted: bool = False) -> list[CoverageGap]:
        """The stream is known to be open. Gives the blind time before it as a gap, if there was one."""
        if self.seeing:
            return []
        self.seeing = True
        since_ns, self.unvouched_since_ns = self.unvouched_since_ns, now_ns
        if since_ns is None or since_ns >= now_ns:
            return []
        cause = self._blind_cause
        if agent_restarted and cause is GapCause.RECONNECT:
            cause = GapCause.AGENT_RESTART
        return [CoverageGap(node=node, from_ns=since_ns, to_ns=now_ns, cause=cause)]

    def ended(self, node: str, now_ns: int, cause: GapCause) -> list[CoverageGap]:
        """The stream is over. Gives the gap of a throttling that was going on."""
        gaps = self._throttle_gap(node, now_ns) if self._throttled else []
        self._throttled.clear()
        if self.seeing:
            self.seeing = False
            self._blind_cause = cause
        return gaps

    def losses(self, node: str, findings: Findings, agent: list[AgentLoss]) -> list[CoverageGap]:
        """Gaps for what was lost, or not understood, while the stream was open."""
        gaps = []
        for reason, interval in findings.dropped.items():
            cause, detail = _CAUSES[reason]
            gaps.append(_gap_of(interval, node, cause, detail))
        if findings.undecodable is not None:
            gaps.append(_gap_of(findings.undecodable, node, GapCause.UNDECODABLE, "kept in the raw topic"))
        gaps += [
            CoverageGap(
                node=node,
                from_ns=loss.from_ns - self._lateness_ns,
                to_ns=loss.to_ns,
                cause=GapCause.AGENT_LOSS,
                events_lost=loss.growth,
                detail=loss.counter,
            )
            for loss in agent
        ]
        throttled = [gap for throttle in findings.throttles for gap in self._throttle(node, throttle)]
        return gaps + self._joined(throttled)

    def heartbeat(self, evidence: ClaimEvidence) -> list[CoverageGap]:
        """The claim that can be made now, after the throttling inside it; empty when nothing can be claimed."""
        if not self.seeing or self.unvouched_since_ns is None:
            return []
        known_ns = min(evidence.now_ns, evidence.alive_ns, evidence.written_before_ns)
        if evidence.scraped_ns is not None:
            known_ns = min(known_ns, evidence.scraped_ns)
        until_ns = known_ns - self._lateness_ns
        if until_ns <= self.unvouched_since_ns:
            return []
        gaps = []
        if self._throttled and self._throttled_since_ns < until_ns:
            gaps = self._throttle_gap(evidence.node, until_ns)
        beat = CoverageGap(
            node=evidence.node,
            from_ns=self.unvouched_since_ns,
            to_ns=until_ns,
            cause=GapCause.HEARTBEAT,
            detail=evidence.filters.text,
        )
        self.unvouched_since_ns = until_ns
        return gaps + ([replace(beat, cause=cause) for cause in _kept_back(evidence)] or [beat])

    def _throttle(self, node: str, event: Throttle) -> list[CoverageGap]:
        """One start or stop. The gap ends when no cgroup is throttled any more."""
        if event.started:
            if not self._throttled:
                self._throttled_since_ns = event.time_ns or self.unvouched_since_ns or 0
            if len(self._throttled) < MAX_THROTTLED:
                self._throttled.add(event.cgroup)
            return []
        if not self._throttled:  # it began before we looked
            self._throttled_since_ns = self.unvouched_since_ns or event.time_ns or 0
        self._throttled.discard(event.cgroup)
        if self._throttled:
            return []
        return self._throttle_gap(node, max(event.time_ns or 0, self._throttled_since_ns) + 1)

    def _joined(self, throttled: list[CoverageGap]) -> list[CoverageGap]:
        """One gap for those that lie within the lateness of each other: a flapping cgroup makes hundreds a second."""
        joined: list[CoverageGap] = []
        for gap in sorted(throttled, key=lambda one: one.from_ns):
            both = merge(joined[-1], gap) if joined and gap.from_ns - joined[-1].to_ns <= self._lateness_ns else None
            if both is None:
                joined.append(gap)
            else:
                joined[-1] = both
        return joined

    def _throttle_gap(self, node: str, to_ns: int) -> list[CoverageGap]:
        from_ns, self._throttled_since_ns = self._throttled_since_ns, to_ns
        return [CoverageGap(node=node, from_ns=from_ns, to_ns=to_ns, cause=GapCause.THROTTLE)]


def _kept_back(evidence: ClaimEvidence) -> list[GapCause]:
    """What a heartbeat cannot vouch for."""
    causes = [GapCause.FILTERED] if evidence.filters.hide_evidence else []
    return causes if evidence.scraped_ns is not None else [*causes, GapCause.LOSSES_UNREAD]


def _gap_of(interval: EventInterval, node: str, cause: GapCause, detail: str | None) -> CoverageGap:
    return CoverageGap(
        node=node,
        from_ns=interval.from_ns,
        to_ns=interval.to_ns + 1,
        cause=cause,
        events_lost=interval.events,
        detail=detail,
    )

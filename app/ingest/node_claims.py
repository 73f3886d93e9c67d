"""What can be claimed about the completeness of a node's events, and what is missing. Decides only; does nothing.

A heartbeat says "complete up to T". T is at least `LATENESS_NS` before the present, because Tetragon holds an event
for up to 30 s until pod information arrives. T is also bounded by what must be known first: the stream is open and
alive, what was received is written, and the agent's own loss counters were read. A time in which nothing was seen
becomes a gap when the stream opens again. The gap starts where the last heartbeat ended, because no heartbeat has
covered what came later.

A heartbeat is a growing record: it says that everything is complete since the stream opened, up to T. It says what was
looked at: under a filter that may hide events, or without the agent's loss counters, its
cause says so instead. Gaps come before the heartbeat that covers their time. Times are Unix epoch in nanoseconds and
are passed in.
"""

from dataclasses import dataclass, replace
from typing import Final

from app.ingest.event_books import EventInterval, Findings
from app.ingest.filter_effect import NO_FILTERS, FiltersInForce
from app.ingest.keys import Throttle
from app.ingest.node_names import NamedPart, NodeNames
from app.telemetry.metric import DropReason
from schemas.coverage import CoverageGap, GapCause, merge
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

LATENESS_NS: Final = 60 * NS_PER_SECOND
"""Twice Tetragon's longest wait for pod information (15 retries, 2 s each)."""

MAX_THROTTLED: Final = 10_000
"""Cgroups whose throttling is remembered; more than any node runs. Further ones are not, and their gap ends early."""

_RENAMED: Final = "the node has another name from then on"

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

    now_ns: int
    alive_ns: int
    """When the stream last showed that it lives: an event, or an answer on its connection."""
    written_before_ns: int
    """Everything received before then is written or dropped."""
    scraped_ns: int | None = None
    """When the agent's loss counters were last read; None when nobody reads them."""
    filters: FiltersInForce = NO_FILTERS
    """What Tetragon leaves out at our request."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What each heartbeat tells besides: the node's boot, where ingest runs on the node, and the version of ingest."""

    boot_id: str | None = None
    boot_ns: int | None = None
    version: str = ""


NO_ORIGIN: Final = Origin()


@dataclass(frozen=True, slots=True)
class AgentLoss:
    """One of Tetragon's counters grew between two readings, and so many events are missing."""

    counter: str
    growth: int
    from_ns: int
    to_ns: int
    cause: GapCause = GapCause.AGENT_LOSS


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A node's coverage where one ingest stops and another goes on.

    Nothing is missing since `since_ns`, and it is not vouched for yet. Some cgroups may be throttled.
    """

    node: str
    cluster: str
    since_ns: int
    throttled: tuple[str, ...]
    throttled_since_ns: int


class NodeClaims:
    """The state of one node's coverage. Not locked."""

    def __init__(
        self,
        node: NodeId,
        unvouched_since_ns: int | None,
        *,
        session: str = "",
        lateness_ns: int = LATENESS_NS,
        origin: Origin = NO_ORIGIN,
    ) -> None:
        """`unvouched_since_ns`: up to when an earlier process claimed completeness; None if none did.

        Then `node` is that process's name of the node, else one that stands in until an event names it.
        """
        self._names = NodeNames(node)
        self._is_named = unvouched_since_ns is not None
        self._session = session
        self._is_on_topic = False
        self._lateness_ns = lateness_ns
        self._origin = origin
        self._watched_since_ns = 0
        self.unvouched_since_ns = unvouched_since_ns
        """Up to when heartbeats cover the node; None before the stream was ever open."""
        self.seeing = False
        """Whether the stream is known to be open."""
        self._blind_cause = GapCause.INGEST_RESTART
        self._blind_since_ns: int | None = None
        self._throttled: set[str] = set()
        self._throttled_since_ns = 0

    @property
    def node(self) -> NodeId:
        """The node, as it is called now."""
        return self._names.node

    @property
    def is_named(self) -> bool:
        """Whether an event, or an earlier process, has said what the node is called."""
        return self._is_named

    @property
    def session(self) -> str:
        """Random word of this process."""
        return self._session

    def named(self, node: NodeId, now_ns: int, *, agent_restarted: bool = False) -> list[CoverageGap]:
        """An event says what the node is called. Where it was called otherwise, gives that name's last gap.

        The gap begins where the last heartbeat of the old name ended. It ends with the old stream, and where nobody
        knows when that was, now; then the time before is in doubt under the new name too.
        """
        is_change = node != self.node and (self._is_named or self._is_on_topic)
        self._is_named = True
        if not is_change:
            self._names.node = node
            return []
        gaps = []
        since_ns = now_ns if self.unvouched_since_ns is None else self.unvouched_since_ns
        changed_ns = now_ns if self._blind_since_ns is None else self._blind_since_ns
        if since_ns < changed_ns:
            cause = GapCause.UNKNOWN if self.seeing else self._cause(agent_restarted=agent_restarted)
            gaps = self._gaps(since_ns, changed_ns, cause, detail=_RENAMED)
        if self.seeing or self._blind_since_ns is not None:
            since_ns = self.unvouched_since_ns = self._watched_since_ns = changed_ns
        self._names.change(node, since_ns)
        self._is_on_topic = False
        return gaps

    def opened(self, now_ns: int, *, agent_restarted: bool = False) -> list[CoverageGap]:
        """The stream is known to be open. Gives the blind time before it as a gap, if there was one."""
        if self.seeing:
            return []
        self.seeing = True
        since_ns, self.unvouched_since_ns = self.unvouched_since_ns, now_ns
        self._watched_since_ns = now_ns
        self._blind_since_ns = None
        if since_ns is None or since_ns >= now_ns:
            return []
        return self._gaps(since_ns, now_ns, self._cause(agent_restarted=agent_restarted))

    def ended(self, now_ns: int, cause: GapCause) -> list[CoverageGap]:
        """The stream is over. Gives the gap of a throttling that was going on."""
        gaps = self._throttle_gap(now_ns) if self._throttled else []
        self._throttled.clear()
        if self.seeing:
            self.seeing = False
            self._blind_cause, self._blind_since_ns = cause, now_ns
        return gaps

    def hand_over(self, now_ns: int) -> OpenClaim | None:
        """What the next ingest goes on from, where this one ends now and that one has read meanwhile.

        None while the stream is not open. The caller still says the gaps of `ended`.
        """
        if not self.seeing or self.unvouched_since_ns is None:
            return None
        name, cluster = self.node.name, self.node.cluster
        return OpenClaim(name, cluster, self.unvouched_since_ns, tuple(sorted(self._throttled)), now_ns)

    def take_over(self, claim: OpenClaim) -> None:
        """Go on from where another ingest ended: the stream is open, and was so all the time."""
        self._names.node = NodeId(claim.cluster, claim.node)
        self._is_named = self.seeing = True
        self.unvouched_since_ns = self._watched_since_ns = claim.since_ns
        self._blind_since_ns = None
        self._throttled = set(claim.throttled)
        self._throttled_since_ns = claim.throttled_since_ns

    def farewell(self) -> list[CoverageGap]:
        """That this process stops in good order: nobody watches from where the last heartbeat ended."""
        since_ns = self.unvouched_since_ns
        if not self.seeing or not self._is_on_topic or since_ns is None:
            return []
        return [self._record(NamedPart(self.node, since_ns, since_ns), GapCause.FAREWELL, None, None)]

    def last_words(self, now_ns: int) -> list[CoverageGap]:
        """A gap up to the end of this process, if nothing was said of the node yet: its name must be known."""
        since_ns = self.unvouched_since_ns
        if self._is_on_topic or not self._is_named or since_ns is None or since_ns >= now_ns:
            return []
        return self._gaps(since_ns, now_ns, GapCause.INGEST_RESTART)

    def losses(self, findings: Findings, agent: list[AgentLoss]) -> list[CoverageGap]:
        """Gaps for what was lost, or not understood, while the stream was open."""
        gaps = []
        for reason, interval in findings.dropped.items():
            cause, detail = _CAUSES[reason]
            gaps += self._gaps_of(interval, cause, detail)
        if findings.undecodable is not None:
            gaps += self._gaps_of(findings.undecodable, GapCause.UNDECODABLE, "kept in the raw topic")
        for loss in agent:
            begin_ns = loss.from_ns - self._lateness_ns
            gaps += self._gaps(begin_ns, loss.to_ns, loss.cause, lost=loss.growth, detail=loss.counter)
        throttled = [gap for throttle in findings.throttles for gap in self._throttle(throttle)]
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
            gaps = self._throttle_gap(until_ns)
        part = NamedPart(self.node, self._watched_since_ns, until_ns)
        beat = replace(
            self._record(part, GapCause.HEARTBEAT, None, evidence.filters.text),
            boot_id=self._origin.boot_id,
            boot_ns=self._origin.boot_ns,
            ingest_version=self._origin.version,
        )
        self.unvouched_since_ns = until_ns
        return gaps + ([replace(beat, cause=cause) for cause in _kept_back(evidence)] or [beat])

    def _throttle(self, event: Throttle) -> list[CoverageGap]:
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
        return self._throttle_gap(max(event.time_ns or 0, self._throttled_since_ns) + 1)

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

    def _throttle_gap(self, to_ns: int) -> list[CoverageGap]:
        from_ns, self._throttled_since_ns = self._throttled_since_ns, to_ns
        return self._gaps(from_ns, to_ns, GapCause.THROTTLE)

    def _cause(self, *, agent_restarted: bool) -> GapCause:
        """Why nothing was seen, now that the stream is back."""
        is_restart = agent_restarted and self._blind_cause is GapCause.RECONNECT
        return GapCause.AGENT_RESTART if is_restart else self._blind_cause

    def _gaps_of(self, interval: EventInterval, cause: GapCause, detail: str | None) -> list[CoverageGap]:
        return self._gaps(interval.from_ns, interval.to_ns + 1, cause, lost=interval.events, detail=detail)

    def _gaps(
        self, from_ns: int, to_ns: int, cause: GapCause, *, lost: int | None = None, detail: str | None = None
    ) -> list[CoverageGap]:
        """The gap, under each name that the node had meanwhile; which of them lost how much is not known then."""
        parts = self._names.parts(from_ns, to_ns)
        return [self._record(part, cause, lost if len(parts) == 1 else None, detail) for part in parts]

    def _record(self, part: NamedPart, cause: GapCause, lost: int | None, detail: str | None) -> CoverageGap:
        self._is_on_topic = self._is_on_topic or part.node == self.node
        return CoverageGap(
            node=part.node.name,
            cluster=part.node.cluster,
            session=self._session,
            from_ns=part.from_ns,
            to_ns=part.to_ns,
            cause=cause,
            events_lost=lost,
            detail=detail,
        )


def _kept_back(evidence: ClaimEvidence) -> list[GapCause]:
    """What a heartbeat cannot vouch for."""
    causes = [GapCause.FILTERED] if evidence.filters.hide_evidence else []
    return causes if evidence.scraped_ns is not None else [*causes, GapCause.LOSSES_UNREAD]

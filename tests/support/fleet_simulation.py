"""A fleet that lives, by seed: nodes come and go, and what ingest and authorities say of them, by the real pure steps.

Each run of ingest is a `NodeClaims`, asked only when something happens. Its records go through `CoverageFolder` to
rows, and rows to `FleetCoverage`, as in a worker. Beside them the simulator keeps what is true: when each node ran,
when it owed and when it was watched. Times are seconds since the beginning of the history.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from agents.coverage.covering import CoverageFolder
from agents.coverage.fleet import FleetCoverage
from agents.coverage.interval import Interval
from agents.coverage.keys import node_partition, record_key
from app.ingest.event_books import EventInterval, Findings
from app.ingest.node_claims import LATENESS_NS, AgentLoss, ClaimEvidence, NodeClaims, Origin
from app.kafka.records import Recorded
from app.telemetry.metric import DropReason
from schemas import topics
from schemas.coverage import CoverageGap, GapCause, decode, encode
from schemas.node import NodeId

S: Final = 1_000_000_000
DAY: Final = 86_400
START_NS: Final = 1_700_000_000 * S
LATENESS: Final = LATENESS_NS // S
PARTITIONS: Final = 64
_SHORTEST: Final = 600
"""Seconds between a boot and its halt, so that ingest vouches in each; a shorter one may be known of by nobody."""


@dataclass(frozen=True)
class FleetPlan:
    """What a fleet is like. With `is_perfect`, nothing is lost, ingest opens at the boot, and every end is told."""

    nodes: int
    days: float
    mean_life_days: float = 7.0
    upgrade_days: float = 7.0
    has_authority: bool = True
    is_perfect: bool = False


@dataclass
class NodeTruth:
    """What is true of one name: when code ran, when the node owed, when it was watched, and what the gaps hold."""

    ran: list[Interval] = field(default_factory=list)
    owed: list[Interval] = field(default_factory=list)
    watched: list[Interval] = field(default_factory=list)
    gaps: list[Interval] = field(default_factory=list)


class Fleet:
    """A history; `end_s` is the present."""

    def __init__(self, plan: FleetPlan, seed: int) -> None:
        self.plan = plan
        self.end_s = int(plan.days * DAY)
        self.truth: dict[NodeId, NodeTruth] = {}
        self.records = 0
        self.partition_sizes: list[int] = []
        self._rng = Random(seed)
        self._folder = CoverageFolder(lambda value: decode(value or b""))
        self._waiting: list[list[CoverageGap]] = [[] for _ in range(PARTITIONS)]
        for slot in range(plan.nodes):
            self._live_slot(NodeId(f"cluster-{slot % 2}", f"worker-{slot // 2}"))
        if plan.has_authority:
            for cluster in ("cluster-0", "cluster-1"):
                self._tell(NodeId(cluster, ""), GapCause.FOLLOWED, -DAY, self.end_s)

    def covered(self) -> FleetCoverage:
        """What a worker knows of it, from rows."""
        found = FleetCoverage()
        self.partition_sizes = [len(waiting) for waiting in self._waiting]
        for number, waiting in enumerate(self._waiting):
            self._rng.shuffle(waiting)
            records = [
                Recorded(topics.COVERAGE, number, at, 0, record_key(one), encode(one, 1))
                for at, one in enumerate(waiting)
            ]
            self._folder.absorb(number, records)
            waiting.clear()
        for number in self._folder.unwritten():
            for key, row in self._folder.flush(number, lambda keys: [None] * len(keys)).items():
                found.take(number, key, row)
        return found

    def _live_slot(self, node: NodeId) -> None:
        """The machines that follow each other in one place, some under one name."""
        rng, plan = self._rng, self.plan
        begin, number = -rng.uniform(0, 5) * DAY, 0
        name = node
        while begin < self.end_s - _SHORTEST:
            life = rng.expovariate(1 / (plan.mean_life_days * DAY))
            end = min(begin + max(life, _SHORTEST), self.end_s)
            is_told = _Machine(self, name, int(begin), int(end)).live()
            begin = end + rng.uniform(30, 600)
            if rng.random() < 0.8 or not is_told:
                number += 1
                name = NodeId(node.cluster, f"{node.name}-{number}")

    def publish(self, records: list[CoverageGap]) -> None:
        """To the topic."""
        self.records += len(records)
        for one in records:
            self._waiting[node_partition(one.node_id, PARTITIONS)].append(one)

    def _tell(self, node: NodeId, cause: GapCause, at: int, said: int) -> None:
        told = CoverageGap(
            node=node.name, cluster=node.cluster, from_ns=ns(at), to_ns=ns(said), cause=cause, said_by="kubernetes"
        )
        self.publish([told])

    tell = _tell
    """Publishes an authority's word."""


class _Machine:
    """One life of a node: from its creation to its deletion, which nobody may have told."""

    def __init__(self, fleet: Fleet, node: NodeId, begin: int, end: int) -> None:
        self.fleet, self.node, self.end = fleet, node, end
        self.rng = fleet._rng
        self.truth = fleet.truth.setdefault(node, NodeTruth())
        self.at = begin
        self.boots = 0
        self.begin = begin
        self.vouched_until: int | None = None

    def live(self) -> bool:
        """All of it; returns whether its end was told."""
        plan, rng = self.fleet.plan, self.rng
        if plan.has_authority:
            self.fleet.tell(self.node, GapCause.CREATED, self.begin, self.begin)
        is_silent = not plan.is_perfect and rng.random() < 0.002  # nobody ever runs ingest there
        owed_from: int | None = self.begin if plan.has_authority or not is_silent else None
        boot = self.begin
        while True:
            self.boots += 1
            halt = min(self.end, boot + int(rng.expovariate(1 / (12 * DAY))) + _SHORTEST)
            self.truth.ran.append(span(boot, halt))
            if not is_silent:
                self._watch(boot, halt)
            if halt >= self.end:
                break
            next_boot = halt + rng.randrange(60, 600)
            is_told = plan.is_perfect or rng.random() < 0.5
            if next_boot >= self.end - _SHORTEST:
                next_boot, is_told = self.end, plan.is_perfect
            if is_told and owed_from is not None and not is_silent:
                self.fleet.tell(self.node, GapCause.RETIRED, halt, halt + 5)
                self.truth.owed.append(span(owed_from, halt))
                owed_from = next_boot if next_boot < self.end else None
            if next_boot >= self.end:
                break
            boot = next_boot
        return self._go(owed_from)

    def _go(self, owed_from: int | None) -> bool:
        """The end of it, if it has come and somebody tells it."""
        plan, rng = self.fleet.plan, self.rng
        if owed_from is None:
            return plan.is_perfect
        if self.end >= self.fleet.end_s or not (plan.is_perfect or plan.has_authority or rng.random() < 0.9):
            self.truth.owed.append(span(owed_from, self.fleet.end_s))
            return False
        told = self.end if plan.is_perfect else self.end + rng.randrange(0, 20)
        self.fleet.tell(self.node, GapCause.RETIRED, told, told + 1)
        self.truth.owed.append(span(owed_from, told))
        return True

    def _watch(self, boot: int, halt: int) -> None:
        """Runs of ingest between a boot and a halt."""
        plan, rng = self.fleet.plan, self.rng
        opens = boot if plan.is_perfect else boot + rng.randrange(20, 90)
        is_dying = not plan.is_perfect and rng.random() < 0.01
        while opens < halt:
            ends = (
                halt
                if plan.is_perfect
                else min(halt, opens + int(rng.expovariate(1 / (plan.upgrade_days * DAY))) + 200)
            )
            self._run(boot, opens, ends)
            if is_dying:
                return
            opens = ends + rng.randrange(5, 30)

    def _run(self, boot: int, opens: int, ends: int) -> None:
        """One run of ingest, and what happens in it."""
        plan, rng = self.fleet.plan, self.rng
        session = f"{rng.getrandbits(64):016x}"
        origin = Origin(f"{self.node}-{self.begin}-{self.boots}", ns(boot), "1.0")
        claims = NodeClaims(
            self.node, None if self.vouched_until is None else ns(self.vouched_until), session=session, origin=origin
        )
        self._gaps(claims.opened(ns(opens)))
        since = opens
        for at in () if plan.is_perfect else sorted(rng.randrange(opens, ends) for _ in range(_few(rng, ends - opens))):
            if at - since < 3 * LATENESS or ends - at < 3 * LATENESS:
                continue
            match rng.randrange(4):
                case 0:  # the agent was restarted, or the connection lost
                    self._vouch(claims, since, at)
                    self._gaps(claims.ended(ns(at), GapCause.RECONNECT))
                    since = at + rng.randrange(1, 40)
                    self._gaps(claims.opened(ns(since)))
                case 1:
                    length = rng.choice((0, 1, 5))
                    lost = EventInterval(from_ns=ns(at), to_ns=ns(at + length), events=rng.randrange(1, 1000))
                    self._gaps(claims.losses(Findings(dropped={DropReason.OVERFLOW: lost}), []))
                case 2:
                    self._gaps(claims.losses(Findings(), [AgentLoss("ringbuf_lost", 3, ns(at - 10), ns(at))]))
                case _:
                    lost = EventInterval(from_ns=ns(at), to_ns=ns(at), events=1)
                    self._gaps(claims.losses(Findings(undecodable=lost), []))
        self._vouch(claims, since, ends)
        if ends < self.fleet.end_s and rng.random() < 0.9:
            self.fleet.publish(claims.farewell())

    def _vouch(self, claims: NodeClaims, since: int, now: int) -> None:
        """The last heartbeat before something happens. A perfect one knows everything at once."""
        late = now + LATENESS if self.fleet.plan.is_perfect else now
        moment = ns(late)
        evidence = ClaimEvidence(now_ns=moment, alive_ns=moment, written_before_ns=moment, scraped_ns=moment)
        beats = claims.heartbeat(evidence)
        self.fleet.publish(beats)
        if beats:
            self.vouched_until = late - LATENESS
            self.truth.watched.append(span(since, self.vouched_until))

    def _gaps(self, gaps: list[CoverageGap]) -> None:
        self.fleet.publish(gaps)
        self.truth.gaps += [Interval(gap.from_ns, gap.to_ns) for gap in gaps]


def _few(rng: Random, seconds: int) -> int:
    """How many things happen in a run: one in ten days, by chance."""
    return sum(1 for _ in range(3) if rng.random() < seconds / (30 * DAY))


def ns(second: int) -> int:
    """Nanoseconds since the Unix epoch."""
    return START_NS + second * S


def span(begin: int, end: int) -> Interval:
    """An interval of seconds."""
    return Interval(ns(begin), ns(end))


def missing_by_truth(truth: NodeTruth, window: Interval) -> tuple[int, int]:
    """Nanoseconds that the node owed in a window, and that are missing of it: a sweep over what is true."""
    turns: list[tuple[int, int, int]] = []
    for kind, stretches in enumerate((truth.owed, truth.watched, truth.gaps)):
        turns += [turn for one in stretches for turn in ((one.from_ns, kind, 1), (one.to_ns, kind, -1))]
    depth = [0, 0, 0]
    owed = missing = 0
    before = window.from_ns
    for at, kind, change in sorted(turns):
        here = min(max(at, window.from_ns), window.to_ns)
        if depth[0] and here > before:
            owed += here - before
            if not depth[1] or depth[2]:
                missing += here - before
        before = max(before, here)
        depth[kind] += change
    return owed, missing


def unseen_moments(truth: NodeTruth, rng: Random, count: int) -> Iterator[int]:
    """Moments at which code ran on the node and nobody watched."""
    for _ in range(count):
        if not truth.ran:
            return
        one = rng.choice(truth.ran)
        at = rng.randrange(one.from_ns, one.to_ns)
        is_watched = any(stretch.from_ns <= at < stretch.to_ns for stretch in truth.watched)
        is_lost = any(gap.from_ns <= at < max(gap.to_ns, gap.from_ns + 1) for gap in truth.gaps)
        if not is_watched or is_lost:
            yield at

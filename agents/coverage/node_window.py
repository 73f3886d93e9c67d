"""Whether one window of one node's events is complete. This is the only place that decides it.

A window is trusted where heartbeats cover all of it and no gap touches it. It is not trusted where a gap touches it, or
where two sessions of ingest vouched for the same time (`vouching.py`). Otherwise it is unknown: nobody has vouched for
all of it yet, its records have expired, or nobody looked whether events were lost. A time in which the node was gone,
by the word of somebody who may know, needs no heartbeat (`lives.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from agents.coverage.interval import Interval, Stretch, cut, join, touches, touching, uncovered
from agents.coverage.lives import FOREVER_NS, lives
from agents.coverage.refused_minutes import RefusedMinutes
from agents.coverage.told import Told
from agents.coverage.vouching import VouchedInterval, vouched_by_anybody, vouched_twice
from schemas.coverage import CLAIMS, TELLING, CoverageGap, GapCause, merge
from schemas.node import NodeId

MAX_LISTED_GAPS: Final = 10_000
"""Gaps of a window that are kept one by one; a single one decides, so further ones are only counted."""


DOUBTS: Final = frozenset({GapCause.LOSSES_UNREAD.value})
"""Causes of gaps in which nobody can tell whether events are missing."""


class CausedStretch(Stretch, Protocol):
    """A gap: a stretch of time with the value of its GapCause."""

    @property
    def cause(self) -> str:
        """Why events may be missing."""


GapT_co = TypeVar("GapT_co", bound=CausedStretch, covariant=True)


class Trust(StrEnum):
    """What can be said about a window."""

    TRUSTED = "trusted"
    NOT_TRUSTED = "not-trusted"
    UNKNOWN = "unknown"


class Absence(NamedTuple):
    """A time in which a node was gone, and whose word that is."""

    when: Interval
    said_by: str


@dataclass(frozen=True, slots=True)
class NodeWindow(Generic[GapT_co]):
    """The answer for one window: the gaps that touch it, and the parts that no heartbeat covers, in order.

    `twice` are the parts that two sessions of ingest vouched for at once. `gone` is when the node was not there, and by
    whose word; nothing is missing of that.
    """

    gaps: tuple[GapT_co, ...]
    unvouched: tuple[Interval, ...]
    twice: tuple[Interval, ...] = ()
    gone: tuple[Absence, ...] = ()

    @property
    def trust(self) -> Trust:
        """A gap outweighs every heartbeat, because heartbeats also span the gaps before them."""
        if self.twice or any(gap.cause not in DOUBTS for gap in self.gaps):
            return Trust.NOT_TRUSTED
        return Trust.UNKNOWN if self.gaps or self.unvouched else Trust.TRUSTED


def judge(
    window: Interval, vouched: Iterable[Interval], twice: Iterable[Interval], gaps: Iterable[GapT_co]
) -> NodeWindow[GapT_co]:
    """Decide over a window that is not empty.

    `vouched` is what anybody vouched for and `twice` what two sessions did, in order and without overlaps; gaps keep
    their order.
    """
    return NodeWindow(
        tuple(touching(gaps, window)),
        tuple(uncovered(window, vouched)),
        tuple([cut(one, window) for one in touching(twice, window)]),
    )


def vouches(record: CoverageGap) -> bool:
    """Whether a record says that ingest saw some stretch of time; an empty heartbeat says nothing.

    Nor does one of all nodes: nobody can vouch for those of others.
    """
    return record.cause in CLAIMS and record.to_ns > record.from_ns and record.skipped is None


def is_gap(record: CoverageGap) -> bool:
    """Whether a record says that events may be missing; one that ends before it begins says nothing.

    A heartbeat under a filter, and one without the agent's loss counters, vouches and is a gap.
    """
    is_other = record.cause is GapCause.HEARTBEAT or record.cause in TELLING
    return not is_other and record.to_ns >= record.from_ns


class WindowRecords:
    """Collects the coverage records of one window of one node, in any order, repeated ones too."""

    def __init__(self, node: NodeId, window: Interval) -> None:
        self.node = node
        self.window = window
        self._vouched: dict[str, list[Interval]] = {}
        self._gaps: dict[CoverageGap, None] = {}
        self._claims: dict[tuple[GapCause, str], CoverageGap] = {}
        self._refused = RefusedMinutes()
        self._told = Told()
        self._heard: dict[str, list[Interval]] = {}
        self._gaps_heard: dict[Interval, None] = {}
        self.gaps_left_out = 0
        """Gaps beyond those that are listed."""
        self.vouched_until_ns: int | None = None
        """End of the node's latest heartbeat among the records, inside the window or not; None without one."""

    def add(self, record: CoverageGap) -> None:
        """Take a record; one of another node is ignored, one of all nodes is not."""
        if record.node_id != self.node and record.skipped is None:
            return
        if record.skipped is None:
            self._hear(record)
        if vouches(record):
            self.vouched_until_ns = max(self.vouched_until_ns or 0, record.to_ns)
            if touches(record, self.window):
                _vouch(self._vouched.setdefault(record.session, []), Interval(record.from_ns, record.to_ns))
        if is_gap(record) and touches(record, self.window) and record not in self._gaps:
            self._keep(record)

    def refuse(self, received_ms: int) -> None:
        """Note a dead letter, by the time when its event was received: any node may have sent it."""
        self._refused.note(received_ms)

    def judge(self) -> NodeWindow[CoverageGap]:
        """What the records say about the window; gaps are in the order of their beginning."""
        gaps = sorted(
            [*self._gaps, *map(_refused_gap, self._refused.intervals())],
            key=lambda gap: (gap.from_ns, gap.to_ns, gap.cause),
        )
        vouched = [VouchedInterval(*one, session) for session, found in self._vouched.items() for one in join(found)]
        anybody, twice = vouched_by_anybody(vouched), vouched_twice(vouched)
        gone = self._gone()
        there = [judge(part, anybody, twice, gaps) for part in uncovered(self.window, (one.when for one in gone))]
        return NodeWindow(
            tuple(dict.fromkeys(gap for part in there for gap in part.gaps)),
            tuple(one for part in there for one in part.unvouched),
            tuple(one for part in there for one in part.twice),
            tuple(gone),
        )

    def _hear(self, record: CoverageGap) -> None:
        """Take what says from when to when the node was there, which may be told long before the window or after."""
        if record.cause in TELLING or record.boot_id or record.ingest_version:
            self._told.add([record])
        if vouches(record):
            _vouch(self._heard.setdefault(record.session, []), Interval(record.from_ns, record.to_ns))
        elif is_gap(record) and record.cause is not GapCause.UNKNOWN:
            self._gaps_heard[Interval(record.from_ns, record.to_ns)] = None

    def _gone(self) -> list[Absence]:
        """When the node was gone in the window."""
        if not self._told.words:
            return []
        found = lives(self._told, [one for heard in self._heard.values() for one in heard], self._gaps_heard)
        begins = [life.from_ns for life in found[1:]] + [FOREVER_NS]
        gone = [
            Absence(Interval(life.to_ns, next_ns), life.ended_by)
            for life, next_ns in zip(found, begins, strict=False)
            if life.ended_by is not None
        ]
        return [Absence(cut(one.when, self.window), one.said_by) for one in gone if touches(one.when, self.window)]

    def _keep(self, gap: CoverageGap) -> None:
        """List a gap. Of heartbeats that are gaps, those that follow each other are one."""
        if gap.cause in CLAIMS:
            kind = gap.cause, gap.session
            last = self._claims.get(kind)
            both = merge(last, gap) if last and last.from_ns <= gap.from_ns <= last.to_ns else None
            if last is not None and both is not None:
                del self._gaps[last]
            self._claims[kind] = gap = both or gap
        if len(self._gaps) < MAX_LISTED_GAPS:
            self._gaps[gap] = None
        else:
            self.gaps_left_out += 1


def _refused_gap(one: Interval) -> CoverageGap:
    return CoverageGap(
        node="", from_ns=one.from_ns, to_ns=one.to_ns, cause=GapCause.REFUSED, detail="of any node, by a stage"
    )


def _vouch(vouched: list[Interval], beat: Interval) -> None:
    """Heartbeats of a session follow each other, so most of them only lengthen the last interval."""
    if vouched and vouched[-1].from_ns <= beat.from_ns <= vouched[-1].to_ns:
        last = vouched[-1]
        vouched[-1] = Interval(last.from_ns, max(last.to_ns, beat.to_ns))
    else:
        vouched.append(beat)

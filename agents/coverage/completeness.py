"""For how long, since a moment, the events of all nodes are complete, and where they may not be.

A node counts from the first time that it is vouched for, or was seen to lose events. From then on it must be vouched
for without a break. A node that falls silent is a gap that grows: nobody can distinguish a node that was taken away
from one whose agent died. A node that was silent before the moment does not count.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, cut, total_ns, touches
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.vouching import VOUCHED_TWICE
from schemas.coverage import GapCause
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

SILENCE_NS: Final = 600 * NS_PER_SECOND
"""How far a node may be behind the others before it counts as silent; ingest vouches some 70 s behind the present."""

MAX_GAPS: Final = 8
"""Gaps that an answer lists; a single one decides, so further ones are only counted."""

UNVOUCHED: Final = "Unvouched"
EXPIRED: Final = "Expired"
REFUSED: Final = "Refused"
UNREADABLE: Final = "Unreadable"
TOO_MANY_NODES: Final = "TooManyNodes"


class MissingInterval(NamedTuple):
    """A stretch of time in which events may be missing.

    `cause` is the value of a GapCause, or VOUCHED_TWICE, UNVOUCHED, EXPIRED, REFUSED, UNREADABLE or
    TOO_MANY_NODES. `node` is None when the gap affects all nodes.
    """

    from_ns: int
    to_ns: int
    node: NodeId | None
    cause: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """`complete_ns` is how much of the time up to `until_ns` is complete; both are 0 where nobody vouches.

    `gaps` has the newest first; `gaps_more` counts those that are not listed. `is_vouched_twice`: two ingests vouched
    for one node at once, so its events may be counted twice.
    """

    complete_ns: int = 0
    until_ns: int = 0
    nodes: int = 0
    gaps: tuple[MissingInterval, ...] = ()
    gaps_more: int = 0
    is_vouched_twice: bool = False


def completeness(
    nodes: Mapping[NodeId, NodeCoverage],
    since_ns: int,
    now_ns: int,
    *,
    forgotten_ns: int | None = None,
    refused: Iterable[Interval] = (),
    of_all: Iterable[GapInterval] = (),
) -> Completeness:
    """The answer for the time since `since_ns`. What is vouched for beyond `now_ns` comes from a clock that runs ahead.

    Rows of symbols that were hit before `forgotten_ns` may have expired. Events of the intervals `refused` reached a
    stage that could not process them. In the gaps `of_all` any node may have lost events: a stage never read what was
    received then, or a coverage record cannot be read.
    """
    ends = {node: known.vouched[-1].to_ns for node, known in nodes.items() if known.vouched}
    ends = {node: min(end, now_ns) for node, end in ends.items() if end > since_ns}
    if not ends:
        return Completeness()
    newest = max(ends.values())
    until_ns = min(end for end in ends.values() if end >= newest - SILENCE_NS)
    if until_ns <= since_ns:
        return Completeness(nodes=len(ends))
    window = Interval(since_ns, until_ns)
    missing = sorted(
        {
            *_forgotten(forgotten_ns, window),
            *(MissingInterval(*cut(one, window), None, REFUSED) for one in refused if touches(one, window)),
            *(MissingInterval(*cut(one, window), None, _cause(one)) for one in of_all if touches(one, window)),
            *_before_all((nodes[node] for node in ends), window),
            *(one for node in ends for one in _of_node(node, nodes[node], window)),
            *(one for node, known in nodes.items() if not known.vouched for one in _gaps_of(node, known, window)),
        },
        key=lambda one: (-one.to_ns, -one.from_ns, one.node or (), one.cause),
    )
    return Completeness(
        complete_ns=until_ns - since_ns - total_ns(missing),
        until_ns=until_ns,
        nodes=len(ends),
        gaps=tuple(missing[:MAX_GAPS]),
        gaps_more=len(missing[MAX_GAPS:]),
        is_vouched_twice=any(one.cause == VOUCHED_TWICE for one in missing),
    )


def _cause(gap: GapInterval) -> str:
    return UNREADABLE if gap.cause == GapCause.UNKNOWN.value else gap.cause


def _forgotten(before_ns: int | None, window: Interval) -> Iterator[MissingInterval]:
    if before_ns is not None and before_ns > window.from_ns:
        yield MissingInterval(window.from_ns, min(before_ns, window.to_ns), None, EXPIRED)


def _before_all(nodes: Iterable[NodeCoverage], window: Interval) -> Iterator[MissingInterval]:
    """The time before any node was vouched for."""
    first = min(known.vouched[0].from_ns for known in nodes)
    if first > window.from_ns:
        yield MissingInterval(window.from_ns, min(first, window.to_ns), None, UNVOUCHED)


def _gaps_of(node: NodeId, known: NodeCoverage, window: Interval) -> Iterator[MissingInterval]:
    """Of a node that did not live long enough to be vouched for: it ran, and what it lost may have been anything."""
    for gap in known.gaps:
        if touches(gap, window):
            yield MissingInterval(*cut(gap, window), node, gap.cause)


def _of_node(node: NodeId, known: NodeCoverage, window: Interval) -> Iterator[MissingInterval]:
    judged = known.judge(window)
    for gap in judged.gaps:
        yield MissingInterval(*cut(gap, window), node, gap.cause)
    for twice in judged.twice:
        yield MissingInterval(*twice, node, VOUCHED_TWICE)
    # If no interval was dropped, this node did not exist before its first one: that time is not missing.
    begin_ns = known.vouched[0].from_ns if known.known_from_ns is None else window.from_ns
    for one in judged.unvouched:
        if one.from_ns >= begin_ns:
            yield MissingInterval(*one, node, UNVOUCHED)

"""For how long, since a moment, the events of all nodes are complete, and where they may not be.

A node counts from the first time that it is vouched for. From then on it has to be vouched for without a break; one
that falls silent is a gap that grows, because nobody can tell a node that was taken away from one whose agent died.
One that was silent before the moment already does not count. Rules: times are Unix epoch in nanoseconds. This module
refuses to know Kafka and clocks.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from agents.coverage.node_coverage import NodeCoverage, Window

SILENCE_NS: Final = 600 * 1_000_000_000
"""How far a node may be behind the others before it counts as silent; ingest vouches some 70 s behind the present."""

MAX_GAPS: Final = 8
"""That are told one by one; any single one decides."""

UNVOUCHED: Final = "Unvouched"
EXPIRED: Final = "Expired"
REFUSED: Final = "Refused"


class Missing(NamedTuple):
    """A stretch in which events may be missing, and why: a GapCause or a word from above. No node: of none alone."""

    from_ns: int
    to_ns: int
    node: str
    cause: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """`complete_ns` of the time up to `until_ns`; 0 where nobody vouches. `gaps` has the newest first."""

    complete_ns: int = 0
    until_ns: int = 0
    nodes: int = 0
    gaps: tuple[Missing, ...] = ()
    gaps_more: int = 0


def completeness(
    nodes: Mapping[str, NodeCoverage],
    since_ns: int,
    now_ns: int,
    *,
    forgotten_ns: int | None = None,
    refused: Iterable[Window] = (),
) -> Completeness:
    """The answer for the time since `since_ns`; what is vouched for beyond `now_ns` is a clock that runs ahead.

    Rows of symbols that were hit before `forgotten_ns` may have expired; within `refused` came events that no stage
    could process.
    """
    ends = {node: known.vouched[-1].to_ns for node, known in nodes.items() if known.vouched}
    ends = {node: min(end, now_ns) for node, end in ends.items() if end > since_ns}
    if not ends:
        return Completeness()
    newest = max(ends.values())
    until_ns = min(end for end in ends.values() if end >= newest - SILENCE_NS)
    if until_ns <= since_ns:
        return Completeness(nodes=len(ends))
    window = Window(since_ns, until_ns)
    missing = sorted(
        {
            *_forgotten(forgotten_ns, window),
            *(Missing(*one, "", REFUSED) for one in _within(refused, window)),
            *_before_all((nodes[node] for node in ends), window),
            *(m for n in ends for m in _of_node(n, nodes[n], window)),
        },
        key=lambda one: (-one.to_ns, -one.from_ns, one.node, one.cause),
    )
    return Completeness(
        complete_ns=until_ns - since_ns - _length(missing),
        until_ns=until_ns,
        nodes=len(ends),
        gaps=tuple(missing[:MAX_GAPS]),
        gaps_more=len(missing[MAX_GAPS:]),
    )


def _forgotten(before_ns: int | None, window: Window) -> Iterator[Missing]:
    if before_ns is not None and before_ns > window.from_ns:
        yield Missing(window.from_ns, min(before_ns, window.to_ns), "", EXPIRED)


def _before_all(nodes: Iterable[NodeCoverage], window: Window) -> Iterator[Missing]:
    first = min(known.vouched[0].from_ns for known in nodes)
    if first > window.from_ns:
        yield Missing(window.from_ns, min(first, window.to_ns), "", UNVOUCHED)


def _of_node(node: str, known: NodeCoverage, window: Window) -> Iterator[Missing]:
    for gap in known.gaps:
        yield from (Missing(*one, node, gap.cause) for one in _within([Window(gap.from_ns, gap.to_ns)], window))
    is_whole = known.known_from_ns is None  # what came before its first window is known, and was nothing
    begin = max(window.from_ns, known.vouched[0].from_ns) if is_whole else window.from_ns
    for vouched in known.vouched:
        if vouched.from_ns >= window.to_ns:
            break
        if vouched.from_ns > begin:
            yield Missing(begin, vouched.from_ns, node, UNVOUCHED)
        begin = max(begin, vouched.to_ns)
    if begin < window.to_ns:
        yield Missing(begin, window.to_ns, node, UNVOUCHED)


def _within(found: Iterable[Window], window: Window) -> Iterator[Window]:
    """What touches the window, cut to it; an instant touches the window that holds it."""
    for one in found:
        touches = one.to_ns > window.from_ns or one.from_ns == one.to_ns == window.from_ns
        if touches and one.from_ns < window.to_ns:
            yield Window(max(one.from_ns, window.from_ns), min(one.to_ns, window.to_ns))


def _length(missing: Iterable[Missing]) -> int:
    """Length of the union."""
    total, end = 0, None
    for one in sorted(missing):
        begin = one.from_ns if end is None else max(one.from_ns, end)
        if one.to_ns > begin:
            total += one.to_ns - begin
        end = one.to_ns if end is None else max(end, one.to_ns)
    return total

"""What one node owed up to a moment, and what of it is missing, with causes.

Where a gap says why nobody saw a time, that time is not listed a second time as one that nobody vouched for. Nothing is
missing of a time for which the node did not owe: it was off, or not there.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from agents.coverage.interval import Interval, join, outside
from agents.coverage.lives import Life
from agents.coverage.missing import UNVOUCHED, MissingInterval
from agents.coverage.node_coverage import NodeCoverage
from agents.coverage.vouching import VOUCHED_TWICE
from schemas.coverage import GapCause
from schemas.node import NodeId

_end_of: Final = itemgetter(1)
_UNKNOWN: Final = GapCause.UNKNOWN.value


@dataclass(frozen=True, slots=True)
class NodeAccount:
    """`owed` is in order and does not overlap; `missing` lies inside of it, and causes may overlap.

    `united` is the missing time whatever its cause, without instants.
    """

    owed: tuple[Interval, ...]
    missing: tuple[MissingInterval, ...]
    united: tuple[Interval, ...]


def misses_nothing(known: NodeCoverage, found: Sequence[Life], until_ns: int) -> bool:
    """Whether it is plain that a node with these lives misses nothing up to `until_ns`: so do nearly all of a fleet."""
    if known.gaps or known.twice or known.told.farewells or not len(known.vouched) == len(found) == 1:
        return False
    (vouched,), (life,) = known.vouched, found
    return vouched.from_ns <= life.from_ns < until_ns and vouched.to_ns >= min(life.to_ns, until_ns)


def account_of(node: NodeId, known: NodeCoverage, found: Sequence[Life], until_ns: int) -> NodeAccount:
    """The account of a node with these lives up to `until_ns`."""
    if misses_nothing(known, found, until_ns):
        return NodeAccount((Interval(found[0].from_ns, min(found[0].to_ns, until_ns)),), (), ())
    owed = [Interval(life.from_ns, min(life.to_ns, until_ns)) for life in found if life.from_ns < until_ns]
    owed = join([*owed, *_unread(known, owed[0].from_ns if owed else until_ns)])
    missing = [one for life in owed for one in _missing_of(node, known, life)]
    united = join([Interval(one[0], one[1]) for one in missing if one[1] > one[0]])
    return NodeAccount(tuple(owed), tuple(missing), tuple(united))


def _unread(known: NodeCoverage, before_ns: int) -> Iterator[Interval]:
    """Times before a node was heard of of which a record tells that nobody can read: it may have been there."""
    for gap in known.gaps:
        if gap.cause == _UNKNOWN and gap.from_ns < min(gap.to_ns, before_ns):
            yield Interval(gap.from_ns, min(gap.to_ns, before_ns))


def _missing_of(node: NodeId, known: NodeCoverage, owed: Interval) -> list[MissingInterval]:
    begin_ns, end_ns = owed
    if begin_ns >= end_ns:
        return []
    judged = known.judge(owed)
    missing = [
        MissingInterval(max(begin_ns, from_ns), min(end_ns, to_ns), node, cause, lost)
        for from_ns, to_ns, cause, lost, _ in judged.gaps
    ]
    missing += [MissingInterval(*twice, node, VOUCHED_TWICE) for twice in judged.twice]
    if judged.unvouched:
        farewells = sorted(known.told.farewells)
        explained = join([Interval(gap[0], gap[1]) for gap in judged.gaps if gap[1] > gap[0]])
        for one in outside(judged.unvouched, explained):
            missing.append(MissingInterval(one[0], one[1], node, _why(one, known.vouched, farewells)))
    return missing


def _why(one: Interval, vouched: Sequence[Interval], farewells: Sequence[int]) -> str:
    """Why nobody vouched: ingest had said farewell, or nobody knows."""
    at = bisect_left(vouched, one[1], key=_end_of)
    said = bisect_left(farewells, vouched[at - 1][1] if at else one[0])
    return GapCause.FAREWELL.value if said < len(farewells) and farewells[said] < one[1] else UNVOUCHED

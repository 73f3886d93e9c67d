"""Stretches of time in which events may be missing, and the largest of them since any moment."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from agents.coverage.sums import suffix_sums
from schemas.coverage import LOSSES
from schemas.node import NodeId

MAX_GAPS: Final = 8
"""Gaps that an answer lists; a single one decides, so further ones are only counted."""

UNVOUCHED: Final = "Unvouched"
EXPIRED: Final = "Expired"
REFUSED: Final = "Refused"
UNREADABLE: Final = "Unreadable"
TOO_MANY_NODES: Final = "TooManyNodes"

_LOSSES: Final = frozenset(cause.value for cause in LOSSES)


class MissingInterval(NamedTuple):
    """A stretch of time in which events may be missing.

    `cause` is the value of a GapCause, or VOUCHED_TWICE, UNVOUCHED, EXPIRED, REFUSED, UNREADABLE or
    TOO_MANY_NODES. `node` is None when the gap affects all nodes. `events_lost` is None where nobody counted them.
    """

    from_ns: int
    to_ns: int
    node: NodeId | None
    cause: str
    events_lost: int | None = None


def by_size(gap: MissingInterval) -> tuple[int, int, NodeId | tuple[()], str]:
    """Sorts gaps by their length, the longest first, then the newest."""
    return gap.from_ns - gap.to_ns, -gap.to_ns, gap.node or (), gap.cause


class GapRanking:
    """Gaps up to one end, and what they are since any moment."""

    def __init__(self, gaps: Iterable[MissingInterval]) -> None:
        self._gaps = sorted(set(gaps), key=lambda gap: (gap.from_ns, gap.to_ns, gap.node or (), gap.cause))
        self._begins = [gap.from_ns for gap in self._gaps]
        self._largest_from = list(_best(reversed(self._gaps), by_size))[::-1]
        self._latest_before = list(_best(self._gaps, lambda gap: (-gap.to_ns, gap.node or (), gap.cause)))
        # an instant lasts until the next nanosecond, as far as it is asked whether a moment is before its end
        last = sorted((max(gap.to_ns, gap.from_ns + 1), gap.events_lost or 0) for gap in self._gaps)
        self._ends = [end_ns for end_ns, _ in last]
        self._lost_from = suffix_sums([lost for _, lost in last])
        uncounted = (gap for gap in self._gaps if gap.events_lost is None and _needs_number(gap))
        self._uncounted_until = max((max(gap.to_ns, gap.from_ns + 1) for gap in uncounted), default=0)

    def count(self, since_ns: int) -> int:
        """How many there are since the moment, those that began before it included."""
        return len(self._ends) - bisect_right(self._ends, since_ns)

    def events_lost(self, since_ns: int) -> int | None:
        """Events that their counters say; None where a loss or an instant has no number."""
        if self._uncounted_until > since_ns:
            return None
        return self._lost_from[bisect_right(self._ends, since_ns)]

    def largest(self, since_ns: int) -> tuple[MissingInterval, ...]:
        """The longest ones since the moment, cut to it."""
        at = bisect_left(self._begins, since_ns)
        begun = [gap._replace(from_ns=since_ns) for gap in self._latest_before[at] if gap.to_ns > since_ns]
        return tuple(sorted([*self._largest_from[at], *begun], key=by_size)[:MAX_GAPS])


def _best(
    gaps: Iterable[MissingInterval], rank: Callable[[MissingInterval], Any]
) -> Iterator[tuple[MissingInterval, ...]]:
    """The best few of the gaps so far, before the first, between two and behind the last."""
    best: tuple[MissingInterval, ...] = ()
    yield best
    for gap in gaps:
        if len(best) < MAX_GAPS or rank(gap) < rank(best[-1]):
            best = tuple(sorted([*best, gap], key=rank)[:MAX_GAPS])
        yield best


def _needs_number(gap: MissingInterval) -> bool:
    """Whether its length says nothing of how much is missing."""
    return gap.cause in _LOSSES or gap.from_ns == gap.to_ns

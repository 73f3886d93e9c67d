"""From when to when a node owes an account of its events.

It owes from its boot, from its creation where an authority tells it, or from the first time that it was heard of. It
owes until somebody who may know says that it was gone. Hearing from it later voids that word, unless it was booted or
created again in between: then nobody owes for the time between. A node that only falls silent owes on.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from agents.coverage.interval import Interval
from agents.coverage.told import Told, Word

FOREVER_NS: Final = (1 << 63) - 1
"""The end of a life that nobody has ended."""


class Life(NamedTuple):
    """A stretch of time in which a node owes; `ended_by` is whose word ends it, None where it goes on."""

    from_ns: int
    to_ns: int
    ended_by: str | None


def lives(told: Told, vouched: Iterable[Interval], gaps: Iterable[Interval] = ()) -> list[Life]:
    """The lives of a node, in order. It was heard of when it was vouched for, and by the end of each of its gaps.

    A gap may begin before the node was there: a loss is reported with some time before it.
    """
    gaps = list(gaps)
    heard = sorted([*vouched, *(_end_of(gap) for gap in gaps)])
    retired = told.retired()
    starts = _starts(told, heard, retired)
    first = min([FOREVER_NS, *starts[:1], *(one.from_ns for one in heard[:1])])
    begin_ns = min([first, *(gap.from_ns for gap in gaps if not starts or gap.to_ns <= starts[0])])
    if begin_ns == FOREVER_NS:
        return []
    found: list[Life] = []
    for word in retired:
        if word.at_ns < begin_ns:
            continue
        next_ns = next((at_ns for at_ns in starts if at_ns >= word.at_ns), FOREVER_NS)
        if _is_heard(heard, word.at_ns, next_ns):
            continue
        found.append(Life(begin_ns, word.at_ns, word.by))
        begin_ns = next_ns
        if next_ns == FOREVER_NS:
            return found
    return [*found, Life(begin_ns, FOREVER_NS, None)]


def _starts(told: Told, heard: Sequence[Interval], retired: Sequence[Word]) -> list[int]:
    """Boots and creations. The boot of a machine that became a node later does not count, if it was silent until."""
    created = sorted(told.created())
    boots = told.booted()
    for made_ns in created:
        boots = [
            at_ns
            for at_ns in boots
            if at_ns >= made_ns
            or _is_heard(heard, at_ns, made_ns)
            or any(at_ns <= word.at_ns < made_ns for word in retired)
        ]
    return sorted([*boots, *created])


def _is_heard(heard: Sequence[Interval], from_ns: int, to_ns: int) -> bool:
    return any(one.to_ns > from_ns and one.from_ns < to_ns for one in heard)


def _end_of(gap: Interval) -> Interval:
    """The moment at which the node was heard of again: a gap ends when its ingest sees once more."""
    return Interval(gap.to_ns, gap.to_ns if gap.to_ns > gap.from_ns else gap.to_ns + 1)

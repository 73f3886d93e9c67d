"""From when to when a node owes an account of its events.

It owes from its boot, from its creation where an authority tells it, or from the first time that it was heard of. It
owes until somebody who may know says that it was gone. Hearing from it later voids that word, unless it was booted or
created again in between: then nobody owes for the time between. A node that only falls silent owes on.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, Stretch
from agents.coverage.told import Told, Word

FOREVER_NS: Final = (1 << 63) - 1
"""The end of a life that nobody has ended."""


class Life(NamedTuple):
    """A stretch of time in which a node owes; `ended_by` is whose word ends it, None where it goes on."""

    from_ns: int
    to_ns: int
    ended_by: str | None


class _Heard(NamedTuple):
    """When a node was heard of: it was vouched for, or a gap ended, because its ingest saw once more."""

    vouched: Sequence[Interval]
    gaps: Sequence[Stretch]

    def first_ns(self) -> int:
        """The first time."""
        return min([FOREVER_NS, *[one.from_ns for one in self.vouched], *[gap.to_ns for gap in self.gaps]])

    def is_between(self, from_ns: int, to_ns: int) -> bool:
        """Whether it was, behind the one moment and before the other."""
        if any(one.to_ns > from_ns and one.from_ns < to_ns for one in self.vouched):
            return True
        # an instant lasts until the next nanosecond
        return any(gap.to_ns < to_ns and max(gap.to_ns, gap.from_ns + 1) > from_ns for gap in self.gaps)


def lives(told: Told, vouched: Iterable[Interval], gaps: Iterable[Stretch] = ()) -> list[Life]:
    """The lives of a node, in order. It was heard of when it was vouched for, and by the end of each of its gaps.

    A gap may begin before the node was there: a loss is reported with some time before it.
    """
    heard = _Heard(list(vouched), list(gaps))
    retired = told.retired()
    starts = _starts(told, heard, retired)
    first = min([heard.first_ns(), *starts[:1]])
    begin_ns = min([first, *[gap.from_ns for gap in heard.gaps if not starts or gap.to_ns <= starts[0]]])
    if begin_ns == FOREVER_NS:
        return []
    found: list[Life] = []
    for word in retired:
        if word.at_ns < begin_ns:
            continue
        next_ns = next((at_ns for at_ns in starts if at_ns >= word.at_ns), FOREVER_NS)
        if heard.is_between(word.at_ns, next_ns):
            continue
        found.append(Life(begin_ns, word.at_ns, word.by))
        begin_ns = next_ns
        if next_ns == FOREVER_NS:
            return found
    return [*found, Life(begin_ns, FOREVER_NS, None)]


def _starts(told: Told, heard: _Heard, retired: Sequence[Word]) -> list[int]:
    """Boots and creations. The boot of a machine that became a node later does not count, if it was silent until."""
    created = sorted(told.created())
    boots = told.booted()
    for made_ns in created:
        boots = [
            at_ns
            for at_ns in boots
            if at_ns >= made_ns
            or heard.is_between(at_ns, made_ns)
            or any(at_ns <= word.at_ns < made_ns for word in retired)
        ]
    return sorted([*boots, *created])

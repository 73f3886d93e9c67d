"""A scan: one plain text under examination, and how much work may still be spent on it.

Positions are the same in `text` and `encoded`, because both are ASCII. Work is counted in matches, so that no text,
however hostile, costs more than the budget. A scan that is `exhausted` has found too little to trust; its caller must
mask the whole text.
"""

from collections.abc import Hashable
from typing import Final, NamedTuple

from agents.privacy.matching.gate import Pattern, TextRange, compiled

MAX_MATCHES: Final = 48
"""Matches looked at in one text: ten times what long ordinary command lines have, and well below a millisecond."""

_LONG: Final = 2048


class Grouped(NamedTuple):
    """A pattern twice: with its groups, and without them, which RE2 runs ten times as fast."""

    capturing: Pattern
    whole: Pattern


def grouped(pattern: str, *, ignore_case: bool = False) -> Grouped:
    """`pattern`, which has groups, for `Scan.groups`. Raises PatternError."""
    return Grouped(
        compiled(pattern, ignore_case=ignore_case), compiled(pattern, ignore_case=ignore_case, captures=False)
    )


def _first_group(ranges: list[TextRange]) -> TextRange:
    """The first group that took part, or the whole match."""
    return next((range_ for range_ in ranges[1:] if range_[0] >= 0), ranges[0])


class Scan:
    """One ASCII text with its bytes and its remaining budget."""

    __slots__ = ("_left", "encoded", "read", "text")

    def __init__(self, plain: str, encoded: bytes) -> None:
        """`encoded` is `plain` as bytes."""
        self.text = plain
        self.encoded = encoded
        self._left = MAX_MATCHES
        self.read: dict[Hashable, object] = {}  # what a rule has read for the others, so that words are read once

    def matches(self, pattern: Pattern) -> list[TextRange]:
        """Ranges of the matches of `pattern`, left to right, as far as the budget goes."""
        return [ranges[0] for ranges in self._all(pattern)]

    def _all(self, pattern: Pattern) -> list[list[TextRange]]:
        found = pattern.find_all(self.encoded, self._left + 1)
        self._left -= len(found)
        return found if self._left >= 0 else []  # the whole text goes, so nobody need look at what was found

    def groups(self, pattern: Grouped) -> list[TextRange]:
        """Ranges of the first group that took part in each match of `pattern`, as far as the budget goes.

        In a long text, a match that is long itself counts whole: captures are what makes RE2 slow.
        """
        if len(self.encoded) <= _LONG:
            return [_first_group(ranges) for ranges in self._all(pattern.capturing)]
        return [self._group(pattern, start, end) for start, end in self.matches(pattern.whole)]

    def _group(self, pattern: Grouped, start: int, end: int) -> TextRange:
        found = pattern.capturing.search(self.encoded, start, end) if end - start < _LONG else None
        return (start, end) if found is None else _first_group(found)

    def spend(self, matches: int = 1) -> bool:
        """Take `matches` from the budget; False when it is overdrawn."""
        self._left -= matches
        return self._left >= 0

    def give_up(self) -> None:
        """Declare the text too intricate."""
        self._left = -1

    @property
    def exhausted(self) -> bool:
        """Whether a part of the text was not examined."""
        return self._left < 0

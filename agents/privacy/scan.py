"""A scan: one plain text under examination, and how much work may still be spent on it.

Rules: positions are the same in `text` and `encoded`, because both are ASCII. Work is counted in matches looked at, so
that no text, however hostile, costs more than the budget; a scan that is `exhausted` has found too little to trust, and
whoever started it must mask the whole text.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import re2

from agents.privacy.gate import compiled

MAX_MATCHES: Final = 48
"""Matches looked at in one text: ten times what long ordinary command lines have, and well below a millisecond."""

_LONG: Final = 2048


class Grouped(NamedTuple):
    """A pattern twice: with its groups, and without them, which RE2 runs ten times as fast."""

    capturing: re2._Regexp
    whole: re2._Regexp


def grouped(pattern: str, *, ignore_case: bool = False) -> Grouped:
    """`pattern`, which has groups, for `Scan.groups`. Raises PatternError."""
    return Grouped(
        compiled(pattern, ignore_case=ignore_case), compiled(pattern, ignore_case=ignore_case, captures=False)
    )


def _first_group(match: re2._Match) -> tuple[int, int]:
    spans: list[tuple[int, int]] = [match.span(group) for group in range(1, match.re.groups + 1)]
    whole: tuple[int, int] = match.span()
    return next((span for span in spans if span[0] >= 0), whole)


class Scan:
    """One ASCII text with its bytes and its remaining budget."""

    __slots__ = ("_left", "encoded", "text")

    def __init__(self, plain: str) -> None:
        self.text = plain
        self.encoded = plain.encode("ascii")
        self._left = MAX_MATCHES

    def matches(self, pattern: re2._Regexp) -> Iterator[tuple[int, int]]:
        """Spans of the matches of `pattern`, left to right, until the budget is spent."""
        for match in pattern.finditer(self.encoded):
            if not self.spend():
                return
            yield match.span()

    def groups(self, pattern: Grouped) -> Iterator[tuple[int, int]]:
        """Spans of the first group that took part in each match of `pattern`, until the budget is spent.

        In a long text, a match that is long itself counts whole: captures are what makes RE2 slow.
        """
        if len(self.encoded) <= _LONG:
            for match in pattern.capturing.finditer(self.encoded):
                if not self.spend():
                    return
                yield _first_group(match)
            return
        for start, end in self.matches(pattern.whole):
            match = pattern.capturing.search(self.encoded, max(0, start), end) if end - start < _LONG else None
            yield (start, end) if match is None else _first_group(match)

    def spend(self, matches: int = 1) -> bool:
        """Take `matches` from the budget; False when it is overdrawn."""
        self._left -= matches
        return self._left >= 0

    def give_up(self) -> None:
        """Declare the text too intricate."""
        self._left = -1

    @property
    def exhausted(self) -> bool:
        """Whether something was left unlooked at."""
        return self._left < 0

"""The gate: one pass of one RE2 set over a text says which rules can find anything in it; and RE2's patterns.

Nine of ten strings leave here. The set is one automaton, so a further pattern costs nothing for each string.

A gate pattern is looser than its rule, never tighter (a test runs the rules without the gate and compares). If an
automaton runs out of memory, RE2 answers as if it had found nothing. So pattern 0 matches every text, and an answer
without it is an error. Gate patterns hold no counted repetitions, because those make an automaton explode. Texts are
ASCII bytes. The package's Python wrappers take longer than the matching, so this module calls the compiled objects
below them; tests run every method on them, so a version that lacks one fails there.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import re2

# The automaton of the shipped patterns grows to some 5 MiB; hostile text makes RE2 flush and start again below this.
_MAX_AUTOMATON_BYTES: Final = 1 << 27


class PatternError(ValueError):
    """A pattern does not compile; `args[0]` is RE2's reason, which holds nothing but the pattern."""


class Gate:
    """The set of all gate patterns; pattern i of `patterns` has the number i + 1."""

    __slots__ = ("matching",)

    matching: Callable[[bytes], list[int]]
    """Numbers of the patterns that match an ASCII text, in no order, 0 among them; none when the automaton gave up."""

    def __init__(self, patterns: Sequence[str]) -> None:
        matcher = re2.Set.SearchSet(options(ignore_case=True))
        try:
            for pattern in (r"\A", *patterns):
                matcher.Add(pattern)
            matcher.Compile()
        except re2.error as refused:
            raise PatternError(_reason(refused)) from None
        self.matching = matcher._set.Match  # noqa: SLF001 - see above


TextRange = tuple[int, int]
"""Start and end; (-1, -1) for a group that took no part."""


class Pattern:
    """A compiled pattern over ASCII bytes."""

    __slots__ = ("_match", "groups")

    def __init__(self, regexp: Any) -> None:
        """Wrap what RE2's package compiled."""
        self.groups: int = regexp.groups
        self._match: Callable[[Any, bytes, int, int], list[TextRange]] = regexp._regexp.Match  # noqa: SLF001 - see above

    def search(self, text: bytes, start: int = 0, end: int | None = None) -> list[TextRange] | None:
        """The first match in `text[start:end]`: its range, then those of its groups if it captures; else None."""
        ranges = self._match(_ANYWHERE, text, start, len(text) if end is None else end)
        return ranges if ranges[0][0] >= 0 else None

    def find_all(self, text: bytes, limit: int) -> list[list[TextRange]]:
        """At most `limit` matches, left to right, each as from `search`."""
        found: list[list[TextRange]] = []
        match, position, end = self._match, 0, len(text)
        while position <= end and len(found) < limit:
            ranges = match(_ANYWHERE, text, position, end)
            start, stop = ranges[0]
            if start < 0:
                break
            found.append(ranges)
            position = stop if stop > position else position + 1
        return found

    def is_whole(self, text: bytes) -> bool:
        """Whether all of `text` matches."""
        return self._match(_ALL, text, 0, len(text))[0][0] >= 0


_ANYWHERE: Final = re2._Anchor.UNANCHORED  # noqa: SLF001 - see above
_ALL: Final = re2._Anchor.ANCHOR_BOTH  # noqa: SLF001 - see above


def compiled(pattern: str, *, ignore_case: bool = False, captures: bool = True) -> Pattern:
    """`pattern` for ASCII bytes; without `captures` its groups only group."""
    chosen = options(ignore_case=ignore_case)
    chosen.never_capture = not captures
    try:
        return Pattern(re2.compile(pattern.encode("ascii"), chosen))
    except (re2.error, UnicodeEncodeError) as refused:
        raise PatternError(_reason(refused)) from None


def options(*, ignore_case: bool) -> re2.Options:
    """Our options: nothing is logged (RE2 would log patterns), and memory is bounded."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.max_mem = _MAX_AUTOMATON_BYTES
    chosen.case_sensitive = not ignore_case
    return chosen


def _reason(refused: Exception) -> str:
    detail = refused.args[0] if refused.args else "refused"
    return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)

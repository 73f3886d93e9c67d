"""The gate: one pass of one RE2 set over a text says which rules can find anything in it at all.

Nine of ten strings leave here. The set is one automaton, so a further pattern costs nothing a string.

Rules: a gate pattern is looser than what its rule redacts and never tighter (a test runs the rules without the gate and
compares). An automaton that ran out of memory answers as if it had found nothing, so pattern 0 matches every text,
and an answer without it is no answer. Gate patterns hold no counted repetitions: those make an automaton explode.
"""

from collections.abc import Callable, Sequence
from typing import Final

import re2

# The automaton of the shipped patterns grows to some 5 MiB; hostile text makes RE2 flush and start again below this.
_MAX_AUTOMATON_BYTES: Final = 1 << 27


class PatternError(ValueError):
    """A pattern does not compile; `args[0]` is RE2's reason, which holds nothing but the pattern."""


class Gate:
    """The set of all gate patterns; pattern i of `patterns` has the number i + 1."""

    __slots__ = ("matching",)

    matching: Callable[[str], list[int]]
    """Numbers of the patterns that match an ASCII text, in no order, 0 among them; none when the automaton gave up."""

    def __init__(self, patterns: Sequence[str]) -> None:
        matcher = re2.Set.SearchSet(options(ignore_case=True))
        try:
            for pattern in (r"\A", *patterns):
                matcher.Add(pattern)
            matcher.Compile()
        except re2.error as refused:
            raise PatternError(_reason(refused)) from None
        self.matching = matcher.Match


def compiled(pattern: str, *, ignore_case: bool = False, captures: bool = True) -> re2._Regexp:
    """`pattern` for `finditer` over ASCII bytes; without `captures` its groups only group."""
    chosen = options(ignore_case=ignore_case)
    chosen.never_capture = not captures
    try:
        return re2.compile(pattern.encode("ascii"), chosen)
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

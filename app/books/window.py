"""Whether a window of one node's events can be trusted: the decision over its coverage records.

A window is trusted where heartbeats cover all of it and no gap touches it; it is not trusted where a gap touches it; it
is unknown where neither is so, because nobody has vouched for it yet, or records of it have expired. Rules: times are
Unix epoch in nanoseconds, windows are from inclusive to exclusive; a gap of no length is an instant and touches the
window that holds it. This module refuses to know Kafka and clocks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.coverage import CoverageGap, GapCause

MAX_GAPS: Final = 10_000
"""Gaps of a window that are kept one by one; any single one decides, so beyond that they are only counted."""


class Trust(StrEnum):
    """What can be said about a window."""

    TRUSTED = "trusted"
    NOT_TRUSTED = "not-trusted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time, never empty."""

    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one window.

    `unvouched` are the parts that no heartbeat covers, in order. `gaps` are those that touch the window, in the order
    of their beginning; `gaps_left_out` counts further ones.
    """

    trust: Trust
    gaps: tuple[CoverageGap, ...]
    gaps_left_out: int
    unvouched: tuple[Span, ...]


class Window:
    """Gathers coverage records for one window of one node; feed it records in any order, repeated ones too."""

    def __init__(self, node: str, window: Span) -> None:
        self._node = node
        self._window = window
        self._vouched: list[Span] = []
        self._gaps: dict[CoverageGap, None] = {}
        self._left_out = 0
        self.vouched_until_ns: int | None = None
        """End of the latest heartbeat of the node among the records, inside the window or not."""

    def add(self, record: CoverageGap) -> None:
        """Take a record; one of another node is ignored."""
        if record.node != self._node:
            return
        if record.cause is GapCause.HEARTBEAT:
            self.vouched_until_ns = max(self.vouched_until_ns or 0, record.to_ns)
            if record.to_ns > self._window.from_ns and record.from_ns < self._window.to_ns:
                self._vouch(Span(record.from_ns, record.to_ns))
        elif _touches(record, self._window) and record not in self._gaps:
            if len(self._gaps) < MAX_GAPS:
                self._gaps[record] = None
            else:
                self._left_out += 1

    def verdict(self) -> Verdict:
        """What the records say about the window."""
        gaps = tuple(sorted(self._gaps, key=lambda gap: (gap.from_ns, gap.to_ns, gap.cause)))
        unvouched = tuple(_outside(self._window, self._vouched))
        trust = Trust.NOT_TRUSTED if gaps else Trust.UNKNOWN if unvouched else Trust.TRUSTED
        return Verdict(trust, gaps, self._left_out, unvouched)

    def _vouch(self, span: Span) -> None:
        """Heartbeats follow each other, so that most of them only lengthen the last span."""
        if self._vouched and self._vouched[-1].from_ns <= span.from_ns <= self._vouched[-1].to_ns:
            last = self._vouched[-1]
            self._vouched[-1] = Span(last.from_ns, max(last.to_ns, span.to_ns))
        else:
            self._vouched.append(span)


def _touches(gap: CoverageGap, window: Span) -> bool:
    return gap.from_ns < window.to_ns and (gap.to_ns > window.from_ns or gap.from_ns == gap.to_ns == window.from_ns)


def _outside(window: Span, covered: Iterable[Span]) -> Iterable[Span]:
    """Parts of the window that no span covers."""
    begin = window.from_ns
    for span in sorted(covered):
        if span.from_ns > begin:
            yield Span(begin, min(span.from_ns, window.to_ns))
        begin = max(begin, span.to_ns)
        if begin >= window.to_ns:
            return
    if begin < window.to_ns:
        yield Span(begin, window.to_ns)

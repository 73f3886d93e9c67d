"""The most frequent callers of a symbol in bounded memory: a Misra-Gries summary.

A caller that made more than one in `MAX_CALLERS + 1` of all calls is kept. The number kept for a caller is at most
`shortfall` below the true one. Summaries can be added up with the same guarantee (Agarwal and others,
"Mergeable summaries", 2012). Which rare callers are in it depends on the order of additions; nothing else in a row
does.
"""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

MAX_CALLERS: Final = 8
"""A row on every topic and in every table carries them, at some 80 bytes each."""

MAX_CALLERS_BYTES: Final = 16 << 10
"""Of all callers of a symbol: the longest one fits, and eight of usual length."""


@dataclass(slots=True, eq=False)
class Callers:
    """Calls by caller, and the most that is missing from any of them."""

    calls: dict[str, int] = field(default_factory=dict)
    shortfall: int = 0

    def note(self, caller: str, calls: int) -> None:
        """Count calls. Call `settle` after a round of these, before anything else."""
        self.calls[caller] = self.calls.get(caller, 0) + calls

    def add(self, other: "Callers") -> None:
        """Add another summary, and settle."""
        for caller, calls in other.calls.items():
            self.note(caller, calls)
        self.shortfall += other.shortfall
        self.settle()

    def settle(self, max_bytes: int = MAX_CALLERS_BYTES) -> None:
        """Subtract the calls of the first caller beyond the limits from every caller; callers without a rest go."""
        if len(self.calls) <= MAX_CALLERS and sum(map(len, self.calls)) <= max_bytes // 4:
            return
        top = self.top()
        sizes = accumulate(len(caller.encode()) for caller, _ in top)
        kept = min(MAX_CALLERS, sum(size <= max_bytes for size in sizes))
        if kept == len(top):
            return
        cut = top[kept][1]
        self.calls = {caller: calls - cut for caller, calls in self.calls.items() if calls > cut}
        self.shortfall += cut

    def top(self) -> list[tuple[str, int]]:
        """Callers and their calls, the most frequent first; equal numbers by caller."""
        return sorted(self.calls.items(), key=lambda entry: (-entry[1], entry[0]))

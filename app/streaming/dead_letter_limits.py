"""When a stage stops instead of sending a whole topic to the dead letters.

After a bad deployment every event, or every event of a kind, is refused. Each becomes a dead letter by position, and
can be retried as long as the raw topic has it. But a stage that goes on hides the fault, and consumers see a quiet
node. So there are two limits: refusals in a row, and their share of the last `WINDOW_RECORDS` records. Both are over
all partitions of the process, because an attacker chooses what is in one, and a bad deployment shows in all. How
records were cut into batches makes no difference.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.settings import Settings

WINDOW_RECORDS: Final = 10_000
"""A second of a busy node, minutes of a quiet one."""

MIN_RECORDS: Final = 1_000
"""Fewer records have no share worth the name: the first one refused would be all of them."""


@dataclass(frozen=True, slots=True)
class DeadLetterLimits:
    """Refusals in a row, and percent of the window; 0 and 100 mean no limit."""

    max_run: int
    max_percent: int


def limits_of(settings: Settings) -> DeadLetterLimits:
    """The limits that an operator set."""
    return DeadLetterLimits(settings.dead_letter_max_run, settings.dead_letter_max_percent)


class DeadLetterGuard:
    """Feed it every batch, in the order of processing, before its results are sent."""

    def __init__(self, limits: DeadLetterLimits) -> None:
        self._limits = limits
        self._run = 0
        self._window: deque[tuple[int, int]] = deque()
        self._records = 0
        self._refused = 0

    def exceeded(self, offsets: Iterable[int], refused: Iterable[int]) -> str | None:
        """Take a batch by the offsets of its records and of those refused; why to stop, or None."""
        refused_offsets = set(refused)
        in_order = tuple(offsets)
        if not refused_offsets:
            return self.none_refused(len(in_order))
        for offset in in_order:
            self._run = self._run + 1 if offset in refused_offsets else 0
            if 0 < self._limits.max_run < self._run:
                return _reason(f"more than {self._limits.max_run} records in a row were refused", "RUN")
        return self.share_exceeded(len(in_order), len(refused_offsets))

    def none_refused(self, records: int) -> str | None:
        """Take a batch in which nothing was refused; why to stop, or None."""
        if records:
            self._run = 0
        return self.share_exceeded(records, 0)

    def share_exceeded(self, records: int, refused: int) -> str | None:
        """Take a batch of which only numbers are known; why to stop, or None."""
        self._window.append((records, refused))
        self._records += records
        self._refused += refused
        while self._records - self._window[0][0] >= WINDOW_RECORDS:
            old_records, old_refused = self._window.popleft()
            self._records -= old_records
            self._refused -= old_refused
        too_many = self._refused * 100 > self._records * self._limits.max_percent
        if not too_many or self._records < MIN_RECORDS:
            return None
        return _reason(
            f"{self._refused} of the last {self._records} records were refused, more than {self._limits.max_percent} %",
            "PERCENT",
        )


def _reason(what: str, limit: str) -> str:
    return (
        f"{what}; stopping before more of the topic goes to the dead letters. Repair what was deployed and start "
        "again, then send them through with `callstream dead-letters retry`; if the events are at fault, raise "
        f"CALLSTREAM_DEAD_LETTER_MAX_{limit}"
    )

"""When events came that no stage could process. Nobody knows what they would have counted.

A dead letter says when its event was received, which is up to a minute after it happened. Only minutes are kept, the
newest ones, so that a flood of dead letters is a few numbers.
"""

from typing import Final

from agents.coverage.interval import Interval, join
from schemas.units import NS_PER_MS

MAX_MINUTES: Final = 100_000
"""Some seventy days with a dead letter each minute, at 60 bytes each; the topic itself keeps thirty."""

_MINUTE_MS: Final = 60_000
_MINUTE_NS: Final = _MINUTE_MS * NS_PER_MS
_BEFORE: Final = 2
"""Minutes before the receipt in which the event may have happened; Tetragon holds one for 30 s at most."""


class RefusedMinutes:
    """Minutes since the Unix epoch."""

    def __init__(self) -> None:
        self._minutes: set[int] = set()
        self._intervals: list[Interval] | None = None

    def note(self, received_ms: int) -> bool:
        """Note when the event of a dead letter was received; returns whether that minute is new."""
        minute = received_ms // _MINUTE_MS
        if minute in self._minutes:
            return False
        self._minutes.add(minute)
        if len(self._minutes) > MAX_MINUTES:
            self._minutes.remove(min(self._minutes))
        self._intervals = None
        return True

    def intervals(self) -> list[Interval]:
        """Intervals in which refused events may have happened, in the order of time."""
        if self._intervals is None:
            self._intervals = join(
                Interval((minute - _BEFORE) * _MINUTE_NS, (minute + 1) * _MINUTE_NS) for minute in self._minutes
            )
        return self._intervals

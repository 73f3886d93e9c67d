"""When events came that no stage could process: what they would have counted, nobody knows.

A dead letter knows when its event was received, which is up to a minute after it happened. Rules: minutes are kept, not
letters, so a flood of them is a few numbers; the newest are kept. This module refuses to know why events were refused.
"""

from typing import Final

from agents.coverage.node_coverage import Window

MAX_MINUTES: Final = 100_000
"""Some seventy days of a letter a minute, at 60 bytes each; the topic itself keeps thirty."""

_MINUTE_MS: Final = 60_000
_MINUTE_NS: Final = _MINUTE_MS * 1_000_000
_BEFORE: Final = 2
"""Minutes before the receipt in which the event may have happened; Tetragon holds one for 30 s at most."""


class RefusedMinutes:
    """Minutes since the Unix epoch."""

    def __init__(self) -> None:
        self._minutes: set[int] = set()
        self._windows: list[Window] | None = None

    def note(self, received_ms: int) -> bool:
        """Note a letter; returns whether its minute is new."""
        minute = received_ms // _MINUTE_MS
        if minute in self._minutes:
            return False
        self._minutes.add(minute)
        if len(self._minutes) > MAX_MINUTES:
            self._minutes.remove(min(self._minutes))
        self._windows = None
        return True

    def windows(self) -> list[Window]:
        """Windows in which refused events may have happened, in the order of time."""
        if self._windows is None:
            joined: list[Window] = []
            for minute in sorted(self._minutes):
                begin, end = (minute - _BEFORE) * _MINUTE_NS, (minute + 1) * _MINUTE_NS
                if joined and begin <= joined[-1].to_ns:
                    joined[-1] = Window(joined[-1].from_ns, end)
                else:
                    joined.append(Window(begin, end))
            self._windows = joined
        return self._windows

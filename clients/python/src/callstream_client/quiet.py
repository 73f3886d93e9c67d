"""Keeps an outage from filling the log: a line that repeats itself appears twice a minute, with a count."""

import logging
import re
import time
from collections.abc import Callable
from typing import Final

REPEAT_SECONDS: Final = 30.0
"""librdkafka tries again several times a second while no broker answers, and says two lines each time."""

MAX_KINDS: Final = 64
"""Kinds of lines that are remembered. With more, all appear again."""

_NUMBERS: Final = re.compile(r"\d+")


class OncePerOutage(logging.Filter):
    """Lets a line through that differs from those of the last `REPEAT_SECONDS` by more than its numbers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one line, and add to it how many like it were held back."""
        now, kind = self._clock(), (record.name, _NUMBERS.sub("#", record.getMessage()))
        if now - self._last.get(kind, float("-inf")) < REPEAT_SECONDS:
            self._held[kind] = self._held.get(kind, 0) + 1
            return False
        if len(self._last) >= MAX_KINDS:
            self._last.clear()
            self._held.clear()
        self._last[kind] = now
        if held := self._held.pop(kind, 0):
            record.msg, record.args = f"{record.getMessage()} (and {held} times more before)", ()
        return True


def quiet(*loggers: logging.Logger) -> None:
    """Let these loggers repeat themselves less; a second time for one logger changes nothing."""
    for logger in loggers:
        if not any(isinstance(one, OncePerOutage) for one in logger.filters):
            logger.addFilter(OncePerOutage())

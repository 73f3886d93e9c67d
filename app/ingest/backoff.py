"""How long to wait before the next attempt: longer each time, never the same, short again after a healthy while."""

from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.25
"""Every second without a stream is a second of blindness, so the first attempt is soon."""
LONGEST_SECONDS: Final = 30.0
HEALTHY_AFTER_SECONDS: Final = 30.0
"""A stream that opens and breaks at once has not recovered: without this limit, a crashing agent would get four
connections a second."""


class Backoff:
    """Doubles from FIRST_SECONDS to LONGEST_SECONDS; each wait is between a half and the whole of that."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` gives numbers from 0 to 1."""
        self._random = random
        self._next_seconds = FIRST_SECONDS

    def wait_seconds(self, lived_seconds: float) -> float:
        """Seconds to wait after an attempt whose stream lived for `lived_seconds`."""
        if lived_seconds >= HEALTHY_AFTER_SECONDS:
            self._next_seconds = FIRST_SECONDS
        whole = self._next_seconds
        self._next_seconds = min(LONGEST_SECONDS, 2 * whole)
        return whole * (0.5 + 0.5 * self._random())

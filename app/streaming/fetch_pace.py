"""When a stage asks Kafka for more: at once while there is much, after a pause while there is little.

A fetch costs a millisecond on both sides, however little it brings. So a stage lets records gather on the broker and
fetches them together. The pause is on our side. Where the broker holds the answer back instead, until its time is over,
the first record after a rest waits as long as the last one, and a topic on which nothing comes is asked ten times a
second.
"""

from dataclasses import dataclass
from typing import Final

WAIT_MS: Final = 100
"""How long a broker holds a fetch for which there is nothing. Other requests on the connection wait behind it, so this
adds to every start and rebalance."""

RESTING_WAIT_MS: Final = 500
"""The same where nothing has come for a while. The first record ends it."""

EMPTY_FETCHES: Final = 20
"""So many in a row, two seconds, are a while. A start or a rebalance is over by then."""


@dataclass(frozen=True, slots=True)
class FetchPauses:
    """Pauses of a stage. Bytes are those of a fetch as the topic stores them."""

    usual_ms: int = 90
    """Between an answer and the next request: what an event may be late in each stage."""
    burst_ms: int = 45
    """The same after a fetch of less than `burst_bytes`."""
    burst_bytes: int = 16 << 10
    full_bytes: int = 512 << 10
    """Some 2,000 events: after a fetch of so many bytes there is no pause."""


class FetchPace:
    """What the next fetch from one broker does, from those before. Times are seconds of any clock that only grows."""

    def __init__(self, pauses: FetchPauses) -> None:
        self._pauses = pauses
        self._due = 0.0
        self._empty_in_a_row = 0

    def pause_seconds(self, now: float) -> float:
        """How long to wait before the next request."""
        return max(0.0, self._due - now)

    @property
    def wait_ms(self) -> int:
        """How long the broker may hold the next request."""
        return WAIT_MS if self._empty_in_a_row < EMPTY_FETCHES else RESTING_WAIT_MS

    def note(self, fetched_bytes: int, now: float) -> None:
        """Take the size of an answer that has just come."""
        pauses = self._pauses
        self._empty_in_a_row = 0 if fetched_bytes else self._empty_in_a_row + 1
        if not fetched_bytes or fetched_bytes >= pauses.full_bytes:
            self._due = now
        else:
            pause_ms = pauses.burst_ms if fetched_bytes < pauses.burst_bytes else pauses.usual_ms
            self._due = now + pause_ms / 1_000

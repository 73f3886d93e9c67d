"""How many of one unit make another."""

from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000

MAX_SECONDS: Final = (1 << 63) // NS_PER_SECOND - 1
"""Seconds that still fit an Avro long of nanoseconds: the year 2262."""

EARLIEST_NS: Final = -(1 << 63)
LATEST_NS: Final = (1 << 63) - 1
"""What an Avro long can hold."""


def timestamp_ns(seconds: int, nanos: int) -> int | None:
    """Nanoseconds since the Unix epoch; None where the Timestamp is invalid or an Avro long cannot hold it."""
    if not 0 <= nanos < NS_PER_SECOND or not -MAX_SECONDS <= seconds <= MAX_SECONDS:
        return None
    return seconds * NS_PER_SECOND + nanos

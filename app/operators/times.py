"""Times as people read them: ISO 8601 in UTC, as every command, export and log line prints them."""

from datetime import datetime, timedelta
from typing import Final

from schemas.units import NS_PER_SECOND

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, which time_text writes as Z


def time_text(time_ns: int, digits: int = 0) -> str:
    """A time in nanoseconds since the Unix epoch as text, like 2026-01-31T12:00:00Z.

    `digits` is how many digits below the second are shown, up to 9; the rest is cut off, not rounded. A time that has
    no date, because other services may write any number, comes as the number itself.
    """
    seconds, below = divmod(time_ns, NS_PER_SECOND)
    fraction = f".{below:09d}"[: digits + 1] if digits else ""
    try:
        date_and_time = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return str(time_ns)
    return f"{date_and_time}{fraction}Z"

"""Times of events as texts of exported files: RFC 3339 in UTC. This module refuses to know clocks."""

from datetime import UTC, datetime

from schemas.units import NS_PER_SECOND


def timestamp(moment_ns: int) -> str:
    """A time as RFC 3339 in UTC with nanoseconds; times outside of the calendar as seconds since the Unix epoch."""
    seconds, nanos = divmod(moment_ns, NS_PER_SECOND)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
    except (ValueError, OverflowError, OSError):
        return f"{seconds}.{nanos:09d}"


def to_the_second(moment_ns: int) -> str:
    """A time for people to read; what is below a second is cut off."""
    return timestamp(moment_ns).partition(".")[0] + "Z"

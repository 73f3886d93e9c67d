"""A moment as people and programs write it."""

import re
from datetime import datetime
from typing import Final

_NS: Final = 1_000_000_000
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_ns(text: str, now_ns: int) -> int:
    """Nanoseconds since the Unix epoch of `90m`, `2h` or `14d` before `now_ns`, or of ISO 8601 with a zone.

    Raises ValueError with what is accepted.
    """
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if ago is not None:
        return now_ns - int(ago[1]) * _UNIT_SECONDS[ago[2]] * _NS
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither like 90m, 2h or 14d, nor like 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it with Z or +01:00 at its end")
    return int(moment.timestamp()) * _NS + moment.microsecond * 1000

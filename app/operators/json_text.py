"""JSON as commands and HTTP print it: beside each time in nanoseconds stands the same time as text.

Nanoseconds since the Unix epoch need more than the 53 bits of a JavaScript number, so a browser, and jq before 1.7,
round them. The text has all digits.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from app.operators.times import time_text
from schemas.units import NS_PER_SECOND

_NS: Final = "_ns"

LENGTHS: Final = frozenset({"complete_ns"})
"""Fields that hold a length of time and no point in it: beside them stand seconds."""


def json_text(document: Any) -> str:
    """A document as JSON in one line.

    A field `X_ns` is followed by `X`, in ISO 8601 with nine digits below the second; null where it is null or 0, which
    means that there is no such time. A length `X_ns` is followed by `X_s`. A field that is there already stays.
    """
    return json.dumps(with_times(document), ensure_ascii=False)


def with_times(document: Any) -> Any:
    """The same document as Python has it."""
    if isinstance(document, Mapping):
        found: dict[Any, Any] = {}
        for name, value in document.items():
            found[name] = with_times(value)
            if isinstance(name, str) and name.endswith(_NS) and _is_time(value):
                beside, text = _text_of(name, value)
                if beside not in document:
                    found[beside] = text
        return found
    return [with_times(item) for item in document] if isinstance(document, list | tuple) else document


def _is_time(value: Any) -> bool:
    if isinstance(value, str):  # as protobuf's JSON has long numbers
        return value.removeprefix("-").isdecimal() and value.isascii()
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _text_of(name: str, value: int | str | None) -> tuple[str, str | float | None]:
    word = name.removesuffix(_NS)
    if name in LENGTHS:
        return f"{word}_s", None if value is None else int(value) / NS_PER_SECOND
    return word, time_text(int(value), 9) if value and int(value) else None

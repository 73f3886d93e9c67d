"""Reads TOML that anybody may have written: within limits of size, depth and time.

`tomllib` takes time that grows with the square of a dotted key's length, and ends with RecursionError in deep nesting.
"""

import re
import tomllib
from collections.abc import Iterable
from typing import Any, Final

MAX_TOML_BYTES: Final = 1 << 20
"""Three seconds of reading at worst. A policy has some 5 kB; a map of 8,000 paths fits."""

MAX_DEPTH: Final = 16
"""No file of ours is nested deeper than 4."""

MAX_KEY_PARTS: Final = 32
"""Of a dotted key; more are deeper than `MAX_DEPTH` anyway."""

_PART: Final = r"(?:[A-Za-z0-9_-]++|\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+')"
_LONG_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_KEY_PARTS}}}")


class TomlTextError(ValueError):
    """The text is not TOML, or more than a file may hold; the message has one line, and says where if it can."""


def parse_toml(text: str) -> dict[str, Any]:
    """The document of a text. Raises TomlTextError."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TOML_BYTES:
        raise TomlTextError(f"has more than {MAX_TOML_BYTES:,} bytes")
    if (found := _LONG_KEY.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise TomlTextError(f"a key has more than {MAX_KEY_PARTS} parts (at line {line}, column 1)")
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:  # ValueError: a number of more digits than Python reads
        raise TomlTextError(str(error)) from None
    except RecursionError:
        raise TomlTextError("is nested too deeply") from None
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return document
    raise TomlTextError(f"is nested deeper than {MAX_DEPTH} levels")


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()

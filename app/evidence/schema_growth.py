"""Whether a schema has only grown in ways that leave every byte written under it, and its meaning, as they were.

Then what an earlier program recorded can still be proved: the same bytes, read under the schema of then.
"""

from collections.abc import Mapping
from typing import Any, Final

_SAID_ONLY: Final = frozenset({"doc", "default", "aliases", "namespace"})
"""Attributes of a schema that no writer and no reader of its own bytes looks at."""


LATER_FIELDS: Final = frozenset({"symbol_snapshot"})
"""Fields that the program leaves out where it makes what an earlier one made (`app/steps.py`)."""


def has_only_grown(then: Any, now: Any) -> bool:
    """Whether `now` is `then` with further symbols at the end of enums, other words about them, and `LATER_FIELDS`.

    Both are parsed schemas of fastavro. Any other further field, or another order, changes the bytes.
    """
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        names = _names(then) | _names(now)
        return all(_is_kept(name, then.get(name), now.get(name), then.get("type")) for name in names)
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(has_only_grown, then, now))
    return bool(then == now)


def _names(schema: Mapping[str, Any]) -> set[str]:
    return {name for name in schema if name not in _SAID_ONLY and not name.startswith("__")}


def _is_kept(name: str, then: Any, now: Any, kind: Any) -> bool:
    if name == "symbols" and kind == "enum":
        return isinstance(then, list) and isinstance(now, list) and now[: len(then)] == then
    if name == "fields" and kind == "record" and isinstance(then, list) and isinstance(now, list):
        known = {one["name"] for one in then}
        return has_only_grown(then, [one for one in now if one["name"] in known or one["name"] not in LATER_FIELDS])
    return has_only_grown(then, now)


def has_field(schema: Any, name: str) -> bool:
    """Whether the record has a field of this name."""
    return any(one["name"] == name for one in schema["fields"])

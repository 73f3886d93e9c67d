"""Dataclasses from JSON, every field of its declared type: a document that anybody may have written is not trusted."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

MAX_COUNT: Final = (1 << 63) - 1
"""Largest number: offsets, times and sizes are 64 bits."""

_Class = TypeVar("_Class")


def typed(kind: type[_Class], value: object) -> _Class:
    """The dataclass of a JSON object.

    Fields may be texts, numbers from 0 to `MAX_COUNT`, flags, enumerations, such dataclasses, tuples and mappings of
    them, and None where declared. Raises ValueError, which names the field.
    """
    found: _Class = _typed(kind, value, "")
    return found


def what_is_wrong(error: Exception) -> str:
    """For a message: what the reading of a document failed for, without the words of Python's own containers."""
    match error:
        case KeyError():
            return f"it lacks {error}"
        case TypeError() | IndexError():
            return "a part of it has another form"
        case _:
            return str(error)


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _typed(kind: Any, value: Any, place: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if kind in {str, bool, int, type(None)}:
        if type(value) is kind and (kind is not int or 0 <= value <= MAX_COUNT):
            return value
    elif origin in {types.UnionType, Union}:
        return _typed(next(one for one in get_args(kind) if (one is type(None)) == (value is None)), value, place)
    elif origin is tuple and isinstance(value, list):
        return tuple([_typed(get_args(kind)[0], one, f"{place}[{number}]") for number, one in enumerate(value)])
    elif origin is Mapping and isinstance(value, dict):
        return {name: _typed(get_args(kind)[1], one, f"{place}.{name}") for name, one in value.items()}
    elif isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    elif isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = _hints(kind)
        if value.keys() - hints.keys():
            raise ValueError(f"{place or 'the document'} has other fields than {', '.join(hints)}")
        inner = {name: _typed(hints[name], one, f"{place}.{name}".lstrip(".")) for name, one in value.items()}
        try:
            return kind(**inner)
        except TypeError:
            raise ValueError(f"{place or 'the document'} lacks a field") from None
    raise ValueError(f"{place or 'the document'} is not what it must be")

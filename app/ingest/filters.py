"""What ingest requests from Tetragon: allow and deny lists and field filters from the settings, checked at start.

The text is JSON as in Tetragon's own documentation: one object, a list of objects, or objects one after another.
Names are as in the .proto files or in camelCase, enums by name, `fields` a string with commas or a list. All errors
are reported at once, by setting and position, because Tetragon answers a wrong filter with status UNKNOWN and no
place. Patterns are RE2 on both sides, so what compiles here compiles there. Only Tetragon checks CEL expressions and
label selectors.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import re2
from google.protobuf import json_format

from app.settings import Settings, SettingsError, variable_of
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.tetragon.filters_pb2 import EventType, FieldFilter, Filter, GetEventsRequest

_BODIES: Final = {field.number: field for field in GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields}
_PATTERN_ENDING: Final = "_regex"
_QUIET: Final = re2.Options()
_QUIET.log_errors = False


def request_of(settings: Settings) -> GetEventsRequest:
    """The request that the settings describe. Raises SettingsError with a line for everything that is wrong."""
    errors: list[str] = []
    request = GetEventsRequest()
    for name, filters in (("tetragon_allow_list", request.allow_list), ("tetragon_deny_list", request.deny_list)):
        for position, described in _objects(name, getattr(settings, name), errors):
            one = filters.add()
            if not described:
                errors.append(f"{variable_of(name)}[{position}] is empty, which would match every event")
            elif _fill(one, described, f"{variable_of(name)}[{position}]", errors):
                errors += _wrong_patterns(one, f"{variable_of(name)}[{position}]")
    name = "tetragon_field_filters"
    for position, described in _objects(name, getattr(settings, name), errors):
        where = f"{variable_of(name)}[{position}]"
        selected = request.field_filters.add()
        paths = _take_paths(described, where, errors)
        if _fill(selected, described, where, errors):
            selected.fields.paths.extend(paths)
            errors += _wrong_paths(selected, where)
    if errors:
        raise SettingsError(errors)
    return request


def _objects(name: str, text: str, errors: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of the text with their positions."""
    decoder = json.JSONDecoder()
    found: list[Any] = []
    rest = text.strip()
    try:
        while rest:
            value, end = decoder.raw_decode(rest)
            found += value if isinstance(value, list) else [value]
            rest = rest[end:].lstrip(" \t\r\n,")
    except json.JSONDecodeError as error:
        errors.append(f"{variable_of(name)} is not JSON: {error.msg} at character {len(text) - len(rest) + error.pos}")
        return
    for position, value in enumerate(found):
        if isinstance(value, dict):
            yield position, dict(value)
        else:
            errors.append(f"{variable_of(name)}[{position}] is not a JSON object")


def _fill(message: Filter | FieldFilter, described: dict[str, Any], where: str, errors: list[str]) -> bool:
    try:
        json_format.ParseDict(described, message)
    except json_format.ParseError as error:
        errors.append(f"{where} is not a {message.DESCRIPTOR.full_name}: {error}")
        return False
    return True


def _wrong_patterns(one: Filter, where: str) -> Iterator[str]:
    for field, value in one.ListFields():
        if not field.name.endswith(_PATTERN_ENDING):
            continue
        for index, pattern in enumerate(value):
            try:
                re2.compile(pattern, _QUIET)
            except re2.error as error:
                yield f"{where}.{field.name}[{index}] is not an RE2 pattern: {_text(error)}"


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def _take_paths(described: dict[str, Any], where: str, errors: list[str]) -> list[str]:
    """Remove and return `fields`, in the forms of Tetragon's documentation and of protobuf."""
    value = described.pop("fields", "")
    if isinstance(value, dict):
        value = value.get("paths", [])
    if isinstance(value, str):
        value = [path for path in value.split(",") if path.strip()]
    if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
        errors.append(f"{where}.fields is neither a text with commas nor a list of texts")
        return []
    if not value:
        errors.append(f"{where}.fields names no field")
    return [_snake_case(path.strip()) for path in value]


def _snake_case(path: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), path)


def _wrong_paths(selected: FieldFilter, where: str) -> Iterator[str]:
    """Paths that no event kind of the filter has. They begin inside the event's body: `process.exec_id`."""
    numbers: Sequence[int] = list(selected.event_set)
    if selected.invert_event_set.value or not numbers:
        numbers = [number for number in _BODIES if number not in numbers]
    bodies = [_BODIES[number].message_type for number in numbers if number in _BODIES]
    for path in selected.fields.paths:
        if not any(_has(body, path.split(".")) for body in bodies):
            kinds = ", ".join(EventType.Name(number) for number in numbers) if selected.event_set else "any event"
            yield f"{where}.fields: {path!r} is not a field of {kinds}"


def _has(message: Any, path: Sequence[str]) -> bool:
    """Whether the message type (a Descriptor, None for a scalar) has a field at this path."""
    for index, name in enumerate(path):
        field = message.fields_by_name.get(name) if message is not None else None
        if field is None:
            return False
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return len(path) <= index + 2  # a map's key may follow, and nothing behind it
        message = field.message_type
    return True

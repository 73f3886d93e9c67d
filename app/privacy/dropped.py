"""What of an event is dropped before the privacy filter sees it: for `callstream privacy explain`.

Environment variables, labels, Tetragon's own ids and whatever a newer Tetragon adds have no place in the canonical
event. A text counts as dropped if neither it nor a recognisable part (4 characters or more) is in the canonical event.
Names of fields are shown, values never.
"""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.message import Message

from schemas.canonical_pb2 import CanonicalEvent

_TELLING: Final = 4  # characters; a shorter text is found inside of others by chance


def dropped(event: Message, canonical: CanonicalEvent) -> list[str]:
    """Paths of the texts and bytes in `event` that are not in `canonical`, sorted."""
    kept = {text for _, text in _texts(canonical, "")}
    return sorted({path for path, text in _texts(event, "") if text and not _is_kept(text, kept)})


def unknown(document: Any, kind: Any, path: str = "") -> Iterator[str]:
    """Paths of what a JSON event has and the message does not; indexes of repeated fields are left out.

    `kind` is the message's descriptor.
    """
    if isinstance(document, list):
        for one in document:
            yield from unknown(one, kind, path)
    if not isinstance(document, dict):
        return
    fields = {name: field for field in kind.fields for name in (field.name, field.json_name)}
    for name, value in document.items():
        here = f"{path}.{name}".lstrip(".")
        field = fields.get(name)
        if field is None:
            yield here
        elif field.message_type is not None and not _has_own_json(field.message_type):
            yield from unknown(value, field.message_type, here)


def _has_own_json(kind: Any) -> bool:
    """Whether the JSON form is not an object of the message's fields: maps, times, wrapped numbers."""
    return bool(kind.GetOptions().map_entry) or kind.full_name.startswith("google.protobuf.")


def _is_kept(text: str, kept: set[str]) -> bool:
    if text in kept:
        return True
    return any(
        (len(text) >= _TELLING and text in other) or (len(other) >= _TELLING and other in text) for other in kept
    )


def _texts(message: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text, bytes included, with its path; indexes of repeated fields are left out."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}".lstrip(".")
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key, entry in value.items():
                yield from ((here, str(key)), (here, str(entry)))
        elif field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                yield from _texts(one, here)
        elif field.type in {field.TYPE_STRING, field.TYPE_BYTES}:
            for one in value if field.is_repeated else [value]:
                yield here, one if isinstance(one, str) else one.decode("utf-8", "replace")

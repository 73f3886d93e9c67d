"""Records in which every text is hostile: it would forge a line, change a terminal, or turn a name around."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

FORGED = "HIT 999,999"
HOSTILE = f"n\x1b]0;pwned\x07\x1b[2K\x9b2J\r\n{FORGED} <script>\u202e\u2066\u200b\u2028\ufeff=cmd"


def hostile_value(schema: Any, text: str = HOSTILE, named: dict[str, Any] | None = None) -> Any:
    """A value of an Avro schema (as JSON has it): every text hostile, every list with one entry, nothing null."""
    plain = {"string": text, "bytes": text.encode(), "boolean": False, "int": 1, "long": 1, "float": 1.0, "double": 1.0}
    named = {} if named is None else named
    if isinstance(schema, dict) and "name" in schema:
        named[schema["name"]] = schema
    match schema:
        case str():
            return plain[schema] if schema in plain else hostile_value(named[schema], text, named)
        case [*branches]:
            return hostile_value(next(one for one in branches if one != "null"), text, named)
        case {"type": "record", "fields": fields}:
            return {field["name"]: hostile_value(field["type"], text, named) for field in fields}
        case {"type": "array", "items": items}:
            return [hostile_value(items, text, named)]
        case {"type": "map", "values": values}:
            return {text: hostile_value(values, text, named)}
        case {"type": "enum", "symbols": symbols}:
            return symbols[0]
        case _:
            return hostile_value(schema["type"], text, named)


def make_hostile(message: Message, text: str = HOSTILE, depth: int = 6) -> None:
    """Set every text of a protobuf message; of a oneof the first field that holds texts stays."""
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name) not in {
            None,
            field.name,
        }:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                getattr(message, field.name).append(text)
            else:
                setattr(message, field.name, text)
        elif field.message_type is not None and depth and field.message_type.full_name.startswith(("tetragon", "call")):
            inner = getattr(message, field.name)
            if not field.is_repeated:
                inner.SetInParent()
            make_hostile(inner.add() if field.is_repeated else inner, text, depth - 1)


def faults_in(output: str) -> list[str]:
    """The lines of an output that would not show as they are, or that the hostile text made."""
    return [
        line
        for line in output.split("\n")
        if not line.isprintable() or line.lstrip().startswith(FORGED) or "\ufeff" in line
    ]

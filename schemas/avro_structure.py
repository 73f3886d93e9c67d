"""Whether bytes can be decoded with an Avro schema that somebody else wrote, without harm.

Avro's decoders follow the schema blindly. A type that holds itself sends them as deep as the bytes say, which ends the
process. An array of items without bytes is as long as its count says. Both are refused here by the schema's structure,
before a byte is decoded, and so are types that hold each other many times over. With what passes, decoding takes no
more steps than some thousand for each byte.
"""

from collections.abc import Mapping
from typing import Any, Final

import fastavro

MAX_JSON_DEPTH: Final = 64
"""Our deepest schema has 12 levels of JSON."""

MAX_JSON_NODES: Final = 20_000
"""Our largest schema has some 900 objects, lists and values."""

MAX_TYPES: Final = 4_096
"""Types that a schema comes to when every name is replaced by what it names. Our largest comes to 229."""

_LEAST_BYTES: Final[Mapping[str, int]] = {
    "null": 0,
    "boolean": 1,
    "int": 1,
    "long": 1,
    "float": 4,
    "double": 8,
    "bytes": 1,
    "string": 1,
    "enum": 1,
}


class UnsafeSchemaError(ValueError):
    """Decoding with the schema could take all time or memory; the text says why."""


def safe_schema(document: Any) -> Any:
    """A schema as JSON has it, in fastavro's form. Raises UnsafeSchemaError, or what fastavro raises on no schema."""
    _check_json(document)
    names: dict[str, Any] = {}
    parsed = fastavro.parse_schema(document, named_schemas=names)
    _Structure(names).least_bytes(parsed, ())
    return parsed


def _check_json(document: Any) -> None:
    """Refuse what parsing itself could not bear, and the marks by which fastavro trusts a schema unread."""
    level, nodes = [document], 0
    for _ in range(MAX_JSON_DEPTH):
        nodes += len(level)
        if nodes > MAX_JSON_NODES:
            raise UnsafeSchemaError(f"it has more than {MAX_JSON_NODES} parts")
        if any(str(key).startswith("__") for node in level if isinstance(node, dict) for key in node):
            raise UnsafeSchemaError("it has a key that begins with __")
        level = [
            below
            for node in level
            if isinstance(node, dict | list)
            for below in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise UnsafeSchemaError(f"it is nested more than {MAX_JSON_DEPTH} levels deep")


class _Structure:
    """Walks through a parsed schema, with every name replaced by what it names."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names
        self._types = 0

    def least_bytes(self, schema: Any, inside: tuple[str, ...]) -> int:
        """Bytes that a value has at least; `inside` names the types that the value is part of."""
        self._types += 1
        if self._types > MAX_TYPES:
            raise UnsafeSchemaError(f"its types hold each other {MAX_TYPES} times and more")
        if isinstance(schema, list):
            return 1 + min((self.least_bytes(branch, inside) for branch in schema), default=0)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(schema, dict) and schema.get("logicalType") == "decimal":
            raise UnsafeSchemaError("it has a decimal, whose reading takes the square of its length")
        match kind:
            case "record" | "error":
                within = (*inside, schema["name"])
                return sum(self.least_bytes(field["type"], within) for field in schema["fields"])
            case "array":
                if not self.least_bytes(schema["items"], inside):
                    raise UnsafeSchemaError("it has an array of items without bytes")
                return 1
            case "map":
                self.least_bytes(schema["values"], inside)
                return 1
            case "fixed":
                return int(schema["size"])
            case str() if kind in _LEAST_BYTES:
                return _LEAST_BYTES[kind]
            case str():
                return self._least_bytes_of(kind, inside)
            case _:
                return self.least_bytes(kind, inside)

    def _least_bytes_of(self, name: str, inside: tuple[str, ...]) -> int:
        if name in inside:
            raise UnsafeSchemaError(f"{name} holds itself")
        if name not in self._names:
            raise UnsafeSchemaError("it has a type that Avro does not have")
        return self.least_bytes(self._names[name], inside)

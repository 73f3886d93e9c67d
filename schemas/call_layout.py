"""Where the parts of an encoded `RuntimeCallEvent` lie, for readers that look parts up instead of decoding them.

An Avro encoding delimits itself: bytes that begin with one whole encoding of a type hold exactly that value there. So a
reader that has met a part before needs one `startswith` to prove that it is the same part, and where it ends. What is
here is the rest: how to skip what never repeats, how to find the end of a part that is new, and how to decode it.

A layout is compiled from the schema that a record was written with, so an evolved schema gets one of its own; where it
does not begin as known here, only `decode` works. No state, no cache.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import fastavro

from schemas import avro_wire, records

Skip = Callable[[bytes, int], int]
"""Position after the value that begins at a position. Raises IndexError or MalformedCallError where the bytes end."""

REGULAR_OPENING: Final = ("event_id", "timestamp_ns", "probe_type", "stack_frames")
"""Fields that a regular schema begins with; `SNAPSHOT`, where the schema has it, and those of the workload follow."""

SNAPSHOT: Final = "symbol_snapshot"

REGULAR_MIDDLE: Final = ("probe_target", "process")
"""Fields behind the workload's."""

_MORE: Final = 0x80  # bit of every byte of a number but the last
_SOURCE_TYPES: Final = ["int", "long"]
_OPTIONAL_TEXT: Final = ["null", "string"]
_READ_ERRORS: Final = (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError)
"""What fastavro raises on bytes that are not what the schema says."""

_NAMED_KINDS: Final = ("record", "enum", "fixed")
_FIXED_SIZES: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class MalformedCallError(ValueError):
    """Bytes that are not a `RuntimeCallEvent` of the schema that their header names."""


class Part:
    """Neighbouring fields of a record: how to find their end, and how to decode them."""

    def __init__(self, writer: Mapping[str, Any], reader: Mapping[str, Any], names: Sequence[str]) -> None:
        """`writer` and `reader` are records that fastavro has parsed; `names` are fields that follow each other."""
        self._writer = _excerpt(writer, names)
        wanted = _excerpt(reader, names)
        self._reader = None if wanted["fields"] == self._writer["fields"] else wanted
        self.skip: Final = skipper(self._writer, self._writer["__named_schemas"])

    def decode(self, part: bytes) -> dict[str, Any]:
        """The fields by name, in the packaged schema's terms. Raises MalformedCallError."""
        try:
            found = fastavro.schemaless_reader(io.BytesIO(part), self._writer, self._reader)
        except _READ_ERRORS as error:
            raise MalformedCallError(type(error).__name__) from None
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True, slots=True)
class RegularParts:
    """The parts of a call that is laid out as known here, in their order behind the probe type.

    `to_binary` leads from the beginning of the process, which follows the target, to its field `binary`.
    """

    stack: Part
    """The frames and, if `has_snapshot`, the snapshot."""
    has_snapshot: bool
    workload: Part
    target: Part
    to_binary: Skip
    binary: Part


class CallLayout:
    """Where things are in calls of one schema; `regular` is None where the schema begins otherwise."""

    def __init__(self, schema_id: int, writer_schema: Mapping[str, Any], wanted: Iterable[str]) -> None:
        """`writer_schema` is the .avsc content that the registry has under `schema_id`.

        `wanted` names the fields of the workload that a reader asks for.
        """
        self.schema_header: Final = avro_wire.schema_header(schema_id)
        self._writer: Final[Any] = fastavro.parse_schema(json.loads(json.dumps(writer_schema)))
        self.regular: Final = _regular_parts(self._writer, frozenset(wanted))

    def decode(self, value: bytes) -> dict[str, Any]:
        """The whole record, in the packaged schema's terms. Raises MalformedCallError."""
        try:
            return records.decode(records.CALL, value, self._writer)
        except _READ_ERRORS as error:
            raise MalformedCallError(type(error).__name__) from None


def _regular_parts(schema: Any, wanted: frozenset[str]) -> RegularParts | None:
    """The parts of calls with `schema`, a schema that fastavro has parsed."""
    types = {field["name"]: field["type"] for field in schema["fields"]}
    names = list(types)
    stack = ["stack_frames", SNAPSHOT] if types.get(SNAPSHOT) == _OPTIONAL_TEXT else ["stack_frames"]
    start = len(REGULAR_OPENING) + len(stack) - 1
    workload = names[start : names.index("probe_target") if "probe_target" in types else 0]
    opening = [*REGULAR_OPENING, *stack[1:], *workload, *REGULAR_MIDDLE]
    if names[: len(opening)] != opening or not wanted.issubset(workload) or names[-1] != "source":
        return None
    if SNAPSHOT in types and len(stack) == 1:
        return None
    process = _nested(schema, "process")
    inside = [field["name"] for field in process["fields"]]
    if "binary" not in inside or [field["type"] for field in types["source"]["fields"]] != _SOURCE_TYPES:
        return None
    ours = records.parsed_schema(records.CALL)
    before = [skipper(field["type"], schema["__named_schemas"]) for field in process["fields"]]
    return RegularParts(
        stack=Part(schema, ours, ["stack_frames", SNAPSHOT]),
        has_snapshot=len(stack) > 1,
        workload=Part(schema, ours, workload),
        target=Part(schema, ours, ["probe_target"]),
        to_binary=_skip_record(before[: inside.index("binary")]),
        binary=Part(process, _nested(ours, "process"), ["binary"]),
    )


def _nested(schema: Any, name: str) -> Mapping[str, Any]:
    """The record that a field of another holds, complete with what it refers to."""
    found = next(field["type"] for field in schema["fields"] if field["name"] == name)
    return {**found, "__named_schemas": schema["__named_schemas"]}


def _excerpt(schema: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Make a schema of some fields of another, complete with what those refer to."""
    fields = [dict(field) for field in schema["fields"] if field["name"] in names]
    inside = _defined(fields)
    outside = {name: found for name, found in schema["__named_schemas"].items() if name not in inside}
    return fastavro.parse_schema({"type": "record", "name": "Excerpt", "fields": fields}, outside)


def _defined(schema: Any) -> set[str]:
    """Names of the types whose definition stands inside `schema`."""
    if isinstance(schema, list):
        return {name for entry in schema for name in _defined(entry)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["name"]} if schema.get("type") in _NAMED_KINDS else set()
    return own | {name for key in ("type", "items", "values", "fields") for name in _defined(schema.get(key))}


def skipper(schema: Any, named: Mapping[str, Any]) -> Skip:
    """Compile the function that finds the end of a value of `schema`, whose references are in `named`."""
    if isinstance(schema, list):
        branches = [skipper(branch, named) for branch in schema]
        return _skip_optional(branches[1]) if len(schema) == 2 and schema[0] == "null" else _skip_union(branches)
    kind = schema if isinstance(schema, str) else schema["type"]
    match kind:
        case "record":
            skip = _skip_record([skipper(field["type"], named) for field in schema["fields"]])
        case "array":
            skip = _skip_blocks(skipper(schema["items"], named))
        case "map":
            skip = _skip_blocks(_skip_record([_skip_text, skipper(schema["values"], named)]))
        case "string" | "bytes":
            skip = _skip_text
        case "int" | "long" | "enum":
            skip = _skip_long
        case "null" | "boolean" | "float" | "double":
            skip = _skip_bytes(_FIXED_SIZES[kind])
        case "fixed":
            skip = _skip_bytes(schema["size"])
        case _:
            skip = skipper(named[kind], named)
    return skip


def read_long(value: bytes, position: int) -> tuple[int, int]:
    """A long and the position after it. Raises IndexError where the bytes end first."""
    shift = number = 0
    while True:
        byte = value[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < _MORE:
            return number >> 1 ^ -(number & 1), position
        shift += 7


def _skip_long(value: bytes, position: int) -> int:
    while value[position] >= _MORE:
        position += 1
    return position + 1


def _skip_text(value: bytes, position: int) -> int:
    size = value[position]
    if size < _MORE and not size & 1:
        return position + 1 + (size >> 1)
    size, position = read_long(value, position)
    if size < 0:
        raise MalformedCallError("negative length")
    return position + size


def _skip_bytes(size: int) -> Skip:
    return lambda _value, position: position + size


def _skip_record(skips: Sequence[Skip]) -> Skip:
    def skip(value: bytes, position: int) -> int:
        for skip_field in skips:
            position = skip_field(value, position)
        return position

    return skip


def _skip_optional(skip_present: Skip) -> Skip:
    def skip(value: bytes, position: int) -> int:
        branch = value[position]
        if branch == 2:  # branch 1, zigzag
            return skip_present(value, position + 1)
        if branch:
            raise MalformedCallError("no such branch")
        return position + 1

    return skip


def _skip_union(skips: Sequence[Skip]) -> Skip:
    def skip(value: bytes, position: int) -> int:
        branch, position = read_long(value, position)
        if not 0 <= branch < len(skips):
            raise MalformedCallError("no such branch")
        return skips[branch](value, position)

    return skip


def _skip_blocks(skip_item: Skip) -> Skip:
    def skip(value: bytes, position: int) -> int:
        head = value[position]
        if not head:
            return position + 1
        size = value[position + 1]
        if head & 1 and head < _MORE and size < _MORE and not size & 1:  # one block, its count and size a byte each
            end = position + 2 + (size >> 1)
            if not value[end]:
                return end + 1
        while True:
            count, position = read_long(value, position)
            if not count:
                return position
            if count < 0:
                size, position = read_long(value, position)
                if size < 0:
                    raise MalformedCallError("negative length")
                position += size
                continue
            for _ in range(count):
                position = skip_item(value, position)

    return skip

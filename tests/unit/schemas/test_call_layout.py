"""schemas/call_layout.py, against fastavro as the independent reader."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import avro_wire
from schemas.call_layout import CallLayout, MalformedCallError, read_long, skipper
from tests.support.calls import EVOLVED, avro_values, call_schema, calls, encode_call

WANTED = ("namespace", "image_name")
TYPES: dict[str, Any] = {
    "text": "string",
    "number": "long",
    "flag": "boolean",
    "nullable": ["null", "string"],
    "records": {
        "type": "array",
        "items": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "R2"}]},
    },
    "numbers": {"type": "map", "values": "long"},
    "choice": {"type": "enum", "name": "E", "symbols": ["x", "y"]},
}
NAMED = {"R2": {"type": "record", "name": "R2", "fields": [{"name": "c", "type": ["null", "string"]}]}}


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_skipper_finds_the_end_that_fastavro_finds(name: str, data: st.DataObject) -> None:
    """Skipping a value of any type leads to the first byte after it."""
    value = data.draw(avro_values(TYPES[name], NAMED, st.text(max_size=100)))
    schema = json.loads(json.dumps(TYPES[name]).replace('"R2"', json.dumps(NAMED["R2"])))
    out = io.BytesIO(b"##")
    out.seek(2)
    fastavro.schemaless_writer(out, schema, value)
    encoded = out.getvalue()

    assert skipper(TYPES[name], NAMED)(encoded + b"\x01\x02", 2) == len(encoded)


@pytest.mark.parametrize("kind", [{"type": "fixed", "name": "F", "size": 3}, "float", "double", "null", "bytes"])
def test_skipper_knows_types_of_fixed_size(kind: Any) -> None:
    """Types that the schema does not use today are skipped as Avro defines them."""
    sizes = {"float": 4, "double": 8, "null": 0, "bytes": 3}
    expected = 3 if isinstance(kind, dict) else sizes[kind]

    assert skipper(kind, {})(b"\x04ab" + b"\x00" * 8, 0) == expected


@given(value=st.integers(-(2**63), 2**63 - 1))
def test_read_long_reads_what_was_written(value: int) -> None:
    """Every 64-bit number is read, with the position after it."""
    encoded = avro_wire.long(value)

    assert read_long(b"#" + encoded, 1) == (value, 1 + len(encoded))


@given(call=calls(), sized=st.booleans())
def test_decode_reads_any_call(call: dict[str, Any], sized: bool) -> None:
    """A whole call comes back, in whatever form its arrays were written."""
    layout = CallLayout(7, call_schema(), WANTED)

    assert layout.decode(encode_call(call, sized=sized)) == call


@pytest.mark.parametrize("first", [(), EVOLVED])
@given(call=calls())
def test_parts_lie_where_the_layout_says(first: tuple[str, ...], call: dict[str, Any]) -> None:
    """Following the layout from part to part yields the fields that fastavro reads, in any regular order of fields."""
    schema = call_schema(first)
    parts = CallLayout(7, schema, WANTED).regular
    assert parts is not None
    value = encode_call(call, schema=schema)
    head = encode_call(call, schema=schema | {"fields": schema["fields"][:3]})
    at, found = len(head), dict[str, Any]()
    for part in (parts.stack, parts.workload, parts.target):
        end = part.skip(value, at)
        found |= part.decode(value[at:end])
        at = end
    at = parts.to_binary(value, at)
    binary = parts.binary.decode(value[at : parts.binary.skip(value, at)])

    assert {"stack_frames", "probe_target", *WANTED} <= found.keys()
    assert found == {name: call[name] for name in found}
    assert binary == {"binary": call["process"]["binary"]}


@pytest.mark.parametrize(
    "first",
    [
        ("timestamp_ns", "event_id"),
        ("event_id", "timestamp_ns", "probe_type", "process"),
        ("event_id", "timestamp_ns", "probe_type", "stack_frames", "probe_target", "process"),
        ("event_id", "timestamp_ns", "probe_type", "stack_frames", "namespace", "probe_target", "process"),
        ("event_id", "timestamp_ns", "probe_type", "stack_frames", "container_id"),
        ("source",),
    ],
)
def test_layout_is_not_regular_when_the_schema_begins_otherwise(first: tuple[str, ...]) -> None:
    """An evolved schema that moved the fixed fields is decoded as a whole, and never misread."""
    assert CallLayout(7, call_schema(first), WANTED).regular is None


def test_a_snapshot_of_another_type_is_not_regular() -> None:
    """It belongs to what a stack says, so it must not be skipped as something else."""
    schema = call_schema()
    snapshot = next(field for field in schema["fields"] if field["name"] == "symbol_snapshot")
    snapshot["type"] = ["null", "bytes"]

    assert CallLayout(7, schema, WANTED).regular is None


def test_calls_of_before_the_snapshot_are_regular() -> None:
    """The schema of an earlier program lacks it."""
    schema = call_schema()
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "symbol_snapshot"]
    parts = CallLayout(7, schema, WANTED).regular

    assert parts is not None
    assert not parts.has_snapshot
    value = encode_call({"namespace": "shop"}, schema=schema)
    assert parts.stack.decode(value[48:]) == {"stack_frames": [], "symbol_snapshot": None}


@pytest.mark.parametrize("missing", ["process", "probe_target", "image_name", "source"])
def test_layout_is_not_regular_when_the_schema_lacks_a_field(missing: str) -> None:
    """What is not there cannot be found where it is expected."""
    schema = call_schema()
    schema["fields"] = [field for field in schema["fields"] if field["name"] != missing]
    if missing == "process":  # its type has a name that other fields refer to
        schema["fields"] = [field for field in schema["fields"] if "ProcessInfo" not in json.dumps(field)]

    assert CallLayout(7, schema, WANTED).regular is None


def test_decode_resolves_a_call_of_an_older_schema() -> None:
    """Fields that a writer did not know have their defaults."""
    schema = call_schema()
    schema["fields"] = [field for field in schema["fields"] if field["name"] not in {"workload", "tags"}]
    layout = CallLayout(9, schema, WANTED)

    call = layout.decode(encode_call({"syscall": "sys_old"}, schema_id=9, schema=schema))

    assert (call["syscall"], call["workload"], call["tags"]) == ("sys_old", None, [])


@given(call=calls(), cut=st.integers(1, 400))
def test_decode_refuses_a_call_that_is_cut_short(call: dict[str, Any], cut: int) -> None:
    """Bytes that end early are refused as a value, whatever fastavro makes of them."""
    layout = CallLayout(7, call_schema(), WANTED)
    value = encode_call(call)

    with pytest.raises(MalformedCallError):
        layout.decode(value[: max(avro_wire.SCHEMA_HEADER_BYTES, len(value) - cut)])


@pytest.mark.parametrize("kind", ["string", {"type": "array", "items": "long"}, ["null", "string"]])
def test_skipper_refuses_what_no_writer_writes(kind: Any) -> None:
    """Negative lengths, sizes and branches never move backwards."""
    encoded = b"\x01\x01" if isinstance(kind, dict) else b"\x01"

    with pytest.raises(MalformedCallError):
        skipper(kind, {})(encoded, 0)

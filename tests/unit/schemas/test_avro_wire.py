"""schemas/avro_wire.py and schemas/records.py, against fastavro as the independent reader."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import avro_wire, records

_LONGS = st.integers(-(2**63), 2**63 - 1)


def _read(schema: Any, encoded: bytes) -> Any:
    stream = io.BytesIO(encoded)
    value = fastavro.schemaless_reader(stream, fastavro.parse_schema(schema), None)
    assert stream.read() == b""
    return value


@given(value=_LONGS)
def test_long_is_read_back_by_fastavro(value: int) -> None:
    """Every 64-bit number survives."""
    assert _read("long", avro_wire.long(value)) == value


@pytest.mark.parametrize("bits", range(64))
def test_long_is_read_back_by_fastavro_at_every_length(bits: int) -> None:
    """The numbers around each power of two survive: every number of groups has its case."""
    for value in {1 << bits, (1 << bits) - 1, -(1 << bits), 1 - (1 << bits)} - {1 << 63}:
        assert _read("long", avro_wire.long(value)) == value


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_long_raises_when_the_number_has_more_than_64_bits(value: int) -> None:
    """A number is never wrapped."""
    with pytest.raises(OverflowError):
        avro_wire.long(value)


@given(value=st.text())
def test_text_is_read_back_by_fastavro(value: str) -> None:
    """Every text survives."""
    assert _read("string", avro_wire.text(value)) == value


@given(value=st.one_of(st.none(), st.text(min_size=1)))
def test_optional_text_is_read_back_by_fastavro(value: str | None) -> None:
    """A union of null and string keeps both."""
    assert _read(["null", "string"], avro_wire.optional_text(value)) == value


@given(values=st.lists(_LONGS, max_size=20))
def test_sized_array_is_read_back_by_fastavro(values: list[int]) -> None:
    """An array in one block with its size is an ordinary array to any reader."""
    encoded = avro_wire.sized_array([avro_wire.long(value) for value in values])

    assert _read({"type": "array", "items": "long"}, encoded) == values


def test_framed_schema_id_is_the_id_of_the_frame() -> None:
    """The five bytes carry the id; anything else is refused."""
    assert avro_wire.schema_id_of(avro_wire.schema_header(70_000) + b"rest") == 70_000
    with pytest.raises(avro_wire.SchemaHeaderError):
        avro_wire.schema_id_of(b"\x01\x00\x00\x00\x01")
    with pytest.raises(avro_wire.SchemaHeaderError):
        avro_wire.schema_id_of(b"\x00\x00")


def test_every_field_of_a_call_beyond_the_fixed_ones_has_a_default() -> None:
    """Fields added later must not break readers of older records, so only the contract's own may lack a default."""
    fixed = {"event_id", "timestamp_ns", "probe_type", "process", "thread", "syscall", "stack_frames"}
    fixed |= {"container_id", "pod_name", "namespace"}
    fields = records.parsed_schema(records.CALL)["fields"]

    assert fixed < {field["name"] for field in fields}
    assert all("default" in field for field in fields if field["name"] not in fixed)


def test_decode_gives_back_what_encode_took() -> None:
    """A dead letter survives framing and both codecs."""
    letter = {
        "source_topic": "tetragon.raw",
        "source_partition": 3,
        "source_offset": 2**40,
        "stage": "canonicalize",
        "reason": "malformed_protobuf",
        "error_class": None,
        "raw_partition": 3,
        "raw_offset": 2**40,
    }

    encoded = records.encode(records.DEAD_LETTER, 12, letter)

    assert avro_wire.schema_id_of(encoded) == 12
    assert records.decode(records.DEAD_LETTER, encoded) == letter

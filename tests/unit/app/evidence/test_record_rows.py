"""Rows of a block, read by hand, against Avro's library."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evidence.record_rows import Row, read_rows
from schemas import records

_SCHEMA: Any = records.parsed_schema(records.RECORDED_RECORD)
_LONGS = st.integers(-(1 << 63), (1 << 63) - 1)
_ROWS = st.lists(st.tuples(_LONGS, _LONGS, st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=200)))


def _encoded(rows: list[Row]) -> bytes:
    out = io.BytesIO()
    for offset, timestamp_ms, key, value in rows:
        row = {"offset": offset, "timestamp_ms": timestamp_ms, "key": key, "value": value}
        fastavro.schemaless_writer(out, _SCHEMA, row)
    return out.getvalue()


@given(_ROWS)
def test_rows_that_the_library_wrote_come_back(rows: list[Row]) -> None:
    """Any offset, time, key and value is read as it was written."""
    assert read_rows(_encoded(rows), len(rows)) == rows


@given(_ROWS.filter(bool), st.data())
def test_a_block_that_is_cut_off_anywhere_is_refused(rows: list[Row], data: st.DataObject) -> None:
    """No row is made of bytes that are not there."""
    whole = _encoded(rows)
    with pytest.raises((ValueError, IndexError)):
        read_rows(whole[: data.draw(st.integers(0, len(whole) - 1))], len(rows))


@pytest.mark.parametrize(
    "payload",
    [
        _encoded([(1, 2, b"k", b"v")]) + b"\x00",
        b"\x02\x02\x04\x00",  # a third branch
        b"\x02\x02\x02\x01\x00",  # a key of -1 bytes
        b"\xff" * 10 + b"\x01\x02\x00\x00",  # a number of 77 bits
    ],
    ids=["more bytes", "no such branch", "negative size", "long number"],
)
def test_bytes_that_are_no_rows_are_refused(payload: bytes) -> None:
    """What Avro does not allow is not read as something else."""
    with pytest.raises(ValueError, match=r"more|branches|negative|64 bits"):
        read_rows(payload, 1)

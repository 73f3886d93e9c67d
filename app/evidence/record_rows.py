"""Recorded records out of the bytes of a block, which are Avro's: offset, timestamp, and key and value or null.

A replay reads each raw event this way. A library makes a dictionary of each record first; this takes a third of its
time where it is compiled (setup.py), and as much where it is not.
"""

from typing import Final

_ABSENT: Final = 0
_PRESENT: Final = 1
_LONG_BITS: Final = 64

Row = tuple[int, int, bytes | None, bytes | None]


def read_rows(payload: bytes, count: int) -> list[Row]:
    """The rows of a block: offset, timestamp in ms, key, value. Raises ValueError or IndexError if it has others."""
    rows: list[Row] = []
    at = 0
    for _ in range(count):
        offset, at = _long(payload, at)
        timestamp_ms, at = _long(payload, at)
        key, at = _optional_bytes(payload, at)
        value, at = _optional_bytes(payload, at)
        rows.append((offset, timestamp_ms, key, value))
    if at != len(payload):
        raise ValueError("a block has more or fewer bytes than its records")
    return rows


def _long(payload: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next value begins."""
    byte = payload[at]
    at += 1
    value = byte & 0x7F
    shift = 7
    while byte >= 0x80:
        if shift >= _LONG_BITS:
            raise ValueError("a number has more than 64 bits")
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return value >> 1 ^ -(value & 1), at


def _optional_bytes(payload: bytes, at: int) -> tuple[bytes | None, int]:
    """A union of null and bytes, and where the next value begins. What the end cuts off is too short: see `at`."""
    branch, at = _long(payload, at)
    if branch == _ABSENT:
        return None, at
    if branch != _PRESENT:
        raise ValueError("a union has two branches")
    size, at = _long(payload, at)
    if size < 0:
        raise ValueError("a size is negative")
    return payload[at : at + size], at + size

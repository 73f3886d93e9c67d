"""Avro's binary encoding of single values, and Confluent's schema header in front of a record.

For code that puts records together from parts that it remembers; whole records go through `schemas.records`. A value
that its type cannot hold raises OverflowError. Sources: Avro 1.12 specification, "Binary encoding"; Confluent wire
format: a zero byte, the schema's id as four bytes big-endian, the record.
"""

from functools import lru_cache
from struct import Struct
from typing import Final

NULL: Final = b"\x00"
"""Branch 0 of a union, which in every schema here is null."""

PRESENT: Final = b"\x02"
"""Branch 1 of a union: the value follows."""

END_OF_BLOCKS: Final = b"\x00"
"""Ends an array or a map; alone, it is an empty one."""

MAGIC: Final = 0
SCHEMA_HEADER_BYTES: Final = 5
_SCHEMA_HEADER: Final = Struct(">BI")

_REMEMBERED: Final = 4096  # ten minutes of a node's times


class SchemaHeaderError(ValueError):
    """Bytes that do not begin with Confluent's schema header."""


_MORE: Final = tuple(bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(1 << 14))
"""Two groups of seven bits, with more to follow."""

_LAST: Final = tuple(bytes((low,)) if low < 0x80 else bytes((low & 0x7F | 0x80, low >> 7)) for low in range(1 << 14))
"""The last one or two groups."""


def long(value: int) -> bytes:
    """An int or a long: zigzag, then base 128, least significant group first."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    if rest < 1 << 14:
        return _LAST[rest]
    if rest < 1 << 28:
        return _MORE[rest & 0x3FFF] + _LAST[rest >> 14]
    return _MORE[rest & 0x3FFF] + _MORE[rest >> 14 & 0x3FFF] + _high_groups(rest >> 28)


@lru_cache(_REMEMBERED)
def _high_groups(rest: int) -> bytes:
    """What is left of a number beyond 28 bits: the same for the times of one eighth of a second."""
    if rest < 1 << 14:
        return _LAST[rest]
    if rest < 1 << 28:
        return _MORE[rest & 0x3FFF] + _LAST[rest >> 14]
    if rest >= 1 << 36:
        raise OverflowError("more than 64 bits do not fit an Avro long")
    return _MORE[rest & 0x3FFF] + _MORE[rest >> 14 & 0x3FFF] + _LAST[rest >> 28]


def text(value: str) -> bytes:
    """A string: its length in UTF-8 bytes, then those."""
    encoded = value.encode()
    return long(len(encoded)) + encoded


def optional_text(value: str | None) -> bytes:
    """Union of null and string; an empty text is absent, as it is in every source of ours."""
    return PRESENT + text(value) if value else NULL


def optional_long(value: int | None) -> bytes:
    """Union of null and long."""
    return NULL if value is None else PRESENT + long(value)


def sized_array(items: list[bytes]) -> bytes:
    """An array in one block with its size in bytes, so that a reader can take or skip it whole."""
    if not items:
        return END_OF_BLOCKS
    content = b"".join(items)
    return long(-len(items)) + long(len(content)) + content + END_OF_BLOCKS


def schema_header(schema_id: int) -> bytes:
    """The five bytes in front of every record with that schema."""
    return _SCHEMA_HEADER.pack(MAGIC, schema_id)


def schema_id_of(value: bytes) -> int:
    """The schema id that a record begins with. Raises SchemaHeaderError where it does not begin with one."""
    if len(value) < SCHEMA_HEADER_BYTES or value[0] != MAGIC:
        raise SchemaHeaderError("the record does not begin with a schema header")
    schema_id: int = _SCHEMA_HEADER.unpack_from(value)[1]
    return schema_id

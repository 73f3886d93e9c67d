"""Protobuf's binary encoding of single fields, for code that puts messages together from encoded parts."""

from typing import Final

from google.protobuf.message import Message

_LENGTH_DELIMITED: Final = 2
_VARINT: Final = 0


def varint(value: int) -> bytes:
    """Protobuf's base-128 encoding of an unsigned integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field_tag(number: int) -> bytes:
    """The tag of a field with a length: a message, a text or bytes."""
    return varint(number << 3 | _LENGTH_DELIMITED)


def field(number: int, content: Message | bytes) -> bytes:
    """A field with its tag and length, as it stands inside a message; a message is encoded deterministically."""
    encoded = content if isinstance(content, bytes) else content.SerializeToString(deterministic=True)
    return field_tag(number) + varint(len(encoded)) + encoded


def number_field(number: int, value: int) -> bytes:
    """A field that holds an unsigned number, with its tag."""
    return varint(number << 3 | _VARINT) + varint(value)

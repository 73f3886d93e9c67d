"""Laying out a canonical event: parts are framed once as they will stand on the wire, an event is their concatenation.

Field numbers are those of proto/callstream/canonical.proto (`CanonicalEvent`); a test decodes what is written here with
the generated class. Rules: the head is one fixed-width block, parts follow in ascending field order, so one event has
one encoding. This module refuses to know where parts come from.
"""

from struct import Struct
from typing import Final

from google.protobuf.message import Message

PROCESS: Final = 6
WORKLOAD: Final = 7
TID: Final = 8
PARENT: Final = 9
ANCESTORS: Final = 10
PROBE: Final = 11
STACK: Final = 12
ARGUMENTS: Final = 13
DATA: Final = 14
RETURN_VALUE: Final = 15
EXIT: Final = 16
NODE: Final = 17

_LENGTH_DELIMITED: Final = 2
_VARINT: Final = 0

# event_id (field 1, 16 bytes), timestamp_ns (2, sfixed64), raw_offset (3, sfixed64), raw_partition (4, sfixed32).
_HEAD: Final = Struct("<2s16sBqBqBi")
_EVENT_ID_TAG: Final = bytes([1 << 3 | 2, 16])
_TIMESTAMP_TAG: Final = 2 << 3 | 1
_OFFSET_TAG: Final = 3 << 3 | 1
_PARTITION_TAG: Final = 4 << 3 | 5
_TIMESTAMP_SOURCE_TAG: Final = 5 << 3 | _VARINT


def varint(value: int) -> bytes:
    """Protobuf's base-128 encoding of an unsigned integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def framed(number: int, part: Message | bytes) -> bytes:
    """A part with its tag and length, as it stands inside the event."""
    content = part if isinstance(part, bytes) else part.SerializeToString(deterministic=True)
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(content)) + content


def framed_number(number: int, value: int) -> bytes:
    """An unsigned number with its tag."""
    return varint(number << 3 | _VARINT) + varint(value)


def head(event_id: bytes, timestamp_ns: int, timestamp_source: int, raw_partition: int, raw_offset: int) -> bytes:
    """The fields that differ from event to event. `event_id` has 16 bytes."""
    block = _HEAD.pack(
        _EVENT_ID_TAG,
        event_id,
        _TIMESTAMP_TAG,
        timestamp_ns,
        _OFFSET_TAG,
        raw_offset,
        _PARTITION_TAG,
        raw_partition,
    )
    return block + bytes((_TIMESTAMP_SOURCE_TAG, timestamp_source)) if timestamp_source else block

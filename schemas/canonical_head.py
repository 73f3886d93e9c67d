"""The head of a canonical event: what differs from event to event, in a block of fixed width at the beginning.

All that repeats stands behind it, so two events that say the same have the same bytes there.

    0a 10  16 bytes  event_id (field 1)
    11      8 bytes  timestamp_ns (field 2, sfixed64)
    19      8 bytes  raw_offset (field 3, sfixed64)
    25      4 bytes  raw_partition (field 4, sfixed32)

The source of the timestamp (field 5) follows where it is not the default; it repeats.
"""

from struct import Struct
from typing import Final

HEAD: Final = Struct("<2s16sBqBqBi")
"""Each value behind its tag: event id, timestamp, raw offset, raw partition."""

TIMESTAMP_AT: Final = Struct("<2s16sB").size
"""Where the eight bytes of the timestamp begin."""

EVENT_ID_TAG: Final = bytes([1 << 3 | 2, 16])
TIMESTAMP_TAG: Final = 2 << 3 | 1
OFFSET_TAG: Final = 3 << 3 | 1
PARTITION_TAG: Final = 4 << 3 | 5

_TIMESTAMP_SOURCE_TAG: Final = 5 << 3


def encode_head(
    event_id: bytes, timestamp_ns: int, timestamp_source: int, raw_partition: int, raw_offset: int
) -> bytes:
    """The first five fields of an event. `event_id` has 16 bytes."""
    block = HEAD.pack(
        EVENT_ID_TAG,
        event_id,
        TIMESTAMP_TAG,
        timestamp_ns,
        OFFSET_TAG,
        raw_offset,
        PARTITION_TAG,
        raw_partition,
    )
    return block + bytes((_TIMESTAMP_SOURCE_TAG, timestamp_source)) if timestamp_source else block

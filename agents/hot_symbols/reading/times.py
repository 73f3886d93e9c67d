"""Times as bytes that sort as the times do, and are cut out of a call instead of being decoded.

An Avro long has seven bits to a byte, the least significant first, and all bytes but the last have their high bit set;
so read backwards, numbers of equally many bytes sort as bytes. Nine bytes hold the times from 1971 to 2116, which begin
with a byte from 1 to 127. Any other time is a zero byte or a byte of 128, and the number as eight bytes from the lowest
on. Times are nanoseconds since the Unix epoch, as 64-bit signed numbers.
"""

from typing import Final

from schemas import avro_wire

_FIRST: Final = 1 << 55
_END: Final = 1 << 62
_LOWEST: Final = -(1 << 63)
_BEFORE: Final = b"\x00"
_AFTER: Final = b"\x80"


def sortable(time_ns: int) -> bytes:
    """The bytes of a time."""
    if _FIRST <= time_ns < _END:
        return avro_wire.long(time_ns)[::-1]
    return (_BEFORE if time_ns < _FIRST else _AFTER) + (time_ns - _LOWEST).to_bytes(8, "big")


def time_of(key: bytes) -> int:
    """The way back."""
    if not _BEFORE[0] < key[0] < _AFTER[0]:
        return int.from_bytes(key[1:], "big") + _LOWEST
    # In pairs, fours, and all eight: what holds seven bits each moves together.
    low = int.from_bytes(key[1:], "big")
    low = (low & 0x007F007F007F007F) | (low & 0x7F007F007F007F00) >> 1
    low = (low & 0x00003FFF00003FFF) | (low & 0x3FFF00003FFF0000) >> 2
    return (low & 0x0FFFFFFF | (low & 0x0FFFFFFF00000000) >> 4 | key[0] << 56) >> 1

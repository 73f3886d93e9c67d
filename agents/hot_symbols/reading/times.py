"""Times as bytes that sort as the times do, and are cut out of a call instead of being decoded.

An Avro long has seven bits to a byte, the least significant first, and every byte but the last has its high bit set.
Read backwards, numbers of equally many bytes therefore sort as their bytes do:

>>> avro_wire.long(1_700_000_000_123_456_789).hex(" ")
'aa b4 ae d8 c7 bf ce 97 2f'
>>> sortable(1_700_000_000_123_456_789).hex(" ")
'2f 97 ce bf c7 d8 ae b4 aa'

Nine bytes hold the times from 1971 to 2116; their first byte is one from 1 to 127. Any other time is a zero byte or a
byte of 128, and then the number as eight bytes, counted from the lowest 64-bit number on. Times are nanoseconds since
the Unix epoch, as 64-bit signed numbers.

A moment is a time with the id of the event behind it, backwards as well, so that both are cut out of a call as one
piece. Moments sort by time first.
"""

from typing import Final

from schemas import avro_wire

_FIRST: Final = 1 << 55
_END: Final = 1 << 62
_LOWEST: Final = -(1 << 63)
_BEFORE: Final = b"\x00"
_AFTER: Final = b"\x80"


_TIME_BYTES: Final = 9
_MAX_ID_BYTES: Final = 128
"""An id has 32; others come from hostile calls, and are only cited."""


def moment(time_ns: int, event_id: str) -> bytes:
    """The bytes of a time and an event's id."""
    return sortable(time_ns) + event_id.encode("utf-8", "surrogatepass")[:_MAX_ID_BYTES][::-1]


def event_id_of(key: bytes) -> str:
    """The id of the event that `moment` made the bytes of."""
    return forward_id(backward_id(key))


def backward_id(key: bytes) -> str:
    """The id as it stands in a moment, as a text that sorts as the bytes do."""
    return key[_TIME_BYTES:].decode("latin-1")


def forward_id(backward: str) -> str:
    """The id that stands in a moment as `backward`."""
    return backward[::-1].encode("latin-1").decode("utf-8", "replace")


def sortable(time_ns: int) -> bytes:
    """The bytes of a time."""
    if _FIRST <= time_ns < _END:
        return avro_wire.long(time_ns)[::-1]
    return (_BEFORE if time_ns < _FIRST else _AFTER) + (time_ns - _LOWEST).to_bytes(8, "big")


def time_of(key: bytes) -> int:
    """The time that `sortable` or `moment` made the bytes of.

    The last eight bytes hold seven bits each, and lose their high bits in three moves over all of them at once:

        one by one     1aaaaaaa 1bbbbbbb                        seven bits in each 8
        in pairs       00aaaaaa abbbbbbb                        14 bits in each 16
        in fours       0000aaaa aaaaaaaa aabbbbbb bbbbbbbb      28 bits in each 32 (a and b are two pairs here)
        all eight      00000000 and 56 bits                     the first byte of the key is put in front of them

    Avro doubles a number that is not negative, so the result is halved.
    """
    if not _BEFORE[0] < key[0] < _AFTER[0]:
        return int.from_bytes(key[1:_TIME_BYTES], "big") + _LOWEST
    low = int.from_bytes(key[1:_TIME_BYTES], "big")
    low = (low & 0x007F007F007F007F) | (low & 0x7F007F007F007F00) >> 1
    low = (low & 0x00003FFF00003FFF) | (low & 0x3FFF00003FFF0000) >> 2
    return (low & 0x0FFFFFFF | (low & 0x0FFFFFFF00000000) >> 4 | key[0] << 56) >> 1

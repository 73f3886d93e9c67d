"""The partition of a key by Kafka's own rule, as Java's default partitioner computes it.

Source: Apache Kafka, org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
"""

from typing import Final

_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_SHIFT: Final = 24
_WORD: Final = 4
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """32-bit murmur2 of `data`, as an unsigned number."""
    mixed = _SEED ^ len(data)
    whole = len(data) & -_WORD
    for start in range(0, whole, _WORD):
        word = int.from_bytes(data[start : start + _WORD], "little") * _FACTOR & _MASK
        word = (word ^ word >> _SHIFT) * _FACTOR & _MASK
        mixed = mixed * _FACTOR & _MASK ^ word
    if whole < len(data):
        mixed = (mixed ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _MASK
    mixed = (mixed ^ mixed >> 13) * _FACTOR & _MASK
    return mixed ^ mixed >> 15


def positive_murmur2(data: bytes) -> int:
    """The number whose rest, divided by the number of partitions, is the partition."""
    return murmur2(data) & _POSITIVE

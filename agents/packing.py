"""Numbers and texts as bytes and back: the form of all hot-symbol state, in tables and on the internal topic.

Layout: version (one byte), count of numbers (two bytes, little-endian), the numbers (eight bytes each, signed,
little-endian), the texts in UTF-8 with a 0xFF byte, which UTF-8 never has, between them. What was written by another
version or is cut short raises; it never reads as something else.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct, error
from typing import Final

VERSION: Final = 1
_HEAD: Final = Struct("<BH")
_FIRST_TWO: Final = Struct("<BHqq")
_FIRST_SIX: Final = Struct("<BHqqqqqq")
_BETWEEN: Final = b"\xff"


class StateError(ValueError):
    """Bytes that are not state of this version."""


@lru_cache(maxsize=512)  # a row has some 20 to 150 numbers
def _layout(numbers: int) -> Struct:
    return Struct(f"<BH{numbers}q")


def pack(numbers: Sequence[int], texts: Sequence[str]) -> bytes:
    """Bytes of numbers (64-bit signed; others raise struct.error) and texts (lone surrogates included)."""
    packed = _layout(len(numbers)).pack(VERSION, len(numbers), *numbers)
    return packed + _BETWEEN.join([text.encode("utf-8", "surrogatepass") for text in texts])


def unpack(state: bytes) -> tuple[tuple[int, ...], list[str]]:
    """Numbers and texts. Raises StateError."""
    _, count = _read(_HEAD, state)
    layout = _layout(count)
    numbers = _read(layout, state)[2:]
    texts = state[layout.size :].split(_BETWEEN)
    return numbers, [text.decode("utf-8", "surrogatepass") for text in texts]


def first_two(state: bytes) -> tuple[int, int]:
    """The first two numbers, without reading the rest. Raises StateError."""
    _, _, first, second = _read(_FIRST_TWO, state)
    return first, second


def first_numbers(state: bytes, at: int = 0) -> tuple[int, ...]:
    """The first six numbers of the state that begins at `at`, without reading the rest. Raises StateError."""
    return _read(_FIRST_SIX, state, at)[2:]


def _read(layout: Struct, state: bytes, at: int = 0) -> tuple[int, ...]:
    """The state that begins at `at`, as far as `layout` goes: version, count and numbers. Raises StateError."""
    try:
        read = layout.unpack_from(state, at)
    except error:
        raise StateError("state that ends early") from None
    if read[0] != VERSION:
        raise StateError(f"state of version {read[0]}, not {VERSION}")
    return read

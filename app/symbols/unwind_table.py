"""Where functions begin, from .eh_frame_hdr: the table that stays in a stripped file, for exceptions need it.

It has the first address of every function that compilers made, sorted, but no names. With it, a label without a size
does not reach into the function behind it.

Linkers write one form only: 32-bit numbers that count from the table's own address (LSB Core 10.6.2). Other forms, and
a table that contradicts itself, count as no table.
"""

from array import array
from operator import lt
from typing import Final

from app.symbols.elf import ByteOrder, ElfStructure

_POINTER_BYTES: Final = {0x1B: 4, 0x0B: 4, 0x03: 4, 0x1C: 8, 0x0C: 8, 0x04: 8}
"""Sizes of the encodings of the pointer to .eh_frame."""
_UDATA4: Final = 0x03
_DATAREL_SDATA4: Final = 0x3B
_HEADER_BYTES: Final = 4


def function_starts(data: memoryview, structure: ElfStructure) -> "array[int]":
    """First addresses of functions in executable segments, rising, each once; empty without a table."""
    none = array("Q")
    part = structure.unwind_header
    if part is None or not structure.segments or part.size < _HEADER_BYTES:
        return none
    version, pointer, count_form, table_form = data[part.offset : part.offset + _HEADER_BYTES]
    if version != 1 or pointer not in _POINTER_BYTES or (count_form, table_form) != (_UDATA4, _DATAREL_SDATA4):
        return none
    count_at = part.offset + _HEADER_BYTES + _POINTER_BYTES[pointer]
    count = int.from_bytes(data[count_at : count_at + 4], structure.byte_order)
    table = bytes(data[count_at + 4 : count_at + 4 + 8 * count])
    if len(table) != 8 * count or count_at + 4 + len(table) > part.offset + part.size:
        return none
    distances = _signed_words(table, structure.byte_order)[::2]
    base = part.address
    low = min(s.address for s in structure.segments) - base
    high = max(s.address + s.size for s in structure.segments) - base
    starts = [base + distance for distance in distances if low <= distance < high]
    is_rising = all(map(lt, starts, starts[1:]))  # as linkers write it
    return array("Q", starts if is_rising else sorted(set(starts)))


def _signed_words(content: bytes, order: ByteOrder) -> "array[int]":
    words = array("i")
    words.frombytes(content)
    if order == "big":
        words.byteswap()
    return words

"""Layouts: where in a file its code lies. Tools that patch a program move code in the file, and keep its build id.

Addresses and code stay as they were, so one index serves every layout; only file offsets mean another place.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from agents.symbols.index_format import Segment
from app.symbols.snapshot import SymbolStoreError

Layout = tuple[Segment, ...]
"""The executable segments of a file, in order of file offset."""

_PAGE_BYTES: Final = 4096  # the kernel maps whole pages


def other_offset(file_offset: int, layout: Layout, indexed: Sequence[Segment]) -> int | None:
    """The offset in the indexed file of the code at `file_offset` of a file with this layout; None if there is none."""
    address = _moved(file_offset, ((one.file_offset, one.address, one.size) for one in layout))
    return None if address is None else _moved(address, ((one.address, one.file_offset, one.size) for one in indexed))


def _moved(place: int, segments: Iterable[tuple[int, int, int]]) -> int | None:
    """The same place, counted another way; `segments` are (begin in this count, begin in the other, size)."""
    pages = None
    for begin, other, size in segments:
        if begin <= place < begin + size:
            return place - begin + other
        if begin & -_PAGE_BYTES <= place < -(-(begin + size) // _PAGE_BYTES) * _PAGE_BYTES:
            pages = place - begin + other
    return pages


def encode_layouts(layouts: Iterable[Layout]) -> bytes:
    """One layout a line: file offset, bytes and address of each segment, in hex."""
    lines = {" ".join(f"{s.file_offset:x}:{s.size:x}:{s.address:x}" for s in layout) for layout in layouts}
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def decode_layouts(content: bytes) -> tuple[Layout, ...]:
    """The layouts that were encoded as `content`. Raises SymbolStoreError."""
    try:
        lines = content.decode("ascii").split("\n")[:-1]
        return tuple(
            tuple(Segment(*(int(number, 16) for number in segment.split(":", 2))) for segment in line.split())
            for line in lines
        )
    except (ValueError, TypeError) as error:
        raise SymbolStoreError("a list of layouts has a line that is not a layout") from error

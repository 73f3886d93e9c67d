"""The symbol index of one binary: which function lies at which file offset, in a form that is mapped and bisected.

Format, version 1. Everything is little-endian and unsigned; each part is padded to 8 bytes; counts stand in the header.

    header       see `_HEADER`: magic, version, origins, ELF machine and type, counts, SHA-256 of the executable code
    build id     ASCII, lower hex
    segments     (file offset, bytes, address), u64 each: executable PT_LOAD segments in order of file offset
    ranges       start address u64[n] · length u32[n] · bytes between the symbol and the range u32[n]
                 · name offset u32[n] · name length u32[n]
    names        UTF-8, each name once
    lines        address u64[m] · source file number u32[m] · line number u32[m], 0 where no line is known
    files        offset u32[k + 1] into the names of source files, then those names, UTF-8
    trailer      SHA-256 of everything before it

Ranges are sorted and disjoint: overlaps and aliases are settled when the index is built. Where no range is, the file
has no symbol. A line row counts until the next one.

Addresses are the ELF file's own, so neither ASLR nor the order of loading matters. The same binary and debug
information give the same bytes. Reading does no I/O: it takes a memoryview and keeps it.
"""

import enum
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from struct import Struct
from typing import Any, Final, Literal, NamedTuple

from agents.symbols.lookup import Resolved, Unresolved

MAGIC: Final = b"CSSYMIDX"
VERSION: Final = 1

# magic, version, origins, reserved, machine, ELF type, code digest,
# bytes of the build id, segments, ranges, bytes of names, line rows, source files, bytes of their names
_HEADER: Final = Struct("<8sHBBHH32sIIIQIIQ4x")
_SEGMENT: Final = Struct("<QQQ")
_PART_TYPES: Final[tuple[Literal["B", "I", "Q"], ...]] = (*"BBQIIIIBQIIIB",)
_TYPE_BYTES: Final = {"B": 1, "I": 4, "Q": 8}
_TRAILER_BYTES: Final = sha256().digest_size

# The kernel maps whole pages, so a pc may lie before or behind the bytes that a segment asks for.
_PAGE_BYTES: Final = 4096

# How far to step back from a return address to be inside the call that made it, by ELF machine (e_machine). x86 calls
# have any length, so one byte; fixed-width instruction sets step one instruction, MIPS one more for its delay slot.
_EM_ARM: Final = 40
_CALL_STEP_BYTES: Final = {8: 8, 20: 4, 21: 4, 22: 2, _EM_ARM: 2, 183: 4, 243: 2, 258: 4}


class SymbolOrigin(enum.IntFlag):
    """Where an index got its names and lines from."""

    DYNSYM = 1
    SYMTAB = 2
    GNU_DEBUGDATA = 4
    DEBUG_FILE = 8
    GOPCLNTAB = 16
    DWARF_LINES = 32


class IndexFormatError(ValueError):
    """The bytes are not an intact index of this version."""


@dataclass(frozen=True, slots=True)
class Segment:
    """An executable PT_LOAD segment: `size` bytes at `file_offset` are code at `address`."""

    file_offset: int
    size: int
    address: int


class CodeRange(NamedTuple):
    """`length` bytes of code at `start` that belong to `name`, whose own first byte lies `delta` bytes before."""

    start: int
    length: int
    delta: int
    name: str


@dataclass(frozen=True, slots=True)
class CodeRanges:
    """Sorted, disjoint ranges by column, because a library has 70,000 of them; the columns are those of CodeRange."""

    starts: Sequence[int] = ()
    lengths: Sequence[int] = ()
    deltas: Sequence[int] = ()
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LineRows:
    """A line table in order of address: `numbers[i]` counts from `addresses[i]` to the next; 0 is "no line known"."""

    addresses: Sequence[int] = ()
    files: Sequence[int] = ()
    numbers: Sequence[int] = ()
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class IndexContent:
    """What goes into an index; `code_digest` is SHA-256 of the executable bytes."""

    build_id: str
    machine: int
    elf_type: int
    origins: SymbolOrigin
    code_digest: bytes
    segments: tuple[Segment, ...]
    ranges: CodeRanges = CodeRanges()
    lines: LineRows = LineRows()


def encode_index(content: IndexContent) -> bytes:
    """The index file of `content`. Raises ValueError where a count or a length does not fit the format."""
    ranges = content.ranges
    names = _EncodedNames(ranges.names)
    build_id = content.build_id.encode("ascii")
    lines = content.lines
    files = [name.encode() for name in lines.names]
    header = _HEADER.pack(
        MAGIC,
        VERSION,
        content.origins,
        0,
        content.machine,
        content.elf_type,
        content.code_digest,
        len(build_id),
        len(content.segments),
        len(ranges.starts),
        len(names.blob),
        len(lines.addresses),
        len(files),
        sum(map(len, files)),
    )
    parts = [
        header,
        build_id,
        b"".join(_SEGMENT.pack(s.file_offset, s.size, s.address) for s in content.segments),
        _packed("Q", ranges.starts),
        _packed("I", ranges.lengths),
        _packed("I", ranges.deltas),
        _packed("I", names.offsets),
        _packed("I", names.lengths),
        names.blob,
        _packed("Q", lines.addresses),
        _packed("I", lines.files),
        _packed("I", lines.numbers),
        _packed("I", [0, *accumulate(map(len, files))]),
        b"".join(files),
    ]
    body = b"".join(part + bytes(-len(part) % 8) for part in parts)
    return body + sha256(body).digest()


class _EncodedNames:
    """Names as they are stored: each once in `blob`, and where each of the ranges has its own."""

    __slots__ = ("blob", "lengths", "offsets")

    def __init__(self, names: Sequence[str]) -> None:
        distinct = list(dict.fromkeys(names))
        self.blob = "".join(distinct).encode()
        if self.blob.isascii():  # then characters are bytes, and 10^5 names need not be encoded one by one
            lengths: Iterable[int] = map(len, distinct)
            self.lengths = list(map(len, names))
        else:
            bytes_of = {name: len(name.encode()) for name in distinct}
            lengths = bytes_of.values()
            self.lengths = [bytes_of[name] for name in names]
        offset_of = dict(zip(distinct, accumulate(lengths, initial=0), strict=False))
        self.offsets = [offset_of[name] for name in names]


class SymbolIndex:
    """An open index: answers which function a file offset lies in. Holds the view it was opened on."""

    def __init__(self, view: memoryview) -> None:
        """Open `view`, the bytes of a whole index file; raises IndexFormatError."""
        header, parts = _opened(view)
        _, _, origins, _, self.machine, self.elf_type, self.code_digest = header[:7]
        build_id, segments, *ranges = parts[:7]
        self._starts, self._lengths, self._deltas, self._name_offsets, self._name_lengths = ranges
        self._names, self._line_addresses, self._line_files, self._line_numbers, *files = parts[7:]
        self._file_offsets, self._file_names = files
        self.build_id = bytes(build_id).decode("ascii")
        self.segments = tuple(Segment(*s) for s in _SEGMENT.iter_unpack(segments))
        self.origins = SymbolOrigin(origins)
        self.range_count = len(self._starts)
        self.line_count = len(self._line_addresses)
        self._mapped = [*map(_asked_for, self.segments), *map(_whole_pages, self.segments)]
        self._call_step = _CALL_STEP_BYTES.get(self.machine, 1)

    def lookup(self, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """The function at `file_offset`, with the line where the index has lines.

        Where the offset is a return address (`innermost` is false) the call before it decides; the reported offset is
        still that of the address itself, so it equals the function's size behind a call that never returns.
        """
        if self.machine == _EM_ARM:
            file_offset &= ~1  # says that the caller runs Thumb code
        step = 0 if innermost else self._call_step
        address = self.address_of(file_offset - step)
        if address is None:
            return Unresolved.UNMAPPED
        if not self.range_count:
            return Unresolved.NO_SYMBOL_TABLE
        at = bisect_right(self._starts, address) - 1
        if at < 0 or (into := address - self._starts[at]) >= self._lengths[at]:
            return Unresolved.NO_SYMBOL
        offset = into + self._deltas[at] + step
        return (
            Resolved(self._name(at), offset, *self._line_at(address))
            if self.line_count
            else Resolved(self._name(at), offset)
        )

    def address_of(self, file_offset: int) -> int | None:
        """The ELF address that `file_offset` is mapped to as code; None outside every executable segment.

        A page that two segments share is mapped twice; the one that asks for the byte itself comes first.
        """
        for first, behind, distance in self._mapped:
            if first <= file_offset < behind:
                return file_offset + distance
        return None

    def ranges(self) -> Iterable[CodeRange]:
        """Every range, in order of address."""
        for at in range(self.range_count):
            yield CodeRange(self._starts[at], self._lengths[at], self._deltas[at], self._name(at))

    def _name(self, at: int) -> str:
        offset = self._name_offsets[at]
        return str(self._names[offset : offset + self._name_lengths[at]], "utf-8")

    def _line_at(self, address: int) -> tuple[str | None, int | None]:
        at = bisect_right(self._line_addresses, address) - 1
        if at < 0 or (number := self._line_numbers[at]) == 0:
            return None, None
        file = self._line_files[at]
        name = self._file_names[self._file_offsets[file] : self._file_offsets[file + 1]]
        return str(name, "utf-8"), number


def _asked_for(segment: Segment) -> tuple[int, int, int]:
    """First file offset, the one behind the last, and what lies between file offsets and addresses."""
    behind = segment.file_offset + segment.size
    return segment.file_offset, behind, segment.address - segment.file_offset


def _whole_pages(segment: Segment) -> tuple[int, int, int]:
    first, behind, distance = _asked_for(segment)
    return first & -_PAGE_BYTES, -(-behind // _PAGE_BYTES) * _PAGE_BYTES, distance


def _opened(view: memoryview) -> tuple[tuple[Any, ...], list[memoryview]]:
    """The header, and the parts behind it in their order. Raises IndexFormatError."""
    if sys.byteorder != "little":
        raise IndexFormatError("symbol indexes are read in place, which takes a little-endian machine")
    if len(view) < _HEADER.size + _TRAILER_BYTES:
        raise IndexFormatError("shorter than a header")
    header: tuple[Any, ...] = _HEADER.unpack_from(view)
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise IndexFormatError("not a symbol index")
    if header[1] != VERSION:
        raise IndexFormatError(f"version {header[1]}, and only {VERSION} is known; build the index again")
    id_bytes, segments, ranges, names_bytes, rows, files, files_bytes = header[7:]
    items = [id_bytes, segments * _SEGMENT.size, *[ranges] * 5, names_bytes, *[rows] * 3, files + 1, files_bytes]
    sizes = [_TYPE_BYTES[code] * number for code, number in zip(_PART_TYPES, items, strict=True)]
    *starts, end = accumulate((size + -size % 8 for size in sizes), initial=_HEADER.size)
    if end + _TRAILER_BYTES != len(view):
        raise IndexFormatError("its length does not agree with its header")
    if sha256(view[:-_TRAILER_BYTES]).digest() != bytes(view[-_TRAILER_BYTES:]):
        raise IndexFormatError("its checksum does not agree with its content")
    parts = [view[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return header, [part.cast(code) for part, code in zip(parts, _PART_TYPES, strict=True)]


def _packed(code: str, numbers: Sequence[int]) -> bytes:
    try:
        return array(code, numbers).tobytes()
    except OverflowError as error:
        raise ValueError("a number does not fit the index format") from error

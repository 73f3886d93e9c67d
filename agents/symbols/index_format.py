"""The file of a symbol index: what goes into it, how it is written, and the parts that a reader maps.

Format, version 2. Everything is little-endian and unsigned; each part is padded to 8 bytes; counts stand in the header.

    header       see `_HEADER`: magic, version, origins, ELF machine and type, counts, SHA-256 of the executable code
    build id     ASCII, lower hex
    segments     (file offset, bytes, address), u64 each: executable PT_LOAD segments in order of file offset
    ranges       start address u64[n] · length u32[n] · bytes between the symbol and the range u32[n]
                 · name number u32[n]
    names        offset u32[k + 1] into the names, then those names: UTF-8, each once, in byte order
    functions    address u64[m] · size u32[m] · name number u32[m] · traits u8[m], by address and name
                 · function number u32[m], by name
    unwound      address u64[u], rising: where functions begin by the unwind table
    lines        address u64[l] · source file number u32[l] · line number u32[l], 0 where no line is known
    files        offset u32[f + 1] into the names of source files, then those names, UTF-8
    copies       name number u32[c] · address u64[c] · outer copy u32[c] · source file number u32[c] and
                 line number u32[c] of the call, by name and address: functions that were inlined
    copy ranges  address u64[r] · copy u32[r]: which innermost copy the code from there on belongs to
    trailer      SHA-256 of everything before it

Ranges are sorted and disjoint: overlaps and aliases are settled when the index is built. Where no range is, the file
has no symbol. Functions are all names that the file has, those that no frame carries too. A line row and a copy range
count until the next one. Where there is no outer copy or no copy, its number is 2^32 - 1.

Addresses are the ELF file's own, so neither ASLR nor the order of loading matters. The same binary and debug
information give the same bytes.
"""

import enum
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate, count, islice
from operator import le, sub
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Any, Final, Literal, NamedTuple

from agents.symbols.name_numbers import NamedPlaces, numbered_names

MAGIC: Final = b"CSSYMIDX"
VERSION: Final = 2

NO_COPY: Final = 2**32 - 1
"""The number that stands where code was not inlined."""
NO_PLACE: Final = 2**64 - 1
"""Address of a copy that nothing tells the place of."""

# magic, version, origins, functions that are described, machine, ELF type, code digest,
# bytes of the build id, segments, ranges, names, bytes of names, functions, unwound, functions to describe,
# line rows, source files, bytes of their names, copies, copy ranges
_HEADER: Final = Struct("<8sHHIHH32sIIIIQIIIIIQII")
_SEGMENT: Final = Struct("<QQQ")
SEGMENT_BYTES: Final = _SEGMENT.size
PartType = Literal["B", "I", "Q"]
_TYPE_BYTES: Final = {"B": 1, "I": 4, "Q": 8}
_TRAILER_BYTES: Final = sha256().digest_size


class SymbolOrigin(enum.IntFlag):
    """Where an index got its names, lines and inlined copies from."""

    DYNSYM = 1
    SYMTAB = 2
    GNU_DEBUGDATA = 4
    DEBUG_FILE = 8
    GOPCLNTAB = 16
    DWARF_LINES = 32
    GO_INLINE_TREE = 64
    DWARF_INLINES = 128


class NameTrait(enum.IntFlag):
    """What is known of a name at its address."""

    EXPORTED = 1  # in .dynsym, or in Go's own table: what stripping leaves
    LOCAL = 2  # other files may have another function of this name
    RESOLVER = 4  # an IFUNC: the code here chooses at load time which function the name means
    GLOBAL = 8  # neither local nor weak
    IN_SYMTAB = 16  # where it has no size, it reaches up to the next function


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


class NamedFunction(NamedTuple):
    """One name of a function; `traits` are those of NameTrait, as a number, for a library has 70,000."""

    address: int
    size: int
    name: str
    traits: int


@dataclass(frozen=True, slots=True)
class NamedFunctions:
    """Every name of every function, by column, in order of address and name; `sizes` is 0 where a label has none."""

    addresses: Sequence[int] = ()
    sizes: Sequence[int] = ()
    names: Sequence[str] = ()
    traits: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class LineRows:
    """A line table in order of address: `numbers[i]` counts from `addresses[i]` to the next; 0 is "no line known"."""

    addresses: Sequence[int] = ()
    files: Sequence[int] = ()
    numbers: Sequence[int] = ()
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class InlinedCopies:
    """Functions that a compiler put into others, by column.

    `addresses` are where copies begin, `outer` numbers the copy around each (or NO_COPY), `files` and `lines` say where
    the outer function calls it, with the files of LineRows; line 0 is "not known". From `starts[i]` on, to the next
    start, the innermost copy is `innermost[i]`, or NO_COPY. `described` of `functions` functions of the file tell what
    was put into them.
    """

    names: Sequence[str] = ()
    addresses: Sequence[int] = ()
    outer: Sequence[int] = ()
    files: Sequence[int] = ()
    lines: Sequence[int] = ()
    starts: Sequence[int] = ()
    innermost: Sequence[int] = ()
    described: int = 0
    functions: int = 0


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
    functions: NamedFunctions = NamedFunctions()
    unwound: Sequence[int] = ()
    lines: LineRows = LineRows()
    copies: InlinedCopies = InlinedCopies()


def encode_index(content: IndexContent) -> bytes:
    """The index file of `content`. Raises ValueError where a count or a length does not fit the format."""
    ranges, functions, lines = content.ranges, content.functions, content.lines
    copies = content.copies
    numbered = numbered_names(
        NamedPlaces(functions.names, functions.addresses),
        NamedPlaces(ranges.names, list(map(sub, ranges.starts, ranges.deltas))),
        copies.names,
    )
    copy_numbers, copies = _in_order(numbered.of_copies, copies)
    names = numbered.names
    name_blob = "".join(names).encode()
    name_ends = accumulate(map(len, names if name_blob.isascii() else map(str.encode, names)), initial=0)
    build_id = content.build_id.encode("ascii")
    files = [name.encode() for name in lines.names]
    try:
        header = _HEADER.pack(
            *(MAGIC, VERSION, content.origins, copies.described, content.machine, content.elf_type),
            *(content.code_digest, len(build_id), len(content.segments), len(ranges.starts)),
            *(len(names), len(name_blob), len(functions.names), len(content.unwound), copies.functions),
            *(len(lines.addresses), len(files), sum(map(len, files)), len(copies.names), len(copies.starts)),
        )
        parts: list[bytes | memoryview] = [
            header,
            build_id,
            b"".join(_SEGMENT.pack(s.file_offset, s.size, s.address) for s in content.segments),
            _packed("Q", ranges.starts),
            _packed("I", ranges.lengths),
            _packed("I", ranges.deltas),
            _packed("I", numbered.of_ranges),
            _packed("I", list(name_ends)),
            name_blob,
            _packed("Q", functions.addresses),
            _packed("I", functions.sizes),
            _packed("I", numbered.of_functions),
            _packed("B", functions.traits),
            _packed("I", numbered.by_name),
            _packed("Q", content.unwound),
            _packed("Q", lines.addresses),
            _packed("I", lines.files),
            _packed("I", lines.numbers),
            _packed("I", [0, *accumulate(map(len, files))]),
            b"".join(files),
            _packed("I", copy_numbers),
            _packed("Q", copies.addresses),
            _packed("I", copies.outer),
            _packed("I", copies.files),
            _packed("I", copies.lines),
            _packed("Q", copies.starts),
            _packed("I", copies.innermost),
        ]
    except (OverflowError, StructError) as error:
        raise ValueError("a number does not fit the index format") from error
    padded = [piece for part in parts for piece in (part, bytes(-len(part) % 8))]
    digest = sha256()
    for piece in padded:
        digest.update(piece)
    return b"".join([*padded, digest.digest()])


class IndexParts(NamedTuple):
    """The parts of an index file as views on it, in the order of the format."""

    build_id: memoryview
    segments: memoryview
    range_starts: memoryview
    range_lengths: memoryview
    range_deltas: memoryview
    range_names: memoryview
    name_offsets: memoryview
    names: memoryview
    function_addresses: memoryview
    function_sizes: memoryview
    function_names: memoryview
    function_traits: memoryview
    functions_by_name: memoryview
    unwound: memoryview
    line_addresses: memoryview
    line_files: memoryview
    line_numbers: memoryview
    file_offsets: memoryview
    file_names: memoryview
    copy_names: memoryview
    copy_addresses: memoryview
    copy_outer: memoryview
    copy_files: memoryview
    copy_lines: memoryview
    copy_range_starts: memoryview
    copy_range_copies: memoryview


_PART_TYPES: Final[tuple[PartType, ...]] = (*"BBQIIIIBQIIBIQQIIIBIQIIIQI",)


class IndexHead(NamedTuple):
    """What the header of an index says, without the sizes of its parts."""

    origins: SymbolOrigin
    machine: int
    elf_type: int
    code_digest: bytes
    described: int
    functions: int


def index_parts(view: memoryview) -> tuple[IndexHead, IndexParts]:
    """The header and the parts of a whole index file, checked. Raises IndexFormatError."""
    if sys.byteorder != "little":
        raise IndexFormatError("symbol indexes are read in place, which takes a little-endian machine")
    if (version := format_of(view)) != VERSION:
        raise IndexFormatError(f"format {version}, and only {VERSION} is known; build the index again")
    _, _, origins, described, machine, elf_type, code_digest, *counts = read_header(view, _HEADER)
    id_bytes, segments, ranges, names, name_bytes, named, unwound, functions, rows, files, file_bytes = counts[:11]
    copies, spans = counts[11:]
    items = [
        *(id_bytes, segments * SEGMENT_BYTES, *[ranges] * 4, names + 1, name_bytes, *[named] * 5, unwound),
        *(*[rows] * 3, files + 1, file_bytes, *[copies] * 5, *[spans] * 2),
    ]
    head = IndexHead(SymbolOrigin(origins), machine, elf_type, code_digest, described, functions)
    return head, IndexParts._make(mapped_parts(view, _HEADER, _PART_TYPES, items))


def format_of(view: memoryview) -> int:
    """The number of the format in which an index is written. Raises IndexFormatError if it is not an index."""
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise IndexFormatError("not a symbol index")
    return int.from_bytes(view[len(MAGIC) : len(MAGIC) + 2], "little")


def read_header(view: memoryview, header: Struct) -> tuple[Any, ...]:
    """The fields of an index's header. Raises IndexFormatError if there is no room for it."""
    if len(view) < header.size + _TRAILER_BYTES:
        raise IndexFormatError("shorter than a header")
    return header.unpack_from(view)


def mapped_parts(
    view: memoryview, header: Struct, types: Sequence[PartType], counts: Sequence[int]
) -> list[memoryview]:
    """The parts behind the header, of a type and a count each, when the file is intact. Raises IndexFormatError."""
    sizes = [_TYPE_BYTES[code] * number for code, number in zip(types, counts, strict=True)]
    *starts, end = accumulate((size + -size % 8 for size in sizes), initial=header.size)
    if end + _TRAILER_BYTES != len(view):
        raise IndexFormatError("its length does not agree with its header")
    if sha256(view[:-_TRAILER_BYTES]).digest() != bytes(view[-_TRAILER_BYTES:]):
        raise IndexFormatError("its checksum does not agree with its content")
    parts = [view[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return [part.cast(code) for part, code in zip(parts, types, strict=True)]


def read_segments(part: memoryview) -> tuple[Segment, ...]:
    """The segments of an index."""
    return tuple(Segment(*fields) for fields in _SEGMENT.iter_unpack(part))


def _in_order(numbers: Sequence[int], copies: InlinedCopies) -> tuple[list[int], InlinedCopies]:
    """`copies` and the numbers of their names, by name and address, which is the order in the file."""
    if not copies.starts and _is_ordered(numbers, copies):
        return list(numbers), copies
    order = list(range(len(numbers)))
    # the last column decides, and keeps equals in order
    for column in (copies.lines, copies.files, copies.addresses, numbers):
        order.sort(key=column.__getitem__)
    place = dict(zip(order, count()))
    place[NO_COPY] = NO_COPY
    return [numbers[at] for at in order], replace(
        copies,
        names=[copies.names[at] for at in order],
        addresses=[copies.addresses[at] for at in order],
        outer=[place[copies.outer[at]] for at in order],
        files=[copies.files[at] for at in order],
        lines=[copies.lines[at] for at in order],
        innermost=[place[one] for one in copies.innermost],
    )


def _is_ordered(numbers: Sequence[int], copies: InlinedCopies) -> bool:
    """Whether copies of which only name and address are known are in that order."""
    places = list(zip(numbers, copies.addresses, strict=True))
    has_more = any(copies.lines) or copies.outer.count(NO_COPY) < len(numbers)
    return not has_more and all(map(le, places, islice(places, 1, None)))


def _packed(code: str, numbers: Iterable[int]) -> memoryview:
    return memoryview(array(code, numbers)).cast("B")  # no copy, for there are megabytes

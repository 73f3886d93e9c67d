"""From an ELF file, and its debug file if it has one, to the content of its symbol index.

Sources of names: .symtab of either file; .gnu_debugdata if neither has one; .dynsym always; Go's .gopclntab wherever
it is, so that a stripped and an unstripped Go program agree. Lines and inlined functions come from whichever file has
DWARF, and inlined functions of Go from its own tree.

Runs only in the reading process (reader.py), because it parses files that strangers chose.
"""

import mmap
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import IndexContent, Segment, SymbolOrigin
from agents.vulnerabilities.file_packages import FilePackages
from app.symbols.code_ranges import FunctionSymbol, disjoint_ranges
from app.symbols.debug_information import DebugReading, Note, read_debug_information
from app.symbols.elf import DebugLink, ElfStructure, read_structure
from app.symbols.file_packages import packages_in
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.function_table import known_symbols, named_functions
from app.symbols.gopclntab import go_table
from app.symbols.inlining import InlineTree, inlined_copies, known_go_tree
from app.symbols.symbol_tables import function_symbols, unpacked_debugdata, with_exports
from app.symbols.unwind_table import function_starts

# The driver of rustc and LLVM, among the largest libraries there are, have 150 to 250 MB; a mapping counts as memory.
MAX_FILE_BYTES: Final = 2**30

# What a debug file does not replace.
_LASTING: Final = SymbolOrigin.DYNSYM | SymbolOrigin.GOPCLNTAB | SymbolOrigin.GO_INLINE_TREE
_ADDRESS: Final = itemgetter(0)
_OF_DWARF: Final = SymbolOrigin.DWARF_LINES | SymbolOrigin.DWARF_INLINES


@dataclass(frozen=True, slots=True)
class Probe:
    """What a first look at a file says: enough to find its debug file and to choose among files of one build id.

    `build_id` is that of a note, or the SHA-256 of the whole file without one; `code_digest` is empty for a file
    without code.
    """

    build_id: str
    code_digest: str
    has_code: bool
    has_symtab: bool
    has_lines: bool
    debuglink: DebugLink | None
    machine: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class _OpenElf:
    stream: BinaryIO
    data: memoryview
    structure: ElfStructure


def probe_file(path: Path) -> Probe:
    """Look at the headers of the file at `path`. Raises FileRefusedError."""
    with _opened(path) as elf:
        return Probe(
            build_id=_identity(elf),
            code_digest=elf.structure.code_digest.hex() if elf.structure.segments else "",
            has_code=bool(elf.structure.segments),
            has_symtab=elf.structure.symtab is not None,
            has_lines=elf.structure.has_dwarf,
            debuglink=elf.structure.debuglink,
            machine=elf.structure.machine,
            segments=elf.structure.segments,
        )


def content_digest(path: Path) -> str:
    """SHA-256 of the file at `path`, in hex. Raises FileRefusedError."""
    with _opened(path) as elf:
        return sha256(elf.data).hexdigest()


def read_packages(path: Path) -> FilePackages:
    """What the file at `path` says of its packages. Raises FileRefusedError."""
    with _opened(path) as elf:
        return packages_in(elf.data, elf.structure)


def build_index(
    path: Path, debug_path: Path | None, *, with_lines: bool, with_dwarf: bool = True, note: Note = lambda _: None
) -> IndexContent:
    """The index content of the program or library at `path`, with names and lines of its debug file.

    `note` is called with what is missing in it. Without `with_dwarf`, debug information is not looked at. Raises
    FileRefusedError; also where `debug_path` is not this file's debug file.
    """
    reading = DebugReading(with_lines, with_dwarf, note)
    with _opened(path) as elf:
        if not elf.structure.segments:
            raise FileRefusedError(FileRefusalReason.NO_CODE)
        structure = elf.structure
        empty = IndexContent(
            build_id=_identity(elf),
            machine=structure.machine,
            elf_type=structure.elf_type,
            origins=SymbolOrigin(0),
            code_digest=structure.code_digest,
            segments=structure.segments,
            unwound=function_starts(elf.data, structure),
        )
        if debug_path is None:
            return _filled(empty, [elf], reading)
        with _opened(debug_path) as debug:
            if not _belong_together(elf, debug):
                raise FileRefusedError(FileRefusalReason.MALFORMED, "the debug file is another file's")
            return _filled(empty, [elf, debug], reading)


def extend_index(
    known: SymbolIndex, debug_path: Path, *, with_lines: bool, note: Note = lambda _: None
) -> IndexContent:
    """The content of an index that exists, with names and lines of a debug file that came later.

    Segments are taken from the index, and those names that the debug file does not have. Raises FileRefusedError.
    """
    with _opened(debug_path) as debug:
        if debug.structure.build_id != known.build_id:
            raise FileRefusedError(FileRefusalReason.MALFORMED, "the debug file is another file's")
        replaced = debug.structure.symtab is not None  # then this table has all names that are not exported
        symbols = known_symbols(known, debug.structure.code, only_exported=replaced)
        empty = IndexContent(
            known.build_id,
            known.machine,
            known.elf_type,
            known.origins & _LASTING if replaced else known.origins & ~_OF_DWARF,
            known.code_digest,
            known.segments,
            unwound=known.parts.unwound,
        )
        # an index without lines has no code of copies, so with lines DWARF has to say what was inlined in Go, too
        is_described_again = with_lines and debug.structure.has_dwarf
        tree = known_go_tree(known, with_copies=not is_described_again)
        reading = DebugReading(with_lines, note=note)
        return _filled(empty, [debug], reading, symbols, tree, with_go=is_described_again)


def _filled(
    empty: IndexContent,
    files: list[_OpenElf],
    reading: DebugReading,
    known: Sequence[FunctionSymbol] = (),
    tree: InlineTree | None = None,
    *,
    with_go: bool = False,
) -> IndexContent:
    """The content with the names and lines of `files`, and with the symbols and the tree that are known already."""
    symbols, origins = _symbols(files, known, empty.origins)
    tree = tree or InlineTree()
    first = files[0]
    if (go := go_table(first.data, first.structure)) is not None:
        from app.symbols.go_functions import go_symbols, with_go_names  # noqa: PLC0415 - numpy, 0.1 s; few are Go's
        from app.symbols.go_inlines import go_inlines  # noqa: PLC0415 - as above

        symbols = with_go_names(symbols, go_symbols(first.data, first.structure, go))
        origins |= SymbolOrigin.GOPCLNTAB
        if go_inlines(first.data, first.structure, go, tree, with_code=reading.with_lines):
            origins |= SymbolOrigin.GO_INLINE_TREE
    symbols.sort(key=_ADDRESS)  # what sorts them again finds them in order
    lines = empty.lines
    if described := [elf for elf in files if elf.structure.has_dwarf]:
        lines, has_copies = read_debug_information(
            described[-1].data,
            described[-1].structure,
            reading,
            tree,
            with_go=with_go or SymbolOrigin.GO_INLINE_TREE not in origins,
        )
        origins |= SymbolOrigin.DWARF_INLINES if has_copies else SymbolOrigin(0)
        origins |= SymbolOrigin.DWARF_LINES if len(lines.addresses) else SymbolOrigin(0)
    has_inlines = origins & (SymbolOrigin.GO_INLINE_TREE | SymbolOrigin.DWARF_INLINES)
    return replace(
        empty,
        origins=origins,
        ranges=disjoint_ranges(symbols, empty.unwound),
        functions=named_functions(symbols),
        lines=lines,
        copies=inlined_copies(tree, lines, symbols, empty.unwound, first.structure) if has_inlines else empty.copies,
    )


def _symbols(
    files: list[_OpenElf], known: Sequence[FunctionSymbol], origins: SymbolOrigin
) -> tuple[list[FunctionSymbol], SymbolOrigin]:
    """The symbols of all tables of `files`, Go's own aside, and where they came from."""
    symbols = list(known)
    for number, elf in enumerate(files):
        symbols += function_symbols(elf.data, elf.structure)
        if elf.structure.dynsym is not None:
            origins |= SymbolOrigin.DYNSYM
        if elf.structure.symtab is not None:
            origins |= SymbolOrigin.DEBUG_FILE if number or not elf.structure.segments else SymbolOrigin.SYMTAB
    if (
        not origins & (SymbolOrigin.SYMTAB | SymbolOrigin.DEBUG_FILE)
        and (packed := files[0].structure.debugdata) is not None
    ):
        symbols += _debugdata_symbols(files[0].data[packed.offset : packed.offset + packed.size])
        origins |= SymbolOrigin.GNU_DEBUGDATA
    return with_exports(symbols), origins


def _debugdata_symbols(packed: memoryview) -> list[FunctionSymbol]:
    unpacked = unpacked_debugdata(packed)
    inner = memoryview(unpacked)
    return function_symbols(inner, read_structure(BytesIO(unpacked), inner))


def _identity(elf: _OpenElf) -> str:
    return elf.structure.build_id or sha256(elf.data).hexdigest()


def _belong_together(elf: _OpenElf, debug: _OpenElf) -> bool:
    """A debug file is this file's by build id; by the link's CRC-32 only if it has no build id."""
    if elf.structure.build_id is not None:
        return elf.structure.build_id == debug.structure.build_id
    link = elf.structure.debuglink
    return link is not None and zlib.crc32(debug.data) == link.crc32


@contextmanager
def _opened(path: Path) -> Iterator[_OpenElf]:
    try:
        # never follows a link out of a container's root, never waits for a writer of a FIFO
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileRefusedError(FileRefusalReason.UNREADABLE, os.strerror(error.errno or 0)) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileRefusedError(FileRefusalReason.NOT_A_FILE)
    with os.fdopen(descriptor, "rb") as stream:
        if status.st_size > MAX_FILE_BYTES:
            raise FileRefusedError(FileRefusalReason.TOO_LARGE, f"{status.st_size} bytes")
        if status.st_size < 4:
            raise FileRefusedError(FileRefusalReason.NOT_ELF)
        # not closed by name: an exception on its way out still holds parts of the mapping
        data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        yield _OpenElf(stream, data, read_structure(stream, data))

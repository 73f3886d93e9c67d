"""The structure of an ELF file: executable segments, code sections, build id, and where its tables are.

pyelftools decodes the headers; this module decides what to believe. A file is hostile until shown otherwise: every
offset and count is checked against the file's size or a limit before it is used.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, Final, Literal

from elftools.common.utils import struct_parse
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from agents.symbols.build_ids import BuildIdKind, is_blank
from agents.symbols.index_format import Segment
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError

# Far more than any linker makes; a header may claim 2^64.
MAX_SECTIONS: Final = 20_000
MAX_SEGMENTS: Final = 256

ByteOrder = Literal["little", "big"]

_LINKED_TYPES: Final = frozenset({2, 3})  # ET_EXEC, ET_DYN
_PF_X: Final = 1
_PF_W: Final = 2
_UPX: Final = b"UPX!"
_UPX_BYTES: Final = 1024
"""UPX puts its mark behind the headers (src/p_unix.h, l_info)."""
_ALLOC_EXEC: Final = 0x2 | 0x4  # SHF_ALLOC, SHF_EXECINSTR
_COMPRESSED: Final = 0x800  # SHF_COMPRESSED
_EM_PPC64: Final = 21
_PPC64_ABI: Final = 3  # EF_PPC64_ABI: 1 and 2; 0 is what tools write that do not know of it
_MAX_SECTION_NAME_BYTES: Final = 256
_NOTE_GNU_BUILD_ID: Final = (b"GNU\0", 3)
_NOTE_GO_BUILD_ID: Final = (b"Go\0\0", 4)
_MAX_DEBUGLINK_BYTES: Final = 1024  # a file name of 255 bytes, its padding and the checksum
_BUILD_ID_BYTES: Final = range(8, 129)


@dataclass(frozen=True, slots=True)
class FileRange:
    """`size` bytes at `offset`, known to lie inside the file; `address` is where they are mapped, 0 if nowhere."""

    offset: int
    size: int
    address: int = 0


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """A symbol table and its strings."""

    entries: FileRange
    strings: FileRange


@dataclass(frozen=True, slots=True)
class SectionRange:
    """Addresses of an executable section; `section` is its number, or None if the file has no section table."""

    section: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DebugSection:
    """A section of DWARF; `name` is that of the uncompressed one (`.debug_line`)."""

    name: str
    part: FileRange
    is_compressed: bool  # begins with an ELF compression header
    is_zdebug: bool  # was called `.zdebug_line`, and begins with "ZLIB"


@dataclass(frozen=True, slots=True)
class DebugLink:
    """Content of .gnu_debuglink: a file name without folder, and the CRC-32 of that file."""

    file_name: str
    crc32: int


@dataclass(frozen=True, slots=True)
class ElfStructure:
    """What an ELF file consists of.

    `segments` is empty in a debug file, which has the code's section headers without the code. `build_id` is the GNU
    build id, else the Go build id, as lower hex of the note's content. `code_digest` is SHA-256 of the executable
    sections, so that stripping does not change it; of the segments if the section table itself was stripped.
    `is_packed`: it changes its code when it runs, as a program does that was compressed. `linkage` are sections of code
    that a linker makes, or puts together from start code.
    """

    is_64: bool
    byte_order: ByteOrder
    machine: int
    elf_type: int
    entry: int
    segments: tuple[Segment, ...]
    code: tuple[SectionRange, ...]
    build_id: str | None
    build_id_kind: BuildIdKind
    is_packed: bool
    code_digest: bytes
    symtab: SymbolTable | None
    dynsym: SymbolTable | None
    debugdata: FileRange | None
    gopclntab: FileRange | None
    relocations: tuple[FileRange, ...]
    debuglink: DebugLink | None
    loaded: tuple[FileRange, ...]
    unwind_header: FileRange | None
    linkage: tuple[SectionRange, ...]
    dwarf: tuple[DebugSection, ...]
    go_build_info: FileRange | None
    audited_crates: FileRange | None

    @property
    def has_dwarf(self) -> bool:
        """Whether there is debug information, and so lines."""
        return {".debug_info", ".debug_line"} <= {section.name for section in self.dwarf}


@dataclass(frozen=True, slots=True)
class _Section:
    number: int
    name: str
    kind: str
    flags: int
    address: int
    size: int
    link: int
    entry_size: int
    part: FileRange | None  # None without content in the file, or if the content would end behind the file


def read_structure(stream: BinaryIO, data: memoryview) -> ElfStructure:
    """The structure of the ELF file open as `stream`, whose content is `data`.

    Raises FileRefusedError if it is not a program or library, or contradicts itself. On malformed headers pyelftools
    raises exceptions of many classes; the caller takes any exception as malformed.
    """
    if bytes(data[:4]) != b"\x7fELF":
        raise FileRefusedError(FileRefusalReason.NOT_ELF)
    elf = ELFFile(stream)
    order: ByteOrder = "little" if elf.little_endian else "big"
    elf_type = int.from_bytes(data[16:18], order)
    if elf_type not in _LINKED_TYPES:
        raise FileRefusedError(FileRefusalReason.NOT_LINKED)
    if _has_descriptors(elf, order):
        raise FileRefusedError(FileRefusalReason.UNSUPPORTED, "64-bit PowerPC, ELF ABI version 1")
    sections = list(_sections(elf, data))
    segments, notes, loaded, unwind_header, is_packed = _segments(elf, data)
    executable = [section for section in sections if section.flags & _ALLOC_EXEC == _ALLOC_EXEC]
    code = tuple(SectionRange(s.number, s.address, s.address + s.size) for s in executable if s.size)
    code_parts = [section.part for section in executable if section.part is not None]
    if not sections:
        code = tuple(SectionRange(None, s.address, s.address + s.size) for s in segments)
        code_parts = [FileRange(s.file_offset, s.size, s.address) for s in segments]
    elif not any(section.part for section in executable if section.size):
        segments = ()
    parts = {section.name: section.part for section in sections}
    notes += [section.part for section in sections if section.kind == "SHT_NOTE" and section.part is not None]
    kind, build_id = _build_id(data, notes, order)
    return ElfStructure(
        is_64=elf.elfclass == 64,
        byte_order=order,
        machine=int.from_bytes(data[18:20], order),
        elf_type=elf_type,
        entry=int(elf["e_entry"]),
        segments=segments,
        code=code,
        build_id=build_id,
        build_id_kind=kind,
        is_packed=is_packed or bytes(data[:_UPX_BYTES]).find(_UPX) > 0,
        code_digest=_code_digest(data, code_parts),
        symtab=_table(sections, "SHT_SYMTAB", is_64=elf.elfclass == 64),
        dynsym=_table(sections, "SHT_DYNSYM", is_64=elf.elfclass == 64) if sections else _dynamic_table(elf, data),
        debugdata=parts.get(".gnu_debugdata"),
        gopclntab=parts.get(".gopclntab") or parts.get(".data.rel.ro.gopclntab"),
        relocations=tuple(s.part for s in sections if s.kind == "SHT_RELA" and s.part is not None),
        debuglink=_debuglink(data, parts.get(".gnu_debuglink"), order),
        loaded=tuple(loaded),
        unwind_header=unwind_header,
        linkage=tuple(
            SectionRange(section.number, section.address, section.address + section.size)
            for section in executable
            if section.name in {".init", ".fini"} or section.name.startswith((".plt", ".iplt"))
        ),
        dwarf=tuple(
            DebugSection(
                name=section.name.replace(".zdebug_", ".debug_", 1),
                part=section.part,
                is_compressed=bool(section.flags & _COMPRESSED),
                is_zdebug=section.name.startswith(".zdebug_"),
            )
            for section in sections
            if section.part is not None and section.name.startswith((".debug_", ".zdebug_"))
        ),
        go_build_info=parts.get(".go.buildinfo"),
        audited_crates=parts.get(".dep-v0"),
    )


def _has_descriptors(elf: ELFFile, order: ByteOrder) -> bool:
    """Whether function symbols stand for descriptors in .opd, so that code has hardly any names of its own."""
    if elf["e_machine"] not in {"EM_PPC64", _EM_PPC64}:
        return False
    abi = elf["e_flags"] & _PPC64_ABI
    return abi == 1 or (abi == 0 and order == "big")


def _part(data: memoryview, offset: int, size: int, address: int = 0) -> FileRange | None:
    return FileRange(offset, size, address) if offset + size <= len(data) else None


def _sections(elf: ELFFile, data: memoryview) -> Iterator[_Section]:
    count = elf.num_sections()
    if count > MAX_SECTIONS:
        raise FileRefusedError(FileRefusalReason.OVER_LIMIT, f"{count} sections")
    headers = [
        struct_parse(elf.structs.Elf_Shdr, elf.stream, stream_pos=elf["e_shoff"] + number * elf["e_shentsize"])
        for number in range(count)
    ]
    names_number = elf.get_shstrndx() if headers else 0
    names = b""
    if 0 < names_number < count:
        strings = headers[names_number]
        names = bytes(data[strings["sh_offset"] : strings["sh_offset"] + strings["sh_size"]])
    for number, header in enumerate(headers):
        kind = str(header["sh_type"])
        start = header["sh_name"]
        end = names.find(b"\0", start, start + _MAX_SECTION_NAME_BYTES)
        yield _Section(
            number=number,
            name=names[start : max(start, end)].decode("utf-8", "replace"),  # none, if it has no end
            kind=kind,
            flags=header["sh_flags"],
            address=header["sh_addr"],
            size=header["sh_size"],
            link=header["sh_link"],
            entry_size=header["sh_entsize"],
            part=None
            if kind in {"SHT_NOBITS", "SHT_NULL"}
            else _part(data, header["sh_offset"], header["sh_size"], header["sh_addr"]),
        )


def _segments(
    elf: ELFFile, data: memoryview
) -> tuple[tuple[Segment, ...], list[FileRange], list[FileRange], FileRange | None, bool]:
    """Executable segments with content, in order of file offset, PT_NOTE and PT_LOAD segments, and .eh_frame_hdr.

    Last, whether a segment of code can be written to, or is larger in memory: then code comes when the file runs.
    """
    count = elf.num_segments()
    if count > MAX_SEGMENTS:
        raise FileRefusedError(FileRefusalReason.OVER_LIMIT, f"{count} segments")
    code: list[Segment] = []
    notes: list[FileRange] = []
    loaded: list[FileRange] = []
    unwind_header: FileRange | None = None
    is_packed = False
    for number in range(count):
        header = struct_parse(elf.structs.Elf_Phdr, elf.stream, stream_pos=elf["e_phoff"] + number * elf["e_phentsize"])
        part = _part(data, header["p_offset"], header["p_filesz"], header["p_vaddr"])
        if header["p_type"] == "PT_NOTE" and part is not None:
            notes.append(part)
        elif header["p_type"] == "PT_GNU_EH_FRAME":
            unwind_header = part
        if header["p_type"] == "PT_LOAD" and part is not None:
            loaded.append(part)
        if header["p_type"] == "PT_LOAD" and header["p_flags"] & _PF_X and header["p_filesz"]:
            if part is None:
                raise FileRefusedError(FileRefusalReason.MALFORMED, "a segment of code lies beyond the end of the file")
            code.append(Segment(part.offset, part.size, part.address))
            is_packed |= bool(header["p_flags"] & _PF_W) or header["p_memsz"] > header["p_filesz"]
    in_order = tuple(sorted(code, key=lambda s: (s.file_offset, s.size, s.address)))
    return in_order, notes, loaded, unwind_header, is_packed


def _table(sections: list[_Section], kind: str, *, is_64: bool) -> SymbolTable | None:
    for section in sections:
        if section.kind != kind:
            continue
        strings = sections[section.link] if 0 < section.link < len(sections) else None
        if section.part is None or strings is None or strings.part is None:
            raise FileRefusedError(
                FileRefusalReason.MALFORMED, "a symbol table lies beyond the end of the file, or has no strings"
            )
        if section.entry_size != (24 if is_64 else 16):
            raise FileRefusedError(FileRefusalReason.MALFORMED, "a symbol table with entries of a wrong size")
        return SymbolTable(section.part, strings.part)
    return None


def _dynamic_table(elf: ELFFile, data: memoryview) -> SymbolTable | None:
    """Find .dynsym through PT_DYNAMIC, for a file that was stripped of its section table."""
    for segment in elf.iter_segments():
        if not isinstance(segment, DynamicSegment):
            continue
        _, entries_offset = segment.get_table_offset("DT_SYMTAB")
        _, strings_offset = segment.get_table_offset("DT_STRTAB")
        strings_size = next((tag["d_val"] for tag in segment.iter_tags("DT_STRSZ")), 0)
        if entries_offset is None or strings_offset is None:
            return None
        entries = _part(data, entries_offset, segment.num_symbols() * (24 if elf.elfclass == 64 else 16))
        strings = _part(data, strings_offset, strings_size)
        if entries is None or strings is None:
            raise FileRefusedError(FileRefusalReason.MALFORMED, "the dynamic symbols lie beyond the end of the file")
        return SymbolTable(entries, strings)
    return None


def _build_id(data: memoryview, notes: Iterable[FileRange], order: ByteOrder) -> tuple[BuildIdKind, str | None]:
    found: dict[tuple[bytes, int], str] = {}
    for part in notes:
        for key, content in _notes(data[part.offset : part.offset + part.size], order):
            if len(content) in _BUILD_ID_BYTES and not is_blank(content):
                found.setdefault(key, content.hex())
    for note, kind in ((_NOTE_GNU_BUILD_ID, BuildIdKind.GNU), (_NOTE_GO_BUILD_ID, BuildIdKind.GO)):
        if note in found:
            return kind, found[note]
    return BuildIdKind.CONTENT, None


def _notes(part: memoryview, order: ByteOrder) -> Iterator[tuple[tuple[bytes, int], bytes]]:
    """((name, type), content) of every note; gABI "Note Section", padded to 4 bytes as all build id notes are."""
    at = 0
    while at + 12 <= len(part):
        name_size, content_size, kind = (int.from_bytes(part[at + i : at + i + 4], order) for i in (0, 4, 8))
        name_at = at + 12
        content_at = name_at + (name_size + 3 & ~3)
        yield (
            (bytes(part[name_at : name_at + name_size]), kind),
            bytes(part[content_at : content_at + content_size]),
        )
        at = content_at + (content_size + 3 & ~3)


def _code_digest(data: memoryview, parts: Iterable[FileRange]) -> bytes:
    digest = sha256()
    for part in sorted(parts, key=lambda p: (p.address, p.offset, p.size)):
        digest.update(b"%d:%d:" % (part.address, part.size))
        digest.update(data[part.offset : part.offset + part.size])
    return digest.digest()


def _debuglink(data: memoryview, part: FileRange | None, order: ByteOrder) -> DebugLink | None:
    """.gnu_debuglink: a name ended by NUL, padded to 4 bytes, then the CRC-32 of the file it names."""
    if part is None or not 8 <= part.size <= _MAX_DEBUGLINK_BYTES:
        return None
    content = bytes(data[part.offset : part.offset + part.size])
    name = content[: content.find(b"\0")]
    crc = content[(len(name) + 1 + 3) & ~3 :][:4]
    if not name or b"/" in name or name in {b".", b".."} or len(crc) != 4:
        return None
    return DebugLink(name.decode("utf-8", "surrogateescape"), int.from_bytes(crc, order))

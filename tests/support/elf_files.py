"""ELF files made byte by byte, for what no compiler on the machine makes: other byte orders, odd segments, lies."""

from dataclasses import dataclass, field
from struct import Struct
from typing import Final

STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_GNU_IFUNC = 0, 1, 2, 3, 10
LOCAL, GLOBAL, WEAK = 0, 1, 2
EM_386, EM_ARM, EM_X86_64, EM_AARCH64 = 3, 40, 62, 183

_PT_LOAD, _PT_NOTE = 1, 4
_SHT_PROGBITS, _SHT_SYMTAB, _SHT_STRTAB, _SHT_NOTE, _SHT_DYNSYM = 1, 2, 3, 7, 11
_TEXT: Final = 1
"""Number of the section .text."""


@dataclass(frozen=True)
class ElfSymbol:
    """A symbol in .text; `value` is its address."""

    name: str
    value: int
    size: int
    kind: int = STT_FUNC
    binding: int = GLOBAL
    section: int = _TEXT


@dataclass(frozen=True)
class ElfSegment:
    """A PT_LOAD segment; 5 is read and execute."""

    offset: int
    size: int
    address: int
    flags: int = 5


@dataclass(frozen=True)
class ElfFile:
    """An ELF file with code at `text_offset`, mapped to `text_address`."""

    symtab: tuple[ElfSymbol, ...] = ()
    dynsym: tuple[ElfSymbol, ...] = ()
    is_64: bool = True
    order: str = "<"
    machine: int = EM_X86_64
    elf_type: int = 3
    text_offset: int = 0x1000
    text_address: int = 0x1000
    text_size: int = 0x1000
    segments: tuple[ElfSegment, ...] = ()
    build_id: bytes = bytes(range(20))
    extra: tuple[tuple[str, bytes], ...] = ()
    with_sections: bool = True
    entry_size: int | None = None
    text: bytes = field(default=b"")

    def encode(self) -> bytes:
        """The file's bytes."""
        return _Writer(self).encode()


class _Writer:
    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self._body = bytearray()
        self._sections: list[tuple[str, int, int, int, int, int, int, int]] = []

    def encode(self) -> bytes:
        elf = self._elf
        header_size = 64 if elf.is_64 else 52
        program_size = 56 if elf.is_64 else 32
        segments = elf.segments or (ElfSegment(elf.text_offset, elf.text_size, elf.text_address),)
        note = self._note(elf.build_id) if elf.build_id else b""
        programs = len(segments) + bool(note)
        self._body = bytearray(header_size + program_size * programs)
        note_at = len(self._body)
        self._body += note
        assert len(self._body) <= elf.text_offset
        self._body += bytes(elf.text_offset - len(self._body))
        self._body += (elf.text or b"\x90" * elf.text_size)[: elf.text_size].ljust(elf.text_size, b"\x90")
        self._sections = [
            ("", 0, 0, 0, 0, 0, 0, 0),
            (".text", _SHT_PROGBITS, 6, elf.text_address, elf.text_offset, elf.text_size, 0, 0),
        ]
        if note:
            self._sections.append((".note.gnu.build-id", _SHT_NOTE, 2, note_at, note_at, len(note), 0, 0))
        self._table(".symtab", ".strtab", _SHT_SYMTAB, elf.symtab)
        self._table(".dynsym", ".dynstr", _SHT_DYNSYM, elf.dynsym)
        for name, content in elf.extra:
            self._section(name, _SHT_PROGBITS, content)
        section_table, section_count, names_at = self._section_table() if elf.with_sections else (0, 0, 0)
        self._body[:header_size] = self._header(programs, section_table, section_count, names_at)
        at = header_size
        loads = [(_PT_LOAD, s.flags, s.offset, s.address, s.size) for s in segments]
        notes = [(_PT_NOTE, 4, note_at, note_at, len(note))] if note else []
        for kind, flags, offset, address, size in [*loads, *notes]:
            self._body[at : at + program_size] = self._program(kind, flags, offset, address, size)
            at += program_size
        return bytes(self._body)

    def _note(self, build_id: bytes) -> bytes:
        return (
            Struct(self._elf.order + "III").pack(4, len(build_id), 3) + b"GNU\0" + build_id + bytes(-len(build_id) % 4)
        )

    def _section(self, name: str, kind: int, content: bytes, link: int = 0, entry_size: int = 0) -> None:
        self._body += bytes(-len(self._body) % 8)
        self._sections.append((name, kind, 0, 0, len(self._body), len(content), link, entry_size))
        self._body += content

    def _table(self, name: str, strings_name: str, kind: int, symbols: tuple[ElfSymbol, ...]) -> None:
        if not symbols:
            return
        strings = bytearray(b"\0")
        entry = Struct(self._elf.order + ("IBBHQQ" if self._elf.is_64 else "IIIBBH"))
        content = bytearray(entry.size)
        for symbol in symbols:
            info = symbol.binding << 4 | symbol.kind
            if self._elf.is_64:
                content += entry.pack(len(strings), info, 0, symbol.section, symbol.value, symbol.size)
            else:
                content += entry.pack(len(strings), symbol.value, symbol.size, info, 0, symbol.section)
            strings += symbol.name.encode("utf-8", "surrogateescape") + b"\0"
        size = entry.size if self._elf.entry_size is None else self._elf.entry_size
        self._section(name, kind, bytes(content), link=len(self._sections) + 1, entry_size=size)
        self._section(strings_name, _SHT_STRTAB, bytes(strings))

    def _section_table(self) -> tuple[int, int, int]:
        names_number = len(self._sections)
        names = bytearray()
        offsets = []
        for name in [*(section[0] for section in self._sections), ".shstrtab"]:
            offsets.append(len(names))
            names += name.encode() + b"\0"
        self._section(".shstrtab", _SHT_STRTAB, bytes(names))
        self._body += bytes(-len(self._body) % 8)
        at = len(self._body)
        form = Struct(self._elf.order + ("IIQQQQIIQQ" if self._elf.is_64 else "IIIIIIIIII"))
        for name_at, (_, kind, flags, address, offset, size, link, entry_size) in zip(
            offsets, self._sections, strict=True
        ):
            self._body += form.pack(name_at, kind, flags, address, offset, size, link, 0, 1, entry_size)
        return at, len(self._sections), names_number

    def _header(self, programs: int, section_table: int, section_count: int, names_at: int) -> bytes:
        elf = self._elf
        ident = b"\x7fELF" + bytes((2 if elf.is_64 else 1, 1 if elf.order == "<" else 2, 1)) + bytes(9)
        word = "Q" if elf.is_64 else "I"
        header_size, program_size, section_size = (64, 56, 64) if elf.is_64 else (52, 32, 40)
        form = Struct(f"{elf.order}16sHHI{word}{word}{word}IHHHHHH")
        return form.pack(
            ident, elf.elf_type, elf.machine, 1, elf.text_address, header_size, section_table, 0,
            header_size, program_size, programs, section_size, section_count, names_at,
        )  # fmt: skip

    def _program(self, kind: int, flags: int, offset: int, address: int, size: int) -> bytes:
        if self._elf.is_64:
            form = Struct(self._elf.order + "IIQQQQQQ")
            return form.pack(kind, flags, offset, address, address, size, size, 0x1000)
        form = Struct(self._elf.order + "IIIIIIII")
        return form.pack(kind, offset, address, address, size, size, flags, 0x1000)

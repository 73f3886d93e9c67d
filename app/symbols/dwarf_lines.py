"""Line tables from DWARF 2 to 5: which source line an instruction came from.

pyelftools decodes units, headers and strings; the line programs themselves are run here, because pyelftools keeps an
object of every row and needs 630 MiB for a library like libpython. A row belongs to the innermost inlined function, so
its file and line do too.

A later row at one address replaces an earlier one. The linker discarded sequences that begin in no section of code, so
they are left out: it leaves them at address 0, where a segment may begin, but no section does. Of two sequences that
overlap, the first in address order stays.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

from elftools.dwarf.structs import DWARFStructs

from agents.symbols.index_format import LineRows
from app.symbols.dwarf_sections import dwarf_info
from app.symbols.dwarf_units import sleb, uleb
from app.symbols.elf import ByteOrder, ElfStructure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.source_paths import public_source

# libLLVM has some 10 million rows; the limit on memory stands behind this one.
MAX_ROWS: Final = 32_000_000

# Number of DW_LNS_const_add_pc; the other opcodes are written in `_standard` and `_extended`.
_CONST_ADD_PC: Final = 8


@dataclass(slots=True)
class _Sequence:
    """Rows of one contiguous run of instructions; the last ends it, with line 0."""

    addresses: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, address: int, file: int, line: int) -> None:
        """Append a row, unless file and line stay the same; a second row at one address replaces the first."""
        if self.addresses and self.addresses[-1] == address:
            self.files[-1], self.lines[-1] = file, line
        elif not self.addresses or self.lines[-1] != line or self.files[-1] != file:
            self.addresses.append(address)
            self.files.append(file)
            self.lines.append(line)


@dataclass(frozen=True, slots=True)
class LineTable:
    """The sequences of a file, and for each unit, by offset, the number of its files among `names`."""

    sequences: list[_Sequence]
    names: dict[str, int]
    file_numbers: dict[int, Callable[[int], int]]

    def rows(self) -> LineRows:
        """The whole table. Complete when every file that is needed has its number."""
        return _flattened(self.sequences, self.names)


def read_lines(sections: dict[str, memoryview], structure: ElfStructure) -> LineTable:
    """The line table in the DWARF `sections` of a file.

    Raises FileRefusedError beyond a limit, and what pyelftools raises on malformed DWARF.
    """
    dwarf: Any = dwarf_info(sections, structure)
    program_bytes = sections["debug_line"]
    names: dict[str, int] = {}
    numbers: dict[int, Callable[[int], int]] = {}
    sequences: list[_Sequence] = []
    rows = 0
    read: dict[int, Callable[[int], int]] = {}
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(_in_format_of_its_lines(unit, program_bytes))
        if program is None:
            continue
        start = program.program_start_offset
        if start in read:  # partial units share one program
            numbers[unit.cu_offset] = read[start]
            continue
        number_of = _file_numbers(program.header, _compilation_dir(unit), names)
        read[start] = numbers[unit.cu_offset] = number_of
        content = bytes(program_bytes[start : program.program_end_offset])
        for sequence in _LineProgram(content, program.header, structure.byte_order, number_of).sequences():
            if any(s.start <= sequence.addresses[0] < s.end for s in structure.code):
                rows += len(sequence.addresses)
                sequences.append(sequence)
        if rows > MAX_ROWS:
            raise FileRefusedError(FileRefusalReason.OVER_LIMIT, "line rows")
    return LineTable(sequences, names, numbers)


def _in_format_of_its_lines(unit: Any, lines: memoryview) -> Any:
    """A unit as pyelftools has to see it for its line table, which the assembler may write in the other DWARF format.

    GCC writes 64-bit units (`-gdwarf64`) beside the 32-bit line tables of the GNU assembler.
    """
    attribute = unit.get_top_DIE().attributes.get("DW_AT_stmt_list")
    if attribute is None:
        return unit
    first_word = bytes(lines[attribute.value : attribute.value + 4])
    wanted = 64 if first_word == b"\xff\xff\xff\xff" else 32
    known = unit.structs
    if known.dwarf_format == wanted:
        return unit
    structs = DWARFStructs(known.little_endian, wanted, known.address_size, known.dwarf_version)
    return SimpleNamespace(get_top_DIE=unit.get_top_DIE, structs=structs)


def _compilation_dir(unit: Any) -> str:
    attribute = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    value = b"" if attribute is None else attribute.value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _file_numbers(header: Any, compilation_dir: str, names: dict[str, int]) -> Callable[[int], int]:
    """From a file number of this line program to our own number of its public name."""
    entries = list(header["file_entry"])
    directories = [_text(directory) for directory in header["include_directory"]]
    first = 0 if header["version"] >= 5 else 1  # version 5 counts files and directories from 0
    known: dict[int, int] = {}

    def number_of(file: int) -> int:
        if file not in known:
            name = ""
            if 0 <= file - first < len(entries):
                entry = entries[file - first]
                at = (entry["dir_index"] or 0) - first
                directory = directories[at] if 0 <= at < len(directories) else ""
                name = public_source(compilation_dir, directory, _text(entry["name"]))
            known[file] = names.setdefault(name, len(names))
        return known[file]

    return number_of


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""


class _LineProgram:
    """A line number program and its registers (DWARF 5 section 6.2)."""

    __slots__ = ("_address", "_at", "_byteorder", "_content", "_file", "_header", "_line", "_number_of", "_sequence")

    def __init__(self, content: bytes, header: Any, byteorder: ByteOrder, number_of: Callable[[int], int]) -> None:
        self._content = content
        self._header = header
        self._byteorder = byteorder
        self._number_of = number_of
        self._at = 0
        self._reset()

    def sequences(self) -> Iterator[_Sequence]:
        """Run the program; yields every sequence that it ends."""
        step: int = self._header["minimum_instruction_length"]
        line_base: int = self._header["line_base"]
        line_range: int = self._header["line_range"]
        opcode_base: int = self._header["opcode_base"]
        while self._at < len(self._content):
            opcode = self._content[self._at]
            self._at += 1
            if opcode >= opcode_base:
                adjusted = opcode - opcode_base
                self._address += adjusted // line_range * step
                self._line += line_base + adjusted % line_range
                self._sequence.add(self._address, self._number_of(self._file), self._line)
            elif opcode == _CONST_ADD_PC:
                self._address += (255 - opcode_base) // line_range * step
            elif opcode:
                self._standard(opcode, step)
            elif (ended := self._extended()) is not None:
                yield ended

    def _reset(self) -> None:
        self._sequence = _Sequence()
        self._address, self._file, self._line = 0, 1, 1

    def _standard(self, opcode: int, step: int) -> None:
        match opcode:
            case 1:  # DW_LNS_copy
                self._sequence.add(self._address, self._number_of(self._file), self._line)
            case 2:  # DW_LNS_advance_pc
                advance, self._at = uleb(self._content, self._at)
                self._address += advance * step
            case 3:  # DW_LNS_advance_line
                advance, self._at = sleb(self._content, self._at)
                self._line += advance
            case 4:  # DW_LNS_set_file
                self._file, self._at = uleb(self._content, self._at)
            case 9:  # DW_LNS_fixed_advance_pc
                self._address += self._fixed(2)
                self._at += 2
            case _:
                for _ in range(self._header["standard_opcode_lengths"][opcode - 1]):
                    _, self._at = uleb(self._content, self._at)

    def _extended(self) -> _Sequence | None:
        length, at = uleb(self._content, self._at)
        behind = at + length
        kind = self._content[at]
        self._at = at + 1
        ended = None
        if kind == 1:  # DW_LNE_end_sequence
            self._sequence.add(self._address, 0, 0)
            ended = self._sequence
            self._reset()
        elif kind == 2:  # DW_LNE_set_address
            self._address = self._fixed(behind - self._at)
        self._at = behind
        return ended

    def _fixed(self, size: int) -> int:
        return int.from_bytes(self._content[self._at : self._at + size], self._byteorder)


def _flattened(sequences: list[_Sequence], names: dict[str, int]) -> LineRows:
    addresses, files, numbers = array("Q"), array("I"), array("I")
    behind = -1
    for sequence in sorted(sequences, key=lambda s: (s.addresses[0], s.addresses[-1], s.lines)):
        first, last = sequence.addresses[0], sequence.addresses[-1]
        if first < behind or sequence.addresses != sorted(sequence.addresses) or last > 2**64 - 1:
            continue
        if first == behind:  # the end of the sequence before
            for column in (addresses, files, numbers):
                column.pop()
        addresses.extend(sequence.addresses)
        files.extend(sequence.files)
        numbers.extend(line if 0 < line <= 2**31 - 1 else 0 for line in sequence.lines)
        behind = last
    return LineRows(addresses, files, numbers, list(names))

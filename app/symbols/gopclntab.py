"""Go's own function table, .gopclntab, which stays when a Go program is stripped of its symbols.

Layout of Go 1.18 and newer (cmd/link/internal/ld/pcln.go, runtime/symtab.go): a header with the offsets of its parts; a
sorted table of (entry, function) pairs that count from the start of the text; per function a record with the offset of
its name. Older layouts have other magic numbers and are left alone.

The start of the text is not in the table since Go 1.26, and a relocation before that in position-independent programs.
It is taken from where it can be proved: runtime.firstmoduledata, whose lowest and highest pc must agree with the table,
or the entry point, which must be the function `_rt0_*`.

Names have `[...]` for type arguments, as the runtime prints them, so the instances of a generic function share a name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import Final

from agents.symbols.kernel_symbols import canonical_symbol
from app.symbols.code_ranges import FunctionSymbol
from app.symbols.elf import ElfStructure, FileRange
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.symbol_tables import MAX_NAME_BYTES, MAX_SYMBOLS

_MAGICS: Final = frozenset({0xFFFFFFF0, 0xFFFFFFF1})  # Go 1.18, Go 1.20

# Words of runtime.moduledata: pcHeader is the first; six slices and findfunctab stand before minpc, maxpc, text.
_MODULE_MINPC: Final = 20
_MODULE_MAXPC: Final = 21
_MODULE_TEXT: Final = 22

# What the linker fills the space between functions with (cmd/link: CodePad): int3 on x86, else zeros.
_PADDING: Final = {3: b"\xcc", 62: b"\xcc"}


@dataclass(frozen=True, slots=True)
class _Table:
    """The function table: entries count from the start of the text, `end` is where the last function's space ends."""

    functions: list[tuple[int, str]]
    end: int
    text_start: int | None  # as the header says; None if it does not say


def go_symbols(data: memoryview, structure: ElfStructure) -> list[FunctionSymbol]:
    """The functions of a Go program; an empty list if it is not a Go program, is too old, or its text cannot be found.

    Raises FileRefusedError if the table contradicts itself.
    """
    part = structure.gopclntab
    if part is None or not part.address or (table := _read_table(data, part, structure)) is None or not table.functions:
        return []
    text_start = _text_start(data, part, structure, table)
    if text_start is None:
        return []
    ends = [entry for entry, _ in table.functions[1:]] + [table.end]
    return [
        symbol
        for (entry, name), end in zip(table.functions, ends, strict=True)
        if (symbol := _symbol(data, structure, text_start + entry, text_start + end, name)) is not None
    ]


def _read_table(data: memoryview, part: FileRange, structure: ElfStructure) -> _Table | None:
    content = bytes(data[part.offset : part.offset + part.size])
    order = structure.byte_order
    word = 8 if structure.is_64 else 4
    if len(content) < 8 + 8 * word or int.from_bytes(content[:4], order) not in _MAGICS or content[7] != word:
        return None
    numbers = [int.from_bytes(content[8 + i * word : 8 + (i + 1) * word], order) for i in range(8)]
    count, _, text_start, names_at, _, _, _, functions_at = numbers
    if count > MAX_SYMBOLS:
        raise FileRefusedError(FileRefusalReason.OVER_LIMIT, f"{count} Go functions")
    pairs = Struct(("<" if order == "little" else ">") + "II")
    table_end = functions_at + count * pairs.size
    if table_end + 4 > len(content) or names_at > len(content):
        raise FileRefusedError(FileRefusalReason.MALFORMED, ".gopclntab ends before its parts")
    functions: list[tuple[int, str]] = []
    for entry, record in pairs.iter_unpack(content[functions_at:table_end]):
        name_field = functions_at + record + 4
        name_at = names_at + int.from_bytes(content[name_field : name_field + 4], order)
        name_end = content.find(b"\0", name_at, name_at + MAX_NAME_BYTES)
        name = content[name_at : max(name_end, name_at)].decode("utf-8", "backslashreplace")
        functions.append((entry, name.replace("·", ".")))  # as the linker writes it into .symtab
    if any(before[0] > after[0] for before, after in pairwise(functions)):
        raise FileRefusedError(FileRefusalReason.MALFORMED, ".gopclntab is not sorted")
    return _Table(functions, int.from_bytes(content[table_end : table_end + 4], order), text_start or None)


def _symbol(data: memoryview, structure: ElfStructure, start: int, end: int, name: str) -> FunctionSymbol | None:
    """A function without the padding behind it, which the table does not tell from code."""
    for segment in structure.segments:
        if segment.address <= start < end <= segment.address + segment.size:
            at = start - segment.address + segment.file_offset
            code = bytes(data[at : at + end - start]).rstrip(_PADDING.get(structure.machine, b"\0"))
            size = min(-(-len(code) // 4) * 4, end - start) if structure.machine not in _PADDING else len(code)
            if not size or not name:
                return None
            return FunctionSymbol(start, size, canonical_symbol(name), 0, is_exported=True, in_symtab=True, limit=end)
    return None


def _text_start(data: memoryview, part: FileRange, structure: ElfStructure, table: _Table) -> int | None:
    lowest, highest = table.functions[0][0], table.end
    for minpc, maxpc, text in _module_texts(data, part.address, structure):
        if (minpc, maxpc) == (text + lowest, text + highest):
            return text
    for entry, name in table.functions:
        if name.startswith("_rt0_") and structure.entry >= entry:
            start = structure.entry - entry
            if any(s.address <= start + lowest and start + highest <= s.address + s.size for s in structure.segments):
                return start
    return table.text_start


def _module_texts(data: memoryview, table_address: int, structure: ElfStructure) -> Iterator[tuple[int, int, int]]:
    """(minpc, maxpc, text) of everything that may be a moduledata: its first word is the address of the table."""
    word = 8 if structure.is_64 else 4
    order = structure.byte_order
    wanted = (_MODULE_MINPC, _MODULE_MAXPC, _MODULE_TEXT)
    for match in re.finditer(re.escape(table_address.to_bytes(word, order)), data):
        fields = [data[at : at + word] for at in (match.start() + field * word for field in wanted)]
        minpc, maxpc, text = (int.from_bytes(field, order) for field in fields)
        yield minpc, maxpc, text
    if not structure.is_64:  # 32-bit x86 and ARM relocate in place
        return
    relocation = Struct(("<" if order == "little" else ">") + "QQq")
    addends: dict[int, int] = {}
    for part in structure.relocations:
        size = part.size - part.size % relocation.size
        addends |= {at: to for at, _, to in relocation.iter_unpack(data[part.offset : part.offset + size])}
    for module in sorted(at for at, to in addends.items() if to == table_address):
        minpc, maxpc, text = (addends.get(module + field * word, 0) for field in wanted)
        yield minpc, maxpc, text

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, count
from operator import add, lt
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Final

from agents.symbols.kernel_symbols import canonical_symbol, may_be_decorated
from app.symbols.elf import ByteOrder, ElfStructure, FileRange
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.symbol_tables import MAX_NAME_BYTES, MAX_SYMBOLS

GO_1_18: Final = 0xFFFFFFF0
GO_1_20: Final = 0xFFFFFFF1

# Words of runtime.moduledata: pcHeader is the first; six slices and findfunctab stand before minpc, maxpc, text. Go
# 1.20 put the two of coverage counters before gofunc.
_MODULE_MINPC: Final = 20
_MODULE_MAXPC: Final = 21
_MODULE_TEXT: Final = 22
_MODULE_GOFUNC: Final = {GO_1_18: 38, GO_1_20: 40}


@dataclass(frozen=True, slots=True)
class GoTable:
    """The function table. Entries and ends count from the start of the text.

    `records` says where in `content` each function has its record, `pcs_at` and `names_at` where tables of pcs and of
    names begin. `gofunc` is the address from which other data of functions counts, None if it is not known.
    """

    content: bytes
    order: ByteOrder
    magic: int
    pc_unit: int
    functions: list[tuple[int, int, str]]
    records: list[int]
    names: "_Names"
    pcs_at: int
    text_start: int
    gofunc: int | None


class _Names(dict[int, str]):
    """Names by offset, canonical and as the linker writes them into .symtab, each read once: functions are inlined."""

    def __init__(self, content: bytes, names_at: int, names_end: int) -> None:
        super().__init__()
        self._content = content
        self._names_at = names_at
        if not 0 < content.count(b"\0", names_at, names_end) <= MAX_SYMBOLS:
            return
        last = content.rindex(b"\0", names_at, names_end)
        sizes = list(map(len, content[names_at:last].split(b"\0")))
        if max(sizes) < MAX_NAME_BYTES:  # as those of real programs are: then they are decoded at once
            offsets = map(add, accumulate(sizes, initial=0), count())
            self.update(zip(offsets, _names(content[names_at:last]), strict=False))

    def __missing__(self, offset: int) -> str:
        at = self._names_at + offset
        end = self._content.find(b"\0", at, at + MAX_NAME_BYTES)
        (name,) = _names(self._content[at : max(end, at)])
        self[offset] = name
        return name


def _names(content: bytes) -> Iterable[str]:
    """Names that zeros part, as the linker writes them into .symtab, and canonical."""
    text = content.decode("utf-8", "backslashreplace").replace("·", ".")
    names = text.split("\0")
    return map(canonical_symbol, names) if may_be_decorated(text) else names


def go_table(data: memoryview, structure: ElfStructure) -> GoTable | None:
    """The function table of a Go program; None if it is not a Go program, is too old, or its text cannot be found.

    Raises FileRefusedError if the table contradicts itself.
    """
    part = structure.gopclntab
    if part is None or not part.address:
        return None
    content = bytes(data[part.offset : part.offset + part.size])
    order = structure.byte_order
    word = 8 if structure.is_64 else 4
    magic = int.from_bytes(content[:4], order)
    if len(content) < 8 + 8 * word or magic not in _MODULE_GOFUNC or content[7] != word:
        return None
    numbers = [int.from_bytes(content[8 + i * word : 8 + (i + 1) * word], order) for i in range(8)]
    count, _, text_start, names_at, files_at, _, pcs_at, functions_at = numbers
    if count > MAX_SYMBOLS:
        raise FileRefusedError(FileRefusalReason.OVER_LIMIT, f"{count} Go functions")
    pairs = Struct(("<" if order == "little" else ">") + "II")
    table_end = functions_at + count * pairs.size
    if table_end + 4 > len(content) or names_at > len(content):
        raise FileRefusedError(FileRefusalReason.MALFORMED, ".gopclntab ends before its parts")
    if not count:
        return None
    entries, distances = zip(*pairs.iter_unpack(content[functions_at:table_end]), strict=True)
    records = [functions_at + distance for distance in distances]
    ends = [*entries[1:], int.from_bytes(content[table_end : table_end + 4], order)]
    if any(map(lt, ends, entries)):
        raise FileRefusedError(FileRefusalReason.MALFORMED, ".gopclntab is not sorted")
    names = _Names(content, names_at, files_at)
    name_at = Struct(pairs.format[:1] + "4xI").unpack_from
    try:
        texts = [names[offset] for record in records for offset in name_at(content, record)]
    except StructError as error:
        raise FileRefusedError(FileRefusalReason.MALFORMED, ".gopclntab ends before its functions") from error
    functions = list(zip(entries, ends, texts, strict=True))
    found = _text_start(data, part, structure, functions, _MODULE_GOFUNC[magic])
    if found is None and not text_start:
        return None
    start, gofunc = found or (text_start, None)
    return GoTable(content, order, magic, content[6], functions, records, names, pcs_at, start, gofunc)


def _text_start(
    data: memoryview, part: FileRange, structure: ElfStructure, functions: list[tuple[int, int, str]], gofunc_field: int
) -> tuple[int, int | None] | None:
    """The start of the text, and `gofunc` if moduledata was found."""
    lowest, highest = functions[0][0], functions[-1][1]
    for minpc, maxpc, text, gofunc in _modules(data, part.address, structure, gofunc_field):
        if (minpc, maxpc) == (text + lowest, text + highest):
            return text, gofunc
    for entry, _, name in functions:
        if name.startswith("_rt0_") and structure.entry >= entry:
            start = structure.entry - entry
            if any(s.address <= start + lowest and start + highest <= s.address + s.size for s in structure.segments):
                return start, None
    return None


def _modules(
    data: memoryview, table_address: int, structure: ElfStructure, gofunc_field: int
) -> Iterator[tuple[int, ...]]:
    """(minpc, maxpc, text, gofunc) of everything that may be a moduledata: its first word is the table's address."""
    word = 8 if structure.is_64 else 4
    order = structure.byte_order
    wanted = (_MODULE_MINPC, _MODULE_MAXPC, _MODULE_TEXT, gofunc_field)
    address = re.compile(re.escape(table_address.to_bytes(word, order)))
    for part in reversed(structure.loaded):  # it is written to, and what is lies behind the code
        for match in address.finditer(data[part.offset : part.offset + part.size]):
            fields = [part.offset + match.start() + field * word for field in wanted]
            yield tuple(int.from_bytes(data[at : at + word], order) for at in fields)
    if not structure.is_64:  # 32-bit x86 and ARM relocate in place
        return
    relocation = Struct(("<" if order == "little" else ">") + "QQq")
    addends: dict[int, int] = {}
    for part in structure.relocations:
        size = part.size - part.size % relocation.size
        addends |= {at: to for at, _, to in relocation.iter_unpack(data[part.offset : part.offset + size])}
    for module in sorted(at for at, to in addends.items() if to == table_address):
        yield tuple(addends.get(module + field * word, 0) for field in wanted)

"""Function symbols of an ELF file: .symtab, .dynsym, and the compressed .gnu_debugdata.

Both tables are decoded here with `struct`: pyelftools makes an object of each of 70,000 entries, which takes seconds.

What counts as a function: STT_FUNC and STT_GNU_IFUNC, and untyped labels of .symtab that lie in code (assembly without
`.type`). Never sections, files, data, thread-local data, mapping symbols (`$a`, `$x`) and local labels (`.L`). A symbol
has to lie in the executable section that it names.
"""

import lzma
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import compress, count
from operator import itemgetter
from struct import Struct
from typing import Final

from agents.symbols.index_format import NameTrait
from agents.symbols.kernel_symbols import canonical_symbol, may_be_decorated
from app.symbols.code_ranges import FunctionSymbol
from app.symbols.elf import ElfStructure, SectionRange, SymbolTable
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError

# The largest real tables (Chromium, rustc's driver) have below a million functions.
MAX_SYMBOLS: Final = 4_000_000
# Names of template libraries reach some 10 kB.
MAX_NAME_BYTES: Final = 32_768
MAX_NAMES_BYTES: Final = 512 * 2**20
# Shorter names are not added up: MAX_SYMBOLS of them stay within MAX_NAMES_BYTES.
_ORDINARY_NAME_BYTES: Final = 128
# Fedora's largest mini debug information is some 10 MB unpacked.
MAX_DEBUGDATA_BYTES: Final = 256 * 2**20

_NOTYPE: Final = 0
_FUNC: Final = 2
_GNU_IFUNC: Final = 10
_BINDINGS: Final = {1: NameTrait.GLOBAL, 2: NameTrait(0), 10: NameTrait.GLOBAL}  # global, weak, GNU_UNIQUE
_OF_BOTH: Final = int(NameTrait.EXPORTED | NameTrait.RESOLVER)  # what .dynsym says of a name that .symtab has, too
_IN_SYMTAB: Final = NameTrait.IN_SYMTAB.value
_ADDRESS: Final = itemgetter(0)
_SHN_XINDEX: Final = 0xFFFF
_EM_ARM: Final = 40

# name, info, other, section, value, size; and the 32-bit order: name, value, size, info, other, section
_ENTRY_64: Final = {"little": Struct("<IBBHQQ"), "big": Struct(">IBBHQQ")}
_ENTRY_32: Final = {"little": Struct("<IIIBBH"), "big": Struct(">IIIBBH")}


def _traits(info: int, *, in_symtab: bool) -> int:
    """What the info of an entry says, in the table that it is in."""
    traits = _BINDINGS.get(info >> 4, NameTrait.LOCAL)
    if in_symtab:
        traits |= NameTrait.IN_SYMTAB
    elif traits != NameTrait.LOCAL:
        traits |= NameTrait.EXPORTED
    return int(traits | NameTrait.RESOLVER if info & 0xF == _GNU_IFUNC else traits)


# by table, then by the info of an entry, which is a byte; a table, for a library has 70,000 symbols
_TRAITS: Final = {place: [_traits(info, in_symtab=place) for info in range(256)] for place in (False, True)}


def function_symbols(data: memoryview, structure: ElfStructure) -> list[FunctionSymbol]:
    """The function symbols of one file's .symtab and .dynsym. Raises FileRefusedError beyond a limit."""
    dynamic = _decoded(data, structure, structure.dynsym, in_symtab=False)
    static = _decoded(data, structure, structure.symtab, in_symtab=True)
    return [*dynamic, *static]


def with_exports(symbols: Iterable[FunctionSymbol]) -> list[FunctionSymbol]:
    """`symbols` of both tables, each address and name from one of them, marked as exported if .dynsym has it."""
    dynamic: dict[tuple[int, str], FunctionSymbol] = {}
    static: list[FunctionSymbol] = []
    for symbol in symbols:
        if symbol[3] & _IN_SYMTAB:
            static.append(symbol)
        else:
            key = (symbol[0], symbol[2])
            dynamic[key] = max(symbol, dynamic.get(key, symbol))  # two of one name: the larger, in any order
    addresses = {address for address, _ in dynamic}
    in_both: set[tuple[int, str]] = set()
    for at in compress(count(), map(addresses.__contains__, map(_ADDRESS, static))):
        symbol = static[at]
        if (found := dynamic.get(key := (symbol.address, symbol.name))) is not None:
            in_both.add(key)
            static[at] = symbol._replace(traits=symbol.traits | found.traits & _OF_BOTH)
    return static + [symbol for key, symbol in dynamic.items() if key not in in_both]


def unpacked_debugdata(packed: memoryview) -> bytes:
    """The ELF file inside .gnu_debugdata (LZMA in an xz container). Raises FileRefusedError beyond the limit."""
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MAX_DEBUGDATA_BYTES)
    try:
        unpacked = decoder.decompress(packed, max_length=MAX_DEBUGDATA_BYTES + 1)
    except lzma.LZMAError as error:
        raise FileRefusedError(FileRefusalReason.MALFORMED, ".gnu_debugdata is not xz data") from error
    if len(unpacked) > MAX_DEBUGDATA_BYTES:
        raise FileRefusedError(FileRefusalReason.OVER_LIMIT, ".gnu_debugdata unpacks to more than the limit")
    return unpacked


def _decoded(
    data: memoryview, structure: ElfStructure, table: SymbolTable | None, *, in_symtab: bool
) -> Iterator[FunctionSymbol]:
    if table is None:
        return
    types = {_FUNC, _GNU_IFUNC, _NOTYPE} if in_symtab else {_FUNC, _GNU_IFUNC}
    strings = bytes(data[table.strings.offset : table.strings.offset + table.strings.size])
    texts = strings.decode() if strings.isascii() else None  # then names need not be decoded one by one
    is_canonical = texts is not None and not may_be_decorated(texts)
    limits = _SectionLimits(structure.code)
    limit_of, section_of = limits.of, limits.by_section.get
    clear_thumb = ~1 if structure.machine == _EM_ARM else ~0
    names_bytes = 0
    find, traits = strings.find, _TRAITS[in_symtab]
    made = partial(tuple.__new__, FunctionSymbol)  # `_make` without its check
    for name_at, info, _, section, value, size in _entries(data, structure, table):
        kind = info & 0xF
        if kind not in types or section == 0:
            continue
        address = value & clear_thumb
        place = section_of(section)  # as `of` does, which would cost a call for each symbol
        if place is not None and place.start <= address < place.end and section != _SHN_XINDEX:
            limit: int | None = place.end
        else:
            limit = limit_of(section, address)
        name_end = find(b"\0", name_at, name_at + MAX_NAME_BYTES)
        if limit is None or name_end <= name_at:
            continue
        if texts is not None:
            text = texts[name_at:name_end]
        else:
            text = strings[name_at:name_end].decode("utf-8", "backslashreplace")
        if kind == _NOTYPE and text.startswith(("$", ".L")):
            continue
        if name_end - name_at > _ORDINARY_NAME_BYTES:
            names_bytes += name_end - name_at
            if names_bytes > MAX_NAMES_BYTES:
                raise FileRefusedError(FileRefusalReason.OVER_LIMIT, "bytes in symbol names")
        if not (is_canonical or text.isidentifier()):  # most names are plain, and nothing is ever cut off those
            text = canonical_symbol(text)
        yield made((address, size if address + size <= limit else limit - address, text, traits[info], limit))


def _entries(data: memoryview, structure: ElfStructure, table: SymbolTable) -> Iterator[tuple[int, ...]]:
    """Every entry in the order of a 64-bit file: name offset, info, other, section, value, size."""
    entry = (_ENTRY_64 if structure.is_64 else _ENTRY_32)[structure.byte_order]
    count = table.entries.size // entry.size
    if count > MAX_SYMBOLS:
        raise FileRefusedError(FileRefusalReason.OVER_LIMIT, f"{count} symbols")
    entries = entry.iter_unpack(data[table.entries.offset : table.entries.offset + count * entry.size])
    if structure.is_64:
        return entries
    return ((name, info, other, section, value, size) for name, value, size, info, other, section in entries)


class _SectionLimits:
    """Where the executable section ends that holds an address."""

    __slots__ = ("_by_address", "_starts", "by_section")

    def __init__(self, code: Iterable[SectionRange]) -> None:
        ranges = list(code)
        self.by_section = {r.section: r for r in ranges if r.section is not None}
        self._by_address = sorted(ranges, key=lambda r: (r.start, r.end))
        self._starts = [r.start for r in self._by_address]

    def of(self, section: int, address: int) -> int | None:
        """End of `section` if it is code and holds `address`; by address alone where numbers say nothing."""
        if self.by_section and section != _SHN_XINDEX:
            found = self.by_section.get(section)
        else:
            at = bisect_right(self._starts, address) - 1
            found = self._by_address[at] if at >= 0 else None
        return found.end if found is not None and found.start <= address < found.end else None

"""The functions of a Go program as symbols, out of its own table.

All is done by column. Only index_builder imports this, and only for a Go program: numpy takes a reading process 0.1 s.
"""

from collections.abc import Iterable
from functools import partial
from itertools import compress, count, repeat
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.symbols.index_format import NameTrait
from app.symbols.code_ranges import FunctionSymbol
from app.symbols.elf import ElfStructure
from app.symbols.gopclntab import GoTable

# As Go's linker writes a function into .symtab, and as stripping leaves it.
_TRAITS: Final = int(NameTrait.EXPORTED | NameTrait.GLOBAL | NameTrait.IN_SYMTAB)

# What the linker fills the space between functions with (cmd/link: CodePad): int3 on x86, else zeros.
_PADDING: Final = {3: 0xCC, 62: 0xCC}
_INSTRUCTION_BYTES: Final = 4  # where they have a fixed width, one may end with zeros
# Bytes of padding that are taken off all functions at once. Linkers align functions to 16 or 32 bytes.
_USUAL_PADDING: Final = 64

_ADDRESS: Final = itemgetter(0)

_Numbers = NDArray[np.int64]


def go_symbols(data: memoryview, structure: ElfStructure, table: GoTable) -> list[FunctionSymbol]:
    """The functions of a Go program, each without the padding behind it, which the table does not tell from code."""
    entries, behind, names = zip(*table.functions, strict=True)
    starts, ends = np.array(entries, np.int64), np.array(behind, np.int64)
    padding = _PADDING.get(structure.machine, 0)
    sizes = np.zeros(len(names), np.int64)
    for segment in reversed(structure.segments):  # the first that has all of a function is the last that counts
        begin = segment.address - table.text_start
        here = np.flatnonzero((starts >= begin) & (starts < ends) & (ends <= begin + segment.size))
        if len(here):
            code = np.frombuffer(data, np.uint8, segment.size, segment.file_offset)
            sizes[here] = _without_padding(code, starts[here] - begin, ends[here] - begin, padding)
    if structure.machine not in _PADDING:
        sizes = np.minimum(-(-sizes // _INSTRUCTION_BYTES) * _INSTRUCTION_BYTES, ends - starts)
    is_code = list(map(min, map(len, names), sizes.tolist()))
    from_text = table.text_start.__add__
    columns = (
        map(from_text, compress(entries, is_code)),
        compress(sizes.tolist(), is_code),
        compress(names, is_code),
        repeat(_TRAITS),
        map(from_text, compress(behind, is_code)),
    )
    return list(map(partial(tuple.__new__, FunctionSymbol), zip(*columns, strict=False)))  # `_make` without its check


def with_go_names(symbols: Iterable[FunctionSymbol], go: list[FunctionSymbol]) -> list[FunctionSymbol]:
    """The symbols of a Go program's tables and of its own, those that are in both as one.

    An unstripped program has nearly all of them in both, and each is looked at once.
    """
    place_of = dict(zip(map(_ADDRESS, go), count()))
    merged = list(go)
    for symbol in symbols:
        address, size, name, traits, _ = symbol
        at = place_of.get(address)
        known = symbol if at is None else merged[at]
        if at is None or known[1] != size or known[2] != name:
            merged.append(symbol)
        elif known[3] | traits != known[3]:
            merged[at] = known._replace(traits=known[3] | traits)
    return merged


def _without_padding(code: NDArray[np.uint8], starts: _Numbers, ends: _Numbers, padding: int) -> _Numbers:
    """The bytes of each function of `code`, which has some, up to the last one that is not padding."""
    sizes = ends - starts
    padded = np.arange(len(sizes))
    for _ in range(_USUAL_PADDING):
        padded = padded[code[starts[padded] + sizes[padded] - 1] == padding]
        sizes[padded] -= 1
        padded = padded[sizes[padded] > 0]
        if not len(padded):
            return sizes
    for at in padded.tolist():
        rest = code[starts[at] : starts[at] + sizes[at]].tobytes()
        sizes[at] = len(rest.rstrip(bytes([padding])))
    return sizes

"""Which of two indexes of one build id is the better one."""

from typing import Final

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import SymbolOrigin

Richness = tuple[int, ...]
"""The greater, the better; all have one length."""

_EXPORTED_ONLY: Final = SymbolOrigin.DYNSYM
_OF_LINES: Final = SymbolOrigin.DWARF_LINES | SymbolOrigin.DWARF_INLINES | SymbolOrigin.GO_INLINE_TREE


def richness(index: SymbolIndex) -> Richness:
    """How much an index says: lines first, for whoever had them read wants them, then names, then what is inlined."""
    tables = index.origins & ~_OF_LINES
    return (
        int(bool(index.line_count)),
        2 if tables & ~_EXPORTED_ONLY else int(bool(tables)),
        len(index.parts.function_addresses),
        index.format,
        index.head.described,
        index.line_count,
        len(index.parts.copy_names),
        index.range_count,
    )

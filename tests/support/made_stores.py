"""Symbol stores whose files have the functions that a test names, without a compiler."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.symbols.index_format import InlinedCopies, NameTrait, SymbolOrigin
from app.symbols.store_writer import StoreWriter
from tests.support.made_indexes import CODE_START, named_index, put_index
from tests.support.symbol_maps import put_modules

_BYTES = 64
"""Of each function; a page holds 64 of them."""


def store_with(
    folder: Path,
    files: Mapping[str, Sequence[Sequence[str]]],
    places: Mapping[str, Mapping[str, str]] | None = None,
    *,
    knows_copies: bool = True,
) -> str:
    """Add files by build id, each with the names of its functions, and maps by scope; returns the store's digest.

    `knows_copies`: their debug information says that nothing was inlined.
    """
    with StoreWriter(folder) as writer:
        for build_id, functions in files.items():
            put_index(writer, _index(build_id, functions, knows_copies=knows_copies), build_id, replace=True)
        for scope, pairs in (places or {}).items():
            put_modules(writer, scope, pairs)
        return writer.commit()


def _index(build_id: str, functions: Sequence[Sequence[str]], *, knows_copies: bool) -> bytes:
    placed = [(CODE_START + number * _BYTES, names) for number, names in enumerate(functions)]
    traits = NameTrait.EXPORTED | NameTrait.GLOBAL
    return named_index(
        build_id,
        [(start, _BYTES, names[0]) for start, names in placed],
        [(start, _BYTES, name, traits) for start, names in placed for name in names],
        InlinedCopies(described=len(functions), functions=len(functions)),
        SymbolOrigin.SYMTAB | (SymbolOrigin.DWARF_INLINES if knows_copies else SymbolOrigin(0)),
    )

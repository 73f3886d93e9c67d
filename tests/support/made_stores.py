"""Symbol stores whose files have the functions that a test names, without a compiler."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.symbols.index_format import (
    CodeRanges,
    IndexContent,
    InlinedCopies,
    NamedFunctions,
    NameTrait,
    Segment,
    SymbolOrigin,
    encode_index,
)
from app.symbols.store_writer import StoreWriter
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
            path = writer.scratch / build_id
            path.write_bytes(encode_index(_content(build_id, functions, knows_copies=knows_copies)))
            writer.keep_index(path, build_id, replace=True)
        for scope, pairs in (places or {}).items():
            put_modules(writer, scope, pairs)
        return writer.commit()


def _content(build_id: str, functions: Sequence[Sequence[str]], *, knows_copies: bool) -> IndexContent:
    starts = [4096 + number * _BYTES for number in range(len(functions))]
    named = sorted((start, name) for start, names in zip(starts, functions, strict=True) for name in names)
    count = len(functions)
    return IndexContent(
        build_id=build_id,
        machine=62,
        elf_type=3,
        origins=SymbolOrigin.SYMTAB | (SymbolOrigin.DWARF_INLINES if knows_copies else SymbolOrigin(0)),
        code_digest=bytes(32),
        segments=(Segment(4096, count * _BYTES, 4096),),
        ranges=CodeRanges(starts, [_BYTES] * count, [0] * count, [names[0] for names in functions]),
        functions=NamedFunctions(
            [start for start, _ in named],
            [_BYTES] * len(named),
            [name for _, name in named],
            [NameTrait.EXPORTED | NameTrait.GLOBAL] * len(named),
        ),
        copies=InlinedCopies(described=count, functions=count),
    )

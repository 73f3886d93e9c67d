"""Symbol indexes of files whose functions a test lists, without a compiler."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from agents.symbols.index_format import (
    CodeRanges,
    IndexContent,
    InlinedCopies,
    LineRows,
    NamedFunctions,
    Segment,
    SymbolOrigin,
    encode_index,
)
from app.symbols.store import SymbolStore
from app.symbols.store_writer import Kept, StoreWriter

ID: Final = "ab" * 20
CODE_START: Final = 0x1000
"""Where the code of a file with `named_index` begins, in the file and in memory."""

NO_COPIES: Final = InlinedCopies()


def index_bytes(
    build_id: str = ID,
    names: tuple[str, ...] = ("f",),
    origins: SymbolOrigin = SymbolOrigin.DYNSYM,
    code: bytes = bytes(32),
    lines: bool = False,
) -> bytes:
    """An index with functions of 16 bytes from file offset 0 on."""
    count = len(names)
    ranges = CodeRanges([16 * i for i in range(count)], [16] * count, [0] * count, names)
    rows = LineRows([0], [0], [7], ["a.c"]) if lines else LineRows()
    return encode_index(IndexContent(build_id, 62, 3, origins, code, (Segment(0, 4096, 0),), ranges, lines=rows))


def named_index(
    build_id: str,
    ranges: Sequence[tuple[int, int, str]],
    functions: Iterable[tuple[int, int, str, int]],
    copies: InlinedCopies = NO_COPIES,
    origins: SymbolOrigin = SymbolOrigin.SYMTAB,
    *,
    bytes_of_code: int | None = None,
) -> bytes:
    """An index that knows every name.

    `ranges` are address, size and the name in frames; `functions` are address, size, name and traits. Code ends with
    the last range, or has `bytes_of_code`.
    """
    starts, lengths, owners = zip(*ranges, strict=True)
    addresses, sizes, names, traits = zip(*sorted(functions), strict=True)
    content = IndexContent(
        build_id=build_id,
        machine=62,
        elf_type=3,
        origins=origins,
        code_digest=bytes(32),
        segments=(Segment(CODE_START, bytes_of_code or starts[-1] + lengths[-1] - CODE_START, CODE_START),),
        ranges=CodeRanges(starts, lengths, [0] * len(starts), owners),
        functions=NamedFunctions(addresses, sizes, names, [int(one) for one in traits]),
        copies=copies,
    )
    return encode_index(content)


def put_index(writer: StoreWriter, content: bytes, build_id: str = ID, *, replace: bool = False) -> Kept:
    """Keep an index as the reading process leaves it."""
    (writer.scratch / "index").write_bytes(content)
    return writer.keep_index(writer.scratch / "index", build_id, replace=replace)


def store_of(folder: Path, *contents: bytes) -> SymbolStore:
    """A store with these indexes of one build id, added one after the other."""
    with StoreWriter(folder) as writer:
        for content in contents:
            put_index(writer, content)
        writer.commit()
    return SymbolStore.open(folder)

"""Indexes of real files, and stores that such files are added to."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from agents.symbols.function_names import FunctionNames
from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import encode_index
from app.symbols.adding import AddOptions, FileReport, add_files
from app.symbols.index_builder import build_index
from app.symbols.limited_reader import LimitedReader
from app.symbols.store_writer import StoreWriter

_NAMES_ONLY: Final = AddOptions()


def index_of(
    path: Path, debug_path: Path | None = None, *, lines: bool = False, note: Callable[[str], None] = lambda _: None
) -> SymbolIndex:
    """The index of a file. `note` gets what could not be read."""
    content = build_index(path, debug_path, with_lines=lines, note=note)
    return SymbolIndex(memoryview(encode_index(content)))


def names_of(path: Path, debug_path: Path | None = None, *, lines: bool = False) -> FunctionNames:
    """The names of a file."""
    return FunctionNames(index_of(path, debug_path, lines=lines))


def add_to(folder: Path, paths: Iterable[Path], options: AddOptions = _NAMES_ONLY) -> list[FileReport]:
    """Add files to the store in a folder, in one snapshot."""
    with StoreWriter(folder) as writer, LimitedReader() as reader:
        reports = list(add_files(paths, options, writer, reader))
        writer.commit()
    return reports

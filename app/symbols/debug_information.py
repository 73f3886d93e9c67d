"""Lines and inlined functions of one file's DWARF; what cannot be read of it costs no name, and is noted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agents.symbols.index_format import LineRows
from app.symbols.dwarf_inlines import DwarfInlines
from app.symbols.dwarf_lines import LineTable, read_lines
from app.symbols.dwarf_sections import dwarf_sections
from app.symbols.elf import ElfStructure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.inlining import InlineTree

Note = Callable[[str], None]
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class DebugReading:
    """What is read of DWARF: inlined functions unless `with_dwarf` is false, lines too `with_lines`.

    `note` is called with what is missing.
    """

    with_lines: bool
    with_dwarf: bool = True
    note: Note = lambda _: None


def read_debug_information(
    data: memoryview, structure: ElfStructure, reading: DebugReading, tree: InlineTree, *, with_go: bool
) -> tuple[LineRows, bool]:
    """The lines of a file, and whether its inlined functions were added to `tree`; units of Go only `with_go`."""
    if not reading.with_dwarf or not structure.has_dwarf:
        return LineRows(), False
    sections = _noted(lambda: dwarf_sections(data, structure), "debug information", reading.note)
    if sections is None:
        return LineRows(), False
    table = _noted(lambda: read_lines(sections, structure), "lines", reading.note) if reading.with_lines else None
    added = _noted(
        lambda: _add_copies(sections, structure, table, tree, with_go=with_go), "inlined functions", reading.note
    )
    if table is not None and added is None:
        table = None
        reading.note("without lines: they may be those of inlined functions")
    if added:
        reading.note(f"without inlined functions of {added} units: {FileRefusalReason.MALFORMED.value}")
    return LineRows() if table is None else table.rows(), added is not None


def _add_copies(
    sections: dict[str, memoryview],
    structure: ElfStructure,
    table: LineTable | None,
    tree: InlineTree,
    *,
    with_go: bool,
) -> int:
    numbers = None if table is None else table.file_numbers
    return DwarfInlines(sections, structure, numbers).add_to(tree, with_go=with_go)


def _noted(read: Callable[[], _Found], what: str, note: Note) -> _Found | None:
    """What `read` returns; None, and a note with the reason, where it fails."""
    try:
        return read()
    except FileRefusedError as refused:
        detail = f" ({refused.detail})" if refused.detail else ""
        note(f"without {what}: {refused.reason.value}{detail}")
    except (MemoryError, RecursionError):
        note(f"without {what}: {FileRefusalReason.OVER_LIMIT.value}")
    except Exception as error:  # noqa: BLE001 - pyelftools raises what it likes on malformed DWARF
        note(f"without {what}: {FileRefusalReason.MALFORMED.value} ({type(error).__name__})")
    return None

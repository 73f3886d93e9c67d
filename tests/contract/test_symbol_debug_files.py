"""Debug files of compiled programs are found, fetched or added later, and give the same index each way."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from app.symbols.adding import AddOptions, FileReport, Indexed, NotIndexed
from app.symbols.debuginfod import Debuginfod
from app.symbols.file_refusal import FileRefusalReason
from app.symbols.snapshot import ObjectKind
from app.symbols.store import SymbolStore
from app.symbols.store_writer import Kept
from tests.support.debuginfod_server import debuginfod_server
from tests.support.indexed_files import add_to
from tests.support.programs import compile_c, need, run


@dataclass(frozen=True)
class Split:
    """A program, a stripped copy of it, its debug file, and a store for the test."""

    program: Path
    stripped: Path
    debug: Path
    folder: Path

    def add(self, *paths: Path, options: AddOptions | None = None) -> list[FileReport]:
        """Add to the store."""
        return add_to(self.folder, paths, options or AddOptions(root=self.folder.parent))

    def names(self, folder: Path | None = None) -> list[str]:
        """Names of all functions in the store's one index."""
        store = SymbolStore.open(folder or self.folder)
        (build_id,) = store.snapshot.of_kind(ObjectKind.INDEX)
        index = store.index(build_id)
        assert index is not None
        return [span.name for span in index.ranges()]


@pytest.fixture(name="split")
def _split(tmp_path: Path) -> Split:
    need("strip", "objcopy")
    program = compile_c(tmp_path, "-O1", "-g")
    split = Split(program, tmp_path / "stripped", tmp_path / "program.debug", tmp_path / "store")
    run("objcopy", "--only-keep-debug", program, split.debug)
    run("strip", "-o", split.stripped, program)
    return split


def test_debug_file_that_is_added_later_makes_the_index_better(split: Split) -> None:
    """Alone it is refused, for it has no code; after its program it brings names and lines."""
    alone, *_ = split.add(split.debug)
    split.add(split.stripped)
    stripped = split.names()
    (later,) = split.add(split.debug, options=AddOptions(with_lines=True))
    whole = Split(split.program, split.stripped, split.debug, split.folder.parent / "whole")
    whole.add(split.program)

    assert isinstance(alone, NotIndexed)
    assert alone.reason is FileRefusalReason.NO_CODE
    assert isinstance(later, Indexed)
    assert later.kept is Kept.REPLACED
    assert later.lines > 0
    assert "hidden" not in stripped
    assert split.names() == whole.names()


def test_debug_file_is_used_when_added_together(split: Split) -> None:
    """The order of the arguments does not matter."""
    split.add(split.debug, split.stripped)

    assert "hidden" in split.names()


def test_debug_file_beside_the_program_is_found_by_its_link(split: Split) -> None:
    """.gnu_debuglink names it."""
    run("objcopy", f"--add-gnu-debuglink={split.debug}", split.stripped)
    split.add(split.stripped)

    assert "hidden" in split.names()


def test_file_of_the_linked_name_that_is_another_files_is_not_used(split: Split, tmp_path: Path) -> None:
    """The program is indexed without it, and the report says so."""
    run("objcopy", f"--add-gnu-debuglink={split.debug}", split.stripped)
    other = compile_c(tmp_path, "-O0", source="int main(void) { return 3; }", name="other")
    split.debug.write_bytes(other.read_bytes())
    (report,) = split.add(split.stripped)

    assert isinstance(report, Indexed)
    assert report.notes == ("without its debug file: malformed",)
    assert "hidden" not in split.names()


def test_debug_file_is_fetched_where_a_server_is_named(split: Split) -> None:
    """And only there."""
    split.add(split.stripped)
    assert "hidden" not in split.names()
    (build_id,) = SymbolStore.open(split.folder).snapshot.of_kind(ObjectKind.INDEX)
    with debuginfod_server({build_id: split.debug.read_bytes()}) as url:
        (report,) = split.add(split.stripped, options=AddOptions(root=split.folder.parent, debuginfod=Debuginfod(url)))

    assert isinstance(report, Indexed)
    assert report.kept is Kept.REPLACED
    assert "hidden" in split.names()


def test_server_that_does_not_know_the_build_is_a_note(split: Split) -> None:
    """Adding goes on with what is there."""
    with debuginfod_server({}) as url:
        (report,) = split.add(split.stripped, options=AddOptions(root=split.folder.parent, debuginfod=Debuginfod(url)))

    assert isinstance(report, Indexed)
    assert report.notes == ("debuginfod: the server answered 404",)

"""Several files of one build id: the best sound one is indexed, whatever their names, their order, and the others."""

from collections.abc import Sequence
from io import BytesIO
from itertools import permutations
from pathlib import Path

import pytest

from agents.symbols.index import SymbolIndex
from agents.symbols.lookup import Resolved
from app.symbols.adding import AddOptions, FileReport, Indexed, NotIndexed
from app.symbols.elf import read_structure
from app.symbols.file_refusal import FileRefusalReason
from app.symbols.snapshot import ObjectKind
from app.symbols.store import SymbolStore
from tests.support.indexed_files import add_to
from tests.support.programs import LABEL_C_SOURCE, compile_c, compile_cxx, compile_go, need, run


@pytest.fixture(name="whole")
def _whole(tmp_path: Path) -> Path:
    need("strip", "objcopy")
    return compile_c(tmp_path, "-g", "-O1", source=LABEL_C_SOURCE, name="whole")


def add(folder: Path, *runs: Sequence[Path], lines: bool = False) -> list[FileReport]:
    """Add files to a store in one or more commands; returns the reports of the last."""
    reports: list[FileReport] = []
    for paths in runs:
        reports = add_to(folder, paths, AddOptions(root=folder.parent, with_lines=lines))
    return reports


def index_in(folder: Path) -> SymbolIndex:
    """The one index of a store."""
    store = SymbolStore.open(folder)
    (build_id,) = store.snapshot.of_kind(ObjectKind.INDEX)
    index = store.index(build_id)
    assert index is not None
    return index


def names_in(folder: Path) -> set[str]:
    """The names of its functions."""
    return {one.name for one in index_in(folder).ranges()}


def test_neither_names_nor_order_of_copies_decide(whole: Path, tmp_path: Path) -> None:
    """One copy has lost its static functions; both are added in every order, together and one by one."""
    run("strip", "-x", "-g", "-o", tmp_path / "poor", whole)
    run("strip", "-g", "-o", tmp_path / "rich", whole)
    stores = []
    for number, (one, other) in enumerate(permutations(["a", "b"])):
        folder = tmp_path / f"copies-{number}"
        folder.mkdir()
        (folder / one).write_bytes((tmp_path / "poor").read_bytes())
        (folder / other).write_bytes((tmp_path / "rich").read_bytes())
        for order in permutations([folder / "a", folder / "b"]):
            for how, runs in (("together", [order]), ("alone", [order[:1], order[1:]])):
                store = tmp_path / f"store-{number}-{order[0].name}-{how}"
                assert all(isinstance(report, Indexed) for report in add(store, *runs))
                stores.append(store)

    assert {"first", "second"} <= names_in(stores[0])
    assert len({SymbolStore.open(store).digest for store in stores}) == 1


def damaged_lines(whole: Path) -> bytes:
    """A copy with a packed section of debug information that claims 100 GiB."""
    packed = whole.with_name("packed")
    run("objcopy", "--compress-debug-sections=zlib", whole, packed)
    content = bytearray(packed.read_bytes())
    structure = read_structure(BytesIO(bytes(content)), memoryview(bytes(content)))
    section = next(one for one in structure.dwarf if one.is_compressed and one.name == ".debug_info")
    content[section.part.offset + 8 : section.part.offset + 16] = (100 << 30).to_bytes(8, "little")
    return bytes(content)


def damaged_symbols(whole: Path) -> bytes:
    """A copy whose .symtab lies beyond the end of the file."""
    content = bytearray(whole.read_bytes())
    structure = read_structure(BytesIO(bytes(content)), memoryview(bytes(content)))
    assert structure.symtab is not None
    at = content.index(structure.symtab.entries.offset.to_bytes(8, "little"), len(content) - 64 * 64)
    content[at : at + 8] = (2**40).to_bytes(8, "little")
    return bytes(content)


@pytest.mark.parametrize("name", ["a-bad", "z-bad"])
def test_copy_with_damaged_lines_takes_nothing_down(name: str, whole: Path, tmp_path: Path) -> None:
    """The good copy's names and lines are kept; of the bad one the report says what is missing."""
    (tmp_path / name).write_bytes(damaged_lines(whole))
    reports = {report.path.name: report for report in add(tmp_path / "store", [whole, tmp_path / name], lines=True)}

    good, bad = reports["whole"], reports[name]
    assert isinstance(good, Indexed)
    assert good.lines > 0
    assert {"first", "second"} <= names_in(tmp_path / "store")
    assert isinstance(bad, Indexed)
    (note,) = bad.notes
    assert note.startswith("without debug information: claims more than the limits allow")


@pytest.mark.parametrize("name", ["a-bad", "z-bad"])
def test_copy_with_damaged_symbols_is_refused_alone(name: str, whole: Path, tmp_path: Path) -> None:
    """It has no index of its own to offer; the other copy has."""
    (tmp_path / name).write_bytes(damaged_symbols(whole))
    reports = {report.path.name: report for report in add(tmp_path / "store", [tmp_path / name, whole])}

    assert isinstance(reports["whole"], Indexed)
    bad = reports[name]
    assert isinstance(bad, NotIndexed)
    assert bad.reason is FileRefusalReason.MALFORMED
    assert {"first", "second"} <= names_in(tmp_path / "store")


def test_debug_file_completes_a_copy_that_has_some_symbols(whole: Path, tmp_path: Path) -> None:
    """A table of symbols is not proof that nothing is missing in it."""
    run("strip", "-x", "-g", "-o", tmp_path / "poor", whole)
    run("objcopy", "--only-keep-debug", whole, tmp_path / "whole.debug")
    add(tmp_path / "store", [tmp_path / "poor", tmp_path / "whole.debug"])

    assert {"first", "second"} <= names_in(tmp_path / "store")


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        *((name, lines) for name in ("c", "c-shared", "c-nothing-exported", "c++") for lines in (False, True)),
        ("go", False),
    ],
)
def test_index_that_is_extended_later_is_the_index_made_together(language: str, lines: bool, tmp_path: Path) -> None:
    """The same bytes, and so one digest of the store, whether the debug file came at once or a day later."""
    need("strip", "objcopy")
    match language:
        case "c":
            whole = compile_c(tmp_path, "-g", "-O2")
        case "c-shared":
            whole = compile_c(tmp_path, "-g", "-O2", "-fPIC", "-shared")
        case "c-nothing-exported":
            whole = compile_c(tmp_path, "-g", "-O1", source=LABEL_C_SOURCE)
        case "go":
            whole = compile_go(tmp_path)
        case _:
            whole = compile_cxx(tmp_path, "-g", "-O2")
    stripped, debug = tmp_path / "stripped", tmp_path / "debug"
    run("objcopy", "--only-keep-debug", whole, debug)
    run("strip", "-o", stripped, whole)
    add(tmp_path / "together", [stripped, debug], lines=lines)
    add(tmp_path / "later", [stripped], [debug], lines=lines)

    assert index_in(tmp_path / "later").origins == index_in(tmp_path / "together").origins
    assert SymbolStore.open(tmp_path / "later").digest == SymbolStore.open(tmp_path / "together").digest


def test_go_program_whose_lines_come_later_says_what_was_inlined(tmp_path: Path) -> None:
    """An index without lines does not keep which code is of which copy; DWARF says it then."""
    need("strip", "objcopy")
    whole = compile_go(tmp_path)
    run("objcopy", "--only-keep-debug", whole, tmp_path / "debug")
    run("strip", "-o", tmp_path / "stripped", whole)
    add(tmp_path / "together", [whole], lines=True)
    add(tmp_path / "later", [tmp_path / "stripped"], [tmp_path / "debug"], lines=True)
    together, later = index_in(tmp_path / "together"), index_in(tmp_path / "later")
    (segment,) = together.segments
    offsets = range(segment.file_offset, segment.file_offset + segment.size, 97)
    chains = [
        [found.inlined if isinstance(found := index.lookup(at, innermost=True), Resolved) else () for at in offsets]
        for index in (together, later)
    ]

    assert any(chains[0])
    same = sum(one == other for one, other in zip(*chains, strict=True))
    assert same > 0.98 * len(chains[0])

"""Which code a build id means: programs whose code was moved in the file, and files that share a build id.

Every file here is real, and truth is its own symbol table. A frame must have the name of the code that ran, or none.
"""

import json
import subprocess
from collections import Counter
from pathlib import Path
from struct import unpack_from
from typing import Final

import pytest
from click.testing import CliRunner

from agents.symbols.lookup import Resolved, Unresolved
from app.__main__ import cli
from app.symbols.store import SymbolStore
from tests.support.mapped_files import LIBRARY, NEW, OLD, Shown, added, compiled_library, offset_in, shown_frame
from tests.support.programs import compile_c

PAGE: Final = 4096


def _moved(program: Path, moved: Path) -> None:
    """What tools do that make room for a longer interpreter: all behind the first page lies a page further on."""
    data = bytearray(program.read_bytes())
    program_at, section_at = unpack_from("<QQ", data, 32)
    program_bytes, programs, section_bytes, sections = unpack_from("<HHHH", data, 54)
    places = [program_at + number * program_bytes + 8 for number in range(programs)]
    places += [section_at + number * section_bytes + 24 for number in range(sections)]
    for place in [40, *places]:
        (offset,) = unpack_from("<Q", data, place)
        if offset >= PAGE:
            data[place : place + 8] = (offset + PAGE).to_bytes(8, "little")
    moved.write_bytes(bytes(data[:PAGE]) + bytes(PAGE) + bytes(data[PAGE:]))
    moved.chmod(0o755)


PATCHED: Final = (
    "".join(
        f"__attribute__((noinline)) int berth{number}(int x) {{ return x * {number + 3} + {number} % (x + 1); }}\n"
        for number in range(400)
    )
    + "int main(int c, char **v) { (void)v; return berth7(c); }\n"
)


@pytest.mark.parametrize("together", [True, False])
def test_program_whose_code_was_moved_in_the_file_has_no_wrong_name(tmp_path: Path, together: bool) -> None:
    """Build id, addresses and code are the same, so only what both layouts agree on can be named."""
    program = compile_c(tmp_path, "-O1", "-no-pie", "-Wl,-z,separate-code", source=PATCHED)
    patched = tmp_path / "patched"
    _moved(program, patched)
    assert subprocess.run([patched], check=False).returncode == subprocess.run([program], check=False).returncode
    store = tmp_path / "store"
    if not together:
        added(store, program)
    report = added(store, *([program, patched] if together else [patched]))
    opened = SymbolStore.open(store)
    build_id = report["files"][0]["build_id"]
    assert len(opened.layouts(build_id)) == 2

    found = {path: _verdicts(opened, build_id, path) for path in (program, patched)}

    assert {verdicts["wrong"] for verdicts in found.values()} == {0}
    for verdicts in found.values():  # what lies beyond the other layout's code is sure
        assert verdicts["right"] + verdicts[Unresolved.AMBIGUOUS.name] == 400
        assert verdicts[Unresolved.AMBIGUOUS.name] > 100


def test_program_that_was_not_moved_is_named_as_ever(tmp_path: Path) -> None:
    """One layout, and every function of it has its name."""
    program = compile_c(tmp_path, "-O1", "-no-pie", "-Wl,-z,separate-code", source=PATCHED)
    report = added(tmp_path / "store", program)

    verdicts = _verdicts(SymbolStore.open(tmp_path / "store"), report["files"][0]["build_id"], program)

    assert verdicts["wrong"] == verdicts[Unresolved.AMBIGUOUS.name] == 0
    assert verdicts["right"] >= 400


def _verdicts(store: SymbolStore, build_id: str, path: Path) -> Counter[str]:
    """How every function of a file is named by its offset in that file."""
    loads = [
        (int(words[1], 16), int(words[2], 16), int(words[4], 16))
        for words in (line.split() for line in _run("readelf", "-lW", path))
        if words and words[0] == "LOAD"
    ]
    verdicts: Counter[str] = Counter()
    for words in (line.split() for line in _run("nm", "-S", path)):
        if len(words) != 4 or words[2] not in "tT" or not words[3].startswith("berth"):
            continue
        address = int(words[0], 16) + int(words[1], 16) // 2
        offset = next(address - start + at for at, start, size in loads if start <= address < start + size)
        found = store.lookup(build_id, offset, innermost=True)
        if isinstance(found, Resolved):
            verdicts["right" if found.symbol == words[3] else "wrong"] += 1
        else:
            verdicts[found.name] += 1
    return verdicts


def _run(*command: str | Path) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_build_id_of_two_codes_names_nothing_until_an_operator_says_which(tmp_path: Path) -> None:
    """A linker's mistake or a forgery: both files are out, and one command brings the right one back for good."""
    build_id = "38723a" + "07" * 17
    flag = f"-Wl,--build-id=0x{build_id}"
    genuine, forged = (
        compiled_library(tmp_path / "g", OLD, "g.so", flag),
        compiled_library(tmp_path / "f", NEW, "f.so", flag),
    )
    offset = offset_in(genuine, "config")
    store = tmp_path / "store"

    def named() -> str | None:
        found = SymbolStore.open(store).lookup(build_id, offset, innermost=True)
        return found.symbol if isinstance(found, Resolved) else found.name

    added(store, genuine)
    assert named() == "config"
    refused = added(store, forged, exit_code=1)
    assert "callstream symbols resolve" in refused["files"][0]["detail"]
    assert named() == "AMBIGUOUS"
    shown = shown_frame(store, LIBRARY, offset, time_ns=1, loaded=build_id)
    assert shown == Shown("", "", "AMBIGUOUS")

    resolve = ["symbols", "resolve", "--store", str(store), build_id]
    assert CliRunner().invoke(cli, [*resolve, str(genuine)]).exit_code == 0
    assert named() == "config"
    added(store, forged, exit_code=1)
    added(store, forged, genuine, exit_code=1)
    assert named() == "config"
    assert shown_frame(store, LIBRARY, offset, time_ns=1, loaded=build_id) == Shown("config", build_id, "EXACT")


def test_two_codes_that_are_added_at_once_are_ambiguous_too(tmp_path: Path) -> None:
    """Which of them is looked at first is chance."""
    flag = f"-Wl,--build-id=0x{'4d' * 19}01"
    one, other = (
        compiled_library(tmp_path / "g", OLD, "g.so", flag),
        compiled_library(tmp_path / "f", NEW, "f.so", flag),
    )

    added(tmp_path / "store", one, other, exit_code=1)

    store = SymbolStore.open(tmp_path / "store")
    assert store.ambiguous == {"4d" * 19 + "01"}
    listed = CliRunner().invoke(cli, ["symbols", "list", "--store", str(tmp_path / "store")])
    assert "ambiguous" in listed.output


def test_resolve_takes_no_other_file(tmp_path: Path) -> None:
    """A file of another build id, or without code, settles nothing."""
    library = compiled_library(tmp_path / "g", OLD, "g.so")
    result = CliRunner().invoke(
        cli, ["symbols", "resolve", "--store", str(tmp_path / "store"), "--json", "ab" * 20, str(library)]
    )

    assert result.exit_code == 1
    assert "build id" in json.loads(result.output)["reason"]


@pytest.mark.parametrize("filler", ["00", "ff"])
def test_blank_build_id_is_none(tmp_path: Path, filler: str) -> None:
    """A note that nobody filled in names no file: the file's own digest does."""
    library = compiled_library(tmp_path, OLD, "g.so", f"-Wl,--build-id=0x{filler * 20}")
    report = added(tmp_path / "store", library)

    assert len(report["files"][0]["build_id"]) == 64

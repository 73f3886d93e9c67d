"""Names and lines of our indexes against what nm and addr2line say of the same files.

Every program is compiled here. A wrong name, or a name in a gap, fails; the share that has no name is printed (-s).
"""

import random
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import SymbolOrigin
from agents.symbols.lookup import Resolved, Unresolved
from tests.support.indexed_files import index_of
from tests.support.programs import (
    Truth,
    comparable,
    compile_c,
    compile_cxx,
    compile_go,
    compile_rust,
    need,
    run,
)

OFFSETS = 3000
"""Random file offsets of each program."""

Compiled = Callable[[Path], Path]

PROGRAMS: dict[str, Compiled] = {
    "c-pie": lambda folder: compile_c(folder, "-O2", "-fPIE", "-pie"),
    "c-no-pie": lambda folder: compile_c(folder, "-O0", "-fno-pie", "-no-pie"),
    "c-static": lambda folder: compile_c(folder, "-O2", "-static"),
    "c-one-segment": lambda folder: compile_c(folder, "-O2", "-Wl,-z,noseparate-code"),
    "c-shared": lambda folder: compile_c(folder, "-O2", "-fPIC", "-shared"),
    "c-sections": lambda folder: compile_c(folder, "-O2", "-ffunction-sections", "-Wl,--gc-sections"),
    "c++-pie": lambda folder: compile_cxx(folder, "-O2"),
    "c++-static": lambda folder: compile_cxx(folder, "-O1", "-static"),
    "rust": lambda folder: compile_rust(folder, "-O"),
    "rust-debug": lambda folder: compile_rust(folder, "-g"),
    "rust-v0": lambda folder: compile_rust(folder, "-Csymbol-mangling-version=v0"),
    "go": compile_go,
    "go-pie": lambda folder: compile_go(folder, "-buildmode=pie"),
}


@pytest.fixture(name="compiled", scope="module")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A program by name, compiled when a test first asks for it; tests leave it as it is."""
    return cache(lambda name: PROGRAMS[name](tmp_path_factory.mktemp(name.replace("+", "x"))))


def offsets(index: SymbolIndex, count: int = OFFSETS) -> list[int]:
    """Random offsets in code, and the edges of every function."""
    chance = random.Random(20241124)
    chosen = {s.file_offset + chance.randrange(s.size) for s in index.segments for _ in range(count)}
    for span in index.ranges():
        for address in (span.start - 1, span.start, span.start + span.length - 1, span.start + span.length):
            chosen |= {
                s.file_offset + address - s.address for s in index.segments if s.address <= address < s.address + s.size
            }
    return sorted(chosen)


def assert_true(index: SymbolIndex, truth: Truth) -> None:
    """Every name is that of a symbol which covers the address, and covered addresses all have one."""
    named = 0
    asked = offsets(index)
    for offset in asked:
        address = index.address_of(offset)
        assert address is not None
        found = index.lookup(offset, innermost=True)
        covering = truth.covering(address)
        if isinstance(found, Resolved):
            named += 1
            expected = covering or truth.sizeless_before(address)
            assert (comparable(found.symbol), found.offset) in expected, hex(address)
        else:
            assert found is Unresolved.NO_SYMBOL
            assert not covering, hex(address)
    print(f"{named} of {len(asked)} offsets named, {len(asked) - named} in no function")  # noqa: T201 - shown with -s


@pytest.mark.parametrize("name", PROGRAMS)
def test_names_of_a_program_are_those_of_nm(name: str, compiled: Callable[[str], Path]) -> None:
    """Unstripped: every offset has the name of a symbol that covers it, or none where none does."""
    program = compiled(name)

    assert_true(index_of(program), Truth(program))


@pytest.mark.parametrize("name", PROGRAMS)
def test_stripped_program_gives_no_other_name(name: str, compiled: Callable[[str], Path], tmp_path: Path) -> None:
    """What a stripped copy still names, it names like the original; Go keeps all of its functions."""
    need("strip")
    program = compiled(name)
    stripped = tmp_path / "stripped"
    run("strip", "-o", stripped, program)
    whole, left = index_of(program), index_of(stripped)

    assert (whole.build_id, whole.code_digest) == (left.build_id, left.code_digest)
    assert whole.segments == left.segments
    for offset in offsets(whole, 1000):
        found = left.lookup(offset, innermost=True)
        if isinstance(found, Resolved):
            assert whole.lookup(offset, innermost=True) == found
    if name.startswith("go"):
        assert left.origins & SymbolOrigin.GOPCLNTAB
        assert left.range_count > 0.95 * whole.range_count


@pytest.mark.parametrize("name", ["c-pie", "c-no-pie", "c++-pie", "c-shared"])
def test_separate_debug_file_gives_all_names_back(name: str, compiled: Callable[[str], Path], tmp_path: Path) -> None:
    """A stripped program with its debug file is as good as the original."""
    need("strip", "objcopy")
    program = compiled(name)
    run("objcopy", "--only-keep-debug", program, tmp_path / "program.debug")
    run("strip", "-o", tmp_path / "stripped", program)
    index = index_of(tmp_path / "stripped", tmp_path / "program.debug")

    assert index.origins & SymbolOrigin.DEBUG_FILE
    assert list(index.ranges()) == list(index_of(program).ranges())
    assert_true(index, Truth(program))


@pytest.mark.parametrize("name", ["c-pie", "c++-pie"])
def test_mini_debug_information_gives_functions_back(
    name: str, compiled: Callable[[str], Path], tmp_path: Path
) -> None:
    """.gnu_debugdata, an xz-packed .symtab as Fedora adds it, names what .dynsym lacks."""
    need("strip", "objcopy", "xz")
    program = compiled(name)
    run("objcopy", "--only-keep-debug", program, tmp_path / "mini")
    run("strip", "--remove-section=.comment", "--strip-debug", tmp_path / "mini")
    run("xz", "--keep", tmp_path / "mini")
    run("strip", "-o", tmp_path / "stripped", program)
    run("objcopy", f"--add-section=.gnu_debugdata={tmp_path / 'mini.xz'}", tmp_path / "stripped", tmp_path / "packed")
    index = index_of(tmp_path / "packed")

    assert index.origins & SymbolOrigin.GNU_DEBUGDATA
    assert list(index.ranges()) == list(index_of(program).ranges())


@pytest.mark.parametrize("name", ["c-pie", "c-no-pie", "c++-pie", "rust", "rust-v0", "go"])
def test_functions_are_those_that_a_debugger_shows(name: str, compiled: Callable[[str], Path], tmp_path: Path) -> None:
    """Gdb places thousands of random addresses in functions; where it and we name one, it begins at the same byte."""
    need("gdb")
    program = compiled(name)
    index = index_of(program)
    asked = [offset for offset in offsets(index) if isinstance(index.lookup(offset, innermost=True), Resolved)]
    (tmp_path / "asked").write_text("".join(f"info symbol {index.address_of(offset):#x}\n" for offset in asked))
    options: list[str | Path] = ["-iex", "set auto-load off", "-ex", "set print demangle off", "-x", tmp_path / "asked"]
    answers = run("gdb", "-nx", "-batch", *options, program).splitlines()

    named = 0
    for offset, answer in zip(asked, answers, strict=True):
        found = index.lookup(offset, innermost=True)
        shown = re.fullmatch(r"(.+?)(?: \+ (\d+))? in section \S+", answer)
        if shown is not None:
            named += 1
            assert isinstance(found, Resolved)
            assert found.offset == int(shown[2] or 0), (hex(offset), answer, found)
    assert named > len(asked) * 0.95


def _installed(name: str) -> Path | None:
    """A shared library that this Python process has mapped."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name.startswith(name):
            return path
    return None


def _libpython() -> Path | None:
    name = sysconfig.get_config_var("INSTSONAME") or ""
    candidates = [Path(sysconfig.get_config_var("LIBDIR") or "") / name, Path(sys.base_prefix) / "lib" / name]
    found = _installed("libpython") or next((path for path in candidates if name.count(".so") and path.is_file()), None)
    return found or Path(sys.executable).resolve()  # linked statically: the interpreter itself


@pytest.mark.parametrize("name", ["libc", "libpython", "libstdc++"])
def test_every_function_of_the_machines_own_library(name: str) -> None:
    """Every function of real libraries has its name at its first and last byte, and no gap has one."""
    path = _libpython() if name == "libpython" else _installed(name)
    if path is None and name == "libstdc++" and shutil.which("g++"):
        path = Path(run("g++", "-print-file-name=libstdc++.so.6").strip()).resolve()
    if path is None:
        pytest.skip(f"this machine has no {name}")
    index, truth = index_of(path), Truth(path)

    assert_true(index, truth)
    for function in truth.ranges:
        at = [s for s in index.segments if s.address <= function.address < s.address + s.size]
        if function.size and at:
            for address in (function.address, function.address + function.size - 1):
                found = index.lookup(at[0].file_offset + address - at[0].address, innermost=True)
                assert isinstance(found, Resolved), function


def named_offsets(index: SymbolIndex) -> tuple[list[int], str]:
    """Offsets in functions, and their addresses, a line each, as addr2line is asked."""
    named = [o for o in offsets(index, 1500) if isinstance(index.lookup(o, innermost=True), Resolved)]
    return named, "\n".join(f"{index.address_of(offset):#x}" for offset in named)


@pytest.mark.parametrize(
    ("compile_program", "flags"),
    [
        (compile_c, ("-O2", "-gdwarf-4")),
        (compile_c, ("-O2", "-gdwarf-5")),
        (compile_c, ("-O0", "-gdwarf-5", "-no-pie", "-fno-pie")),
        (compile_cxx, ("-O2", "-gdwarf-4")),
        (compile_cxx, ("-O2", "-gdwarf-5")),
        (compile_cxx, ("-O2", "-gdwarf-5", "-gz=zlib")),
        (compile_rust, ("-O", "-g")),
        (compile_go, ()),
    ],
)
def test_lines_are_those_of_addr2line(
    compile_program: Callable[..., Path], flags: tuple[str, ...], tmp_path: Path
) -> None:
    """The line of every offset is the one that addr2line prints, and its file ends with ours."""
    need("addr2line")
    program = compile_program(tmp_path, *flags)
    index = index_of(program, lines=True)
    asked, addresses = named_offsets(index)
    done = subprocess.run(["addr2line", "-e", program], input=addresses, check=True, capture_output=True, text=True)

    known = 0
    for offset, truth in zip(asked, done.stdout.splitlines(), strict=True):
        found = index.lookup(offset, innermost=True)
        assert isinstance(found, Resolved)
        file, _, line = truth.split(" (discriminator")[0].rpartition(":")
        running = found.inlined[0] if found.inlined else found  # the innermost function
        if running.line_number is None:
            assert line in {"?", "0"}, (hex(offset), truth)
            continue
        known += 1
        assert running.source_file is not None
        assert not running.source_file.startswith(str(tmp_path))
        if line not in {"?", "0"}:
            assert (running.line_number, Path(file).name) == (int(line), Path(running.source_file).name), hex(offset)
    assert known > len(asked) / 20


@pytest.mark.parametrize(
    ("compile_program", "flags"),
    [
        (compile_c, ("-O2", "-gdwarf-4")),
        (compile_c, ("-O3", "-gdwarf-5", "-flto")),
        (compile_cxx, ("-O2", "-gdwarf-4", "-gstrict-dwarf")),
        (compile_cxx, ("-O2", "-gdwarf-5")),
        (compile_rust, ("-O", "-g")),
    ],
)
def test_inlined_functions_are_those_of_addr2line(
    compile_program: Callable[..., Path], flags: tuple[str, ...], tmp_path: Path
) -> None:
    """At every offset the chain of inlined functions, and the line in each, is the one that addr2line prints."""
    need("addr2line")
    program = compile_program(tmp_path, *flags)
    index = index_of(program, lines=True)
    asked, addresses = named_offsets(index)
    command = ["addr2line", "-a", "-f", "-i", "-e", str(program)]
    done = subprocess.run(command, input=addresses, check=True, capture_output=True, text=True)
    chains = [chain.splitlines()[1:] for chain in re.split(r"^(?=0x)", done.stdout, flags=re.MULTILINE)[1:]]

    inlined = 0
    for offset, chain in zip(asked, chains, strict=True):
        found = index.lookup(offset, innermost=True)
        assert isinstance(found, Resolved)
        lines = [text.split(" (discriminator")[0].rpartition(":")[2] for text in chain[1::2]]
        ours = [*(one.line_number for one in found.inlined), found.line_number]
        if not found.inlined or "?" in lines or "0" in lines:
            continue
        inlined += 1
        assert list(map(str, ours)) == lines, (hex(offset), chain)
        for one, name in zip(found.inlined, chain[::2], strict=False):
            assert comparable(name) in {one.symbol, found.symbol}, hex(offset)  # it may print the symbol's name instead
    assert inlined

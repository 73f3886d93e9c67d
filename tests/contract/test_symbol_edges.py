"""What readers of symbols get wrong: labels without a size, a signal's return, discarded code, packed sections."""

import time
from io import BytesIO
from pathlib import Path
from struct import Struct

import pytest

from agents.symbols.index import SymbolIndex
from agents.symbols.lookup import Resolved, Unresolved
from app.symbols.elf import MAX_SECTIONS, read_structure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from tests.support.elf_files import ElfFile, ElfSymbol
from tests.support.indexed_files import index_of
from tests.support.programs import LABEL_C_SOURCE, compile_c, compile_cxx_source, need, run

TEMPLATES = """
#include <cstdio>
template <class T> __attribute__((noinline)) T twice(T x) { return x + x; }
template <class T> __attribute__((noinline)) T thrice(T x) { return twice(x) + x; }
int main(int argc, char**) { std::printf("%d %f\\n", thrice(argc), twice(1.5 * argc)); }
"""

SIGNALS = """
#include <signal.h>
#include <unistd.h>
static void handler(int s) { _exit(s); }
int main(void) { signal(SIGUSR1, handler); kill(getpid(), SIGUSR1); return 0; }
"""

DISCARDED = """
int table[64];
int discarded(int x) {
  for (int i = 0; i < 64; i++) { table[i] += x; x ^= table[i]; x *= 3; table[63 - i] -= x; }
  for (int i = 0; i < 64; i++) { table[i] -= x; x += table[i]; x *= 5; table[63 - i] += x; }
  return x;
}
__attribute__((noinline)) int used(int x) {
  return x * 3 + table[x & 63];
}
int main(int argc, char **argv) {
  (void)argv;
  return used(argc);
}
"""


def offset_of(index: SymbolIndex, name: str) -> int:
    """The file offset of a function's first byte."""
    address = next(one.start - one.delta for one in index.ranges() if one.name == name)
    segment = next(s for s in index.segments if s.address <= address < s.address + s.size)
    return address - segment.address + segment.file_offset


def assert_no_other_name(left: SymbolIndex, whole: SymbolIndex) -> None:
    """What `left` names anywhere in the code, `whole` names the same."""
    named = 0
    for segment in whole.segments:
        for offset in range(segment.file_offset, segment.file_offset + segment.size):
            found = left.lookup(offset, innermost=True)
            if isinstance(found, Resolved):
                named += 1
                assert whole.lookup(offset, innermost=True) == found, hex(offset)
    assert named


def test_label_without_size_ends_where_the_next_function_begins(tmp_path: Path) -> None:
    """`strip -x` takes the names of static functions away; the label before them does not get their code."""
    need("strip")
    whole = compile_c(tmp_path, "-O1", source=LABEL_C_SOURCE)
    run("strip", "-x", "-o", tmp_path / "stripped", whole)
    left = index_of(tmp_path / "stripped")

    assert isinstance(index_of(whole).lookup(offset_of(index_of(whole), "second"), innermost=True), Resolved)
    assert left.lookup(offset_of(index_of(whole), "second"), innermost=True) is Unresolved.NO_SYMBOL
    assert_no_other_name(left, index_of(whole))


def test_mini_debug_information_without_weak_functions_gives_no_other_name(tmp_path: Path) -> None:
    """Tools that keep only types T and t of nm lose instances of templates, and labels stand before them."""
    need("strip", "objcopy", "nm", "xz")
    whole = compile_cxx_source(tmp_path, TEMPLATES, "-O1")
    kept = [line.split()[0] for line in run("nm", "--format=posix", "--defined-only", whole).splitlines()
            if line.split()[1] in {"T", "t", "D"}]  # fmt: skip
    (tmp_path / "kept").write_text("\n".join(kept))
    run("objcopy", "-S", f"--keep-symbols={tmp_path / 'kept'}", whole, tmp_path / "mini")
    run("xz", "--keep", tmp_path / "mini")
    run("strip", "-o", tmp_path / "stripped", whole)
    run("objcopy", f"--add-section=.gnu_debugdata={tmp_path / 'mini.xz'}", tmp_path / "stripped", tmp_path / "packed")

    assert_no_other_name(index_of(tmp_path / "packed"), index_of(whole))


def test_return_of_a_signal_handler_is_named(tmp_path: Path) -> None:
    """The kernel puts the first byte of `__restore_rt` on the stack; the byte before it is nobody's."""
    index = index_of(compile_c(tmp_path, "-O1", "-static", source=SIGNALS))
    offset = offset_of(index, "__restore_rt")

    assert index.lookup(offset, innermost=False) == Resolved("__restore_rt", 0)
    assert index.lookup(offset - 1, innermost=True) is Unresolved.NO_SYMBOL


@pytest.mark.parametrize("linker", [("-fuse-ld=bfd", "-Wl,-z,noseparate-code"), ("-fuse-ld=gold",)])
def test_lines_of_code_behind_what_the_linker_discarded(linker: tuple[str, ...], tmp_path: Path) -> None:
    """A discarded function's lines are left at address 0, where a segment of code may begin."""
    need(linker[0].replace("-fuse-ld=", "ld."))
    flags = ("-g", "-O1", "-ffunction-sections", "-Wl,--gc-sections", *linker)
    index = index_of(compile_c(tmp_path, *flags, source=DISCARDED), lines=True)
    found = index.lookup(offset_of(index, "used"), innermost=True)

    assert index.segments[0].address == 0
    assert isinstance(found, Resolved)
    assert (found.symbol, found.source_file, found.line_number) == ("used", "program.c", 9)


@pytest.mark.parametrize("flag", ["-gz=zlib", "-gz=zlib-gnu", "-gz=none", "-gdwarf64"])
def test_lines_are_read_however_sections_are_packed(flag: str, tmp_path: Path) -> None:
    """ELF compression, GNU's older one, and the 64-bit format of DWARF."""
    index = index_of(compile_c(tmp_path, "-g", "-O1", flag, source=DISCARDED), lines=True)
    found = index.lookup(offset_of(index, "used"), innermost=True)

    assert isinstance(found, Resolved)
    assert found.line_number == 9


def test_lines_packed_with_zstd_are_read(tmp_path: Path) -> None:
    """As distributions pack them since 2023."""
    need("objcopy")
    program = compile_c(tmp_path, "-g", "-O1", source=DISCARDED)
    if "zstd" not in run("objcopy", "--help"):
        pytest.skip("this machine's objcopy knows no zstd")
    run("objcopy", "--compress-debug-sections=zstd", program, tmp_path / "packed")
    index = index_of(tmp_path / "packed", lines=True)

    assert index.line_count == index_of(program, lines=True).line_count > 0


def test_names_stay_where_lines_cannot_be_read(tmp_path: Path) -> None:
    """A section that is packed in an unknown way costs lines, not names, and the note says why."""
    program = compile_c(tmp_path, "-g", "-O1", "-gz=zlib", source=DISCARDED)
    content = bytearray(program.read_bytes())
    structure = read_structure(BytesIO(bytes(content)), memoryview(bytes(content)))
    section = next(one for one in structure.dwarf if one.name == ".debug_line")
    content[section.part.offset : section.part.offset + 4] = (77).to_bytes(4, "little")
    (tmp_path / "odd").write_bytes(content)
    notes: list[str] = []
    index = index_of(tmp_path / "odd", lines=True, note=notes.append)

    assert [one.name for one in index.ranges()] == [one.name for one in index_of(program).ranges()]
    assert index.line_count == 0
    assert notes == ["without debug information: packed in a way that callstream does not know (.debug_line: type 77)"]


@pytest.mark.parametrize(("order", "flags", "is_refused"), [(">", 0, True), (">", 1, True), ("<", 2, False)])
def test_powerpc_with_descriptors_is_refused(order: str, flags: int, is_refused: bool) -> None:
    """In ELF ABI version 1 a function's symbol stands for its descriptor, so hardly any code has a name."""
    content = bytearray(ElfFile((ElfSymbol("f", 0x1000, 16),), order=order, machine=21).encode())
    content[48:52] = flags.to_bytes(4, "big" if order == ">" else "little")
    if not is_refused:
        assert read_structure(BytesIO(bytes(content)), memoryview(bytes(content))).symtab is not None
        return
    with pytest.raises(FileRefusedError) as refused:
        read_structure(BytesIO(bytes(content)), memoryview(bytes(content)))
    assert refused.value.reason is FileRefusalReason.UNSUPPORTED


def test_endless_names_of_many_sections_cost_little() -> None:
    """A table of names without a NUL is not decoded once for each section."""
    header = Struct("<16sHHIQQQIHHHHHH")
    section = Struct("<IIQQQQIIQQ")
    names = b"\xff" * 3_000_000
    at = header.size
    table = at + len(names)
    ident = b"\x7fELF\2\1\1" + bytes(9)
    content = header.pack(ident, 3, 62, 1, 0, 0, table, 0, header.size, 56, 0, section.size, MAX_SECTIONS, 1) + names
    content += section.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    content += section.pack(0, 3, 0, 0, at, len(names), 0, 0, 1, 0) * (MAX_SECTIONS - 1)
    started = time.process_time()
    structure = read_structure(BytesIO(content), memoryview(content))

    assert structure.segments == ()
    assert time.process_time() - started < 10  # decoding the names each time takes minutes

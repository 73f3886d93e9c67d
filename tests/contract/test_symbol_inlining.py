"""Functions that real compilers put into others: where they are, what a frame says of them, and what is not known."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.symbols.function_names import FunctionNames, InlinedCopy
from agents.symbols.index_format import SymbolOrigin
from app.__main__ import cli
from app.symbols.adding import AddOptions
from app.symbols.store import SymbolStore
from schemas.canonical_pb2 import CanonicalEvent, CanonicalFrame, FrameResolution
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.indexed_files import add_to, index_of, names_of
from tests.support.programs import compile_c, compile_cxx_source, compile_go_source, need, run

C_LIBRARY = """#include <unistd.h>
static inline __attribute__((always_inline)) int checked(const char *p, int n) {
  return n > 0 ? p[0] + getpid() : 0;
}
static inline __attribute__((always_inline)) int header(const char *p, int n) {
  int x = 7;
  for (int i = 0; i < n; i++) x = x * 31 + p[i];
  return x + checked(p, x);
}
__attribute__((noinline)) int image(const char *p, int n) {
  return header(p, n) + 1;
}
int picture(const char *p, int n) __attribute__((alias("image")));
"""

CXX_PROGRAM = """
struct Counter { int n; Counter(int x) : n(x * 3) {} int squared() const { return n * n; } };
static inline int twice(int x) { return x * 2 + 7; }
namespace { inline int thrice(int x) { return x * 3 + twice(x); } }
__attribute__((noinline)) int host(int x) { Counter c(x); return thrice(x) + c.squared(); }
int main(int argc, char**) { return host(argc); }
"""

GO_PROGRAM = """
package main

import "os"

type token struct{ text string }

func CheckSignature(t token) bool { return len(t.text) > 3 && t.text[0] == 'x' }

//go:noinline
func Verify(t token) bool { return helper(t) || CheckSignature(t) }

func helper(t token) bool { return CheckSignature(token{t.text[1:]}) }

func main() {
\tif Verify(token{os.Args[0]}) {
\t\tos.Exit(1)
\t}
}
"""

FOLDED = """
__attribute__((always_inline)) inline int folded(int x, int y) { return x - y; }
extern inline int folded(int x, int y);
__attribute__((noinline)) int entered(int x, int y) { return x * y + folded(x, x); }
"""

RUST_LIBRARY = """
#![no_std]
#[no_mangle] #[inline(always)] pub extern "C" fn folded(x: i32, y: i32) -> i32 { x.wrapping_sub(y) }
#[no_mangle] #[inline(always)] pub extern "C" fn kept(x: i32, y: i32) -> i32 { x.wrapping_mul(y) ^ 77 }
#[no_mangle] #[inline(never)] pub extern "C" fn entered(x: i32, y: i32) -> i32 { kept(x, y) + folded(x, x) }
"""

FLAGS = ("-O2", "-fPIC", "-shared")


@pytest.mark.parametrize("flags", [("-gdwarf-4",), ("-gdwarf-5",), ("-g", "-gdwarf64"), ("-g1",), ("-g", "-gz=zlib")])
def test_debug_information_says_where_a_function_was_inlined(flags: tuple[str, ...], tmp_path: Path) -> None:
    """By name, with the function around it; and since all functions are described, that there is no other copy."""
    names = names_of(compile_c(tmp_path, *FLAGS, *flags, source=C_LIBRARY))

    assert [copy.host for copy in names.copies("header")] == ["image"]
    assert [copy.host for copy in names.copies("checked")] == ["image"]
    assert names.copies("image") == ()
    assert names.codes("header") == ()
    assert names.inline_knowledge.is_whole
    assert not names.knows("heather")
    assert names.nearest("heather") == ("header",)


def test_without_debug_information_nothing_is_known_of_inlining(tmp_path: Path) -> None:
    """No copy is known, and that means nothing."""
    names = names_of(compile_c(tmp_path, *FLAGS, source=C_LIBRARY))

    assert names.copies("header") == ()
    assert not names.inline_knowledge.is_whole
    assert names.inline_knowledge.share == 0


def test_object_without_debug_information_is_a_share_that_is_missing(tmp_path: Path) -> None:
    """A copy may be in any function that nothing describes."""
    need("gcc")
    bare = tmp_path / "bare.c"
    bare.write_text("int bare(int x) { return x * x + 1; }")
    run("gcc", "-O2", "-fPIC", "-c", bare, "-o", tmp_path / "bare.o")
    names = names_of(compile_c(tmp_path, *FLAGS, "-g", str(tmp_path / "bare.o"), source=C_LIBRARY))

    assert [copy.host for copy in names.copies("header")] == ["image"]
    assert not names.inline_knowledge.is_whole
    assert 0 < names.inline_knowledge.share < 1


def test_copy_in_a_function_that_the_linker_discarded_is_no_copy(tmp_path: Path) -> None:
    """Its debug information stays behind, at address 0."""
    unused = "int unused(const char *p, int n) { return checked(p, n) * 2; }\nint main(void) { return 0; }\n"
    flags = ("-O2", "-g", "-ffunction-sections", "-Wl,--gc-sections", "-Wl,-z,noseparate-code")
    names = names_of(compile_c(tmp_path, *flags, source=C_LIBRARY + unused))

    assert names.codes("unused") == names.codes("image") == ()
    assert names.copies("checked") == names.copies("header") == ()
    assert names.inline_knowledge.is_whole


def test_stripped_library_with_its_debug_file_knows_as_much(tmp_path: Path) -> None:
    """Both together and one after the other give the same."""
    need("strip", "objcopy")
    whole = compile_c(tmp_path, *FLAGS, "-g", source=C_LIBRARY)
    run("objcopy", "--only-keep-debug", whole, tmp_path / "debug")
    run("strip", "-o", tmp_path / "stripped", whole)
    names = names_of(tmp_path / "stripped", tmp_path / "debug")

    assert names.copies("header") == names_of(whole).copies("header")
    assert names.inline_knowledge == names_of(whole).inline_knowledge


def test_llvm_does_not_tell_of_a_copy_that_left_no_instruction(tmp_path: Path) -> None:
    """So not all copies in what it compiled are known, and a function that it describes may run in another."""
    need("gcc", "rustc")
    (tmp_path / "folded.rs").write_text(RUST_LIBRARY)
    run("rustc", "-O", "-g", "--crate-type=lib", "--emit=obj", tmp_path / "folded.rs", "-o", tmp_path / "folded.o")
    run("gcc", "-shared", "-nostdlib", tmp_path / "folded.o", "-o", tmp_path / "folded.so")
    names = names_of(tmp_path / "folded.so")

    assert names.codes("folded")
    assert names.copies("folded") == ()
    assert [copy.host for copy in names.copies("kept")] == ["entered"]
    assert not names.inline_knowledge.is_whole


def test_gcc_does_not_tell_either_when_it_optimizes_at_link_time(tmp_path: Path) -> None:
    """Whether a function was inlined is said in entries that are written before."""
    names = names_of(compile_c(tmp_path, *FLAGS, "-g", "-flto", source=FOLDED))
    told = names_of(compile_c(tmp_path, *FLAGS, "-g", source=FOLDED))

    assert names.codes("folded")
    assert not names.has_lost_copies("folded")
    assert not names.inline_knowledge.is_whole
    assert told.has_lost_copies("folded")
    assert told.inline_knowledge.is_whole


def test_cxx_functions_are_found_by_the_linkers_names(tmp_path: Path) -> None:
    """A constructor by both of its names; a function of one file by the name that its symbol would have."""
    names = names_of(compile_cxx_source(tmp_path, CXX_PROGRAM, "-O2", "-g"))
    hosts = {name: [copy.host for copy in names.copies(name)] for name in CXX_NAMES}

    assert hosts == {name: ["_Z4hosti"] for name in CXX_NAMES}
    assert names.copies("_ZL6absenti") == ()
    assert names.inline_knowledge.is_whole


CXX_NAMES = (
    "_ZN7CounterC1Ei",
    "_ZN7CounterC2Ei",
    "_ZNK7Counter7squaredEv",
    "_ZL5twicei",
    "_ZN12_GLOBAL__N_16thriceEi",
)


@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",), ("-buildmode=pie", "-ldflags=-s -w")])
def test_go_keeps_its_inline_tree_when_it_is_stripped(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Go's tracebacks need it; of copies that are attributed to the caller alone it says nothing."""
    names = names_of(compile_go_source(tmp_path, GO_PROGRAM, *flags))

    assert {copy.host for copy in names.copies("main.CheckSignature")} == {"main.Verify"}
    assert {copy.host for copy in names.copies("main.helper")} == {"main.Verify"}
    assert names.codes("main.CheckSignature") == ()
    assert names.inline_knowledge.sources & SymbolOrigin.GO_INLINE_TREE
    assert names.inline_knowledge.share == 1
    assert not names.inline_knowledge.is_whole


def test_go_lines_and_functions_belong_together(tmp_path: Path) -> None:
    """With lines, the chain of inlined functions has the line of each."""
    index = index_of(compile_go_source(tmp_path, GO_PROGRAM), lines=True)
    (segment,) = index.segments
    copies = FunctionNames(index).copies("main.CheckSignature")
    chains = set()
    for copy in copies:
        found = index.lookup(copy.address - segment.address + segment.file_offset, innermost=True)
        assert found is not None
        chains.add(tuple((one.symbol, one.line_number) for one in (*found.inlined, found)))  # type: ignore[union-attr]

    assert (("main.CheckSignature", 8), ("main.helper", 13), ("main.Verify", 11)) in chains
    assert (("main.CheckSignature", 8), ("main.Verify", 11)) in chains


def frames_at(offset: int, folder: Path, path: Path, *, with_lines: bool) -> list[CanonicalFrame]:
    """The user frames of a call at a file offset of a file that is in a store, as the stage writes them."""
    (report,) = add_to(folder, [path], AddOptions(with_lines=with_lines))
    loader = GetEventsResponse(node_name="n")
    loader.process_loader.process.exec_id = "n:1:2"
    loader.process_loader.path = "/usr/lib/libimage.so"
    loader.process_loader.buildid = bytes.fromhex(report.build_id)  # type: ignore[union-attr]
    call = GetEventsResponse(node_name="n")
    call.process_kprobe.process.exec_id, call.process_kprobe.function_name = "n:1:2", "tcp_connect"
    call.process_kprobe.user_stack_trace.add(module="/usr/lib/libimage.so", offset=offset)
    canonicalizer = Canonicalizer({}, SymbolStore.open(folder))
    frames: list[CanonicalFrame] = []
    for number, event in enumerate((loader, call)):
        event.time.seconds = 1_767_787_200 + number
        outcome = canonicalizer.canonicalize(event.SerializeToString(), 0, number, 0)
        if isinstance(outcome, Canonical):
            frames += CanonicalEvent.FromString(outcome.value).stack.frames
    return frames


def test_symbol_and_line_of_a_frame_belong_together(tmp_path: Path) -> None:
    """Inlined functions are frames of their own where lines are on; without lines there is one frame, as before."""
    library = compile_c(tmp_path, *FLAGS, "-g", source=C_LIBRARY)
    index = index_of(library, lines=True)
    (copy,) = FunctionNames(index).copies("checked")
    (segment,) = index.segments
    offset = copy.address - segment.address + segment.file_offset
    assert copy == InlinedCopy(copy.address, "image")

    frames = frames_at(offset, tmp_path / "with", library, with_lines=True)
    plain = frames_at(offset, tmp_path / "without", library, with_lines=False)

    inlined, exact = FrameResolution.FRAME_RESOLUTION_INLINED, FrameResolution.FRAME_RESOLUTION_EXACT
    assert [(frame.symbol, frame.line_number, frame.resolution) for frame in frames] == [
        ("checked", 3, inlined),
        ("header", 8, inlined),
        ("image", 11, exact),
    ]
    assert len({frame.build_id for frame in frames}) == 1
    assert [frame.offset for frame in frames[:2]] == [0, 0]
    assert [(frame.symbol, frame.resolution, frame.offset) for frame in plain] == [("image", exact, frames[2].offset)]


def test_lookup_shows_what_was_inlined(tmp_path: Path) -> None:
    """The command prints the inlined functions before the one around them; as JSON in a list of their own."""
    library = compile_c(tmp_path, *FLAGS, "-g", source=C_LIBRARY)
    index = index_of(library, lines=True)
    (copy,) = FunctionNames(index).copies("checked")
    (segment,) = index.segments
    where = f"{library}+{copy.address - segment.address + segment.file_offset:#x}"
    store = ["--store", str(tmp_path / "store")]
    assert CliRunner().invoke(cli, ["symbols", "add", "--lines", *store, str(library)]).exit_code == 0

    text = CliRunner().invoke(cli, ["symbols", "lookup", *store, where]).stdout.splitlines()
    row = json.loads(CliRunner().invoke(cli, ["symbols", "lookup", "--json", *store, where]).stdout)

    assert text[:2] == ["checked at program.c:3, inlined into", "header at program.c:8, inlined into"]
    assert text[2].partition("!")[2].startswith("image+0x")
    assert (row["symbol"], row["line_number"]) == ("image", 11)
    assert [(call["symbol"], call["line_number"]) for call in row["inlined"]] == [("checked", 3), ("header", 8)]

"""Watches on what compilers really make: aliases, clones, functions that a file chooses, and other builds of Rust."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from agents.hot_symbols.identity import parse_symbol_id
from agents.hot_symbols.table.any_name import AnyName
from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.deciding import best_possible
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.hot_symbols.watch.watch import Bearing, Watch
from agents.hot_symbols.watch.watched_code import WatchedCode, watched_codes
from app.symbols.adding import AddOptions, Indexed
from app.symbols.known_files import StoreFiles
from app.symbols.store import SymbolStore
from tests.support.indexed_files import add_to
from tests.support.programs import compile_c, compile_go_source, compile_rust, library, need, run

ALIASES = """
#include <unistd.h>
__attribute__((noinline)) int chunk_v2(const char *p, int n) {
  int s = 0; while (n--) s += p[n] * n; return s + getpid(); }
int chunk(const char *, int) __attribute__((alias("chunk_v2")));
int legacy_chunk(const char *, int) __attribute__((alias("chunk_v2")));
static inline __attribute__((always_inline)) int header(const char *p, int n) { return p[0] * 31 + n; }
__attribute__((noinline)) int image(const char *p, int n) { return header(p, n) + chunk(p, n); }
"""

CLONES = """
#include <stdlib.h>
__attribute__((target_clones("avx2", "default"), noinline)) int checksum(const int *p, int n) {
  int s = 0; for (int i = 0; i < n; i++) s += p[i]; return s; }
__attribute__((noinline)) int widen(int *a, int n) {
#pragma omp parallel for
  for (int i = 0; i < n; i++) a[i] *= 2;
  return a[0]; }
__attribute__((noinline)) static int refuse(int x, int y) { if (x > 9) { abort(); } return x * y; }
int main(int argc, char **argv) {
  int a[4] = {argc}; (void)argv; return widen(a, 4) + checksum(a, 4) + refuse(argc, 7); }
"""


class Indexes:
    """A store of compiled files."""

    def __init__(self, folder: Path, files: Iterable[Path]) -> None:
        reports = add_to(folder, files, AddOptions(root=folder.parent, with_lines=True))
        assert all(isinstance(report, Indexed) for report in reports), reports
        self.build_ids = {report.path.name: report.build_id for report in reports if isinstance(report, Indexed)}
        self.files = StoreFiles(SymbolStore.open(folder))

    def code(self, file: str, symbol: str) -> tuple[Watch, WatchedCode]:
        """A watch and its code."""
        watch = Watch(symbol=symbol, build_id=self.build_ids[file], every_call_probed=True)
        return watch, watched_codes([watch], self.files, {})[watch.watch_id]

    def bearing(self, file: str, symbol: str, row: str) -> Bearing:
        """What a row with this symbol says about a watch."""
        watch, code = self.code(file, symbol)
        return code.bearing(watch, parse_symbol_id(f"{watch.build_id}!{row}"), f"/usr/lib/{file}")

    def kinds(self, file: str, symbol: str) -> set[ReasonKind]:
        """The reasons of the best answer, which no test here takes for one of inlined copies."""
        answer, reasons = best_possible(*self.code(file, symbol))
        kinds = {reason.kind for reason in reasons}
        assert (answer is AnswerKind.NOT_SEEN) is not (kinds <= NO_DOUBTS)
        return kinds - {ReasonKind.UNKNOWN_COPIES, ReasonKind.AUTHORS_WORD}


NO_DOUBTS = {ReasonKind.UNKNOWN_COPIES, ReasonKind.AUTHORS_WORD, ReasonKind.SHARED_CODE, ReasonKind.SEVERAL_CODES}


def test_each_name_of_one_body_is_hit_by_rows_of_any_of_them(tmp_path: Path) -> None:
    """The watched name need not be the one that frames carry; a name that no file has is told with the nearest."""
    library = compile_c(tmp_path, "-O1", "-shared", "-fPIC", "-Wl,--build-id", source=ALIASES, name="liba.so")
    made = Indexes(tmp_path / "store", [library])

    for watched in ("chunk", "chunk_v2", "legacy_chunk"):
        for row in ("chunk", "chunk_v2", "legacy_chunk"):
            assert made.bearing("liba.so", watched, row) is Bearing.IS
        assert made.bearing("liba.so", watched, "image") is Bearing.NONE
        assert made.kinds("liba.so", watched) == {ReasonKind.SHARED_CODE}
    assert made.kinds("liba.so", "header") == {ReasonKind.NO_SUCH_NAME}  # nothing says where it went
    assert made.kinds("liba.so", "chunk_v3") == {ReasonKind.NO_SUCH_NAME}


def test_debug_information_tells_never_hit_from_never_entered(tmp_path: Path) -> None:
    """It says what was inlined, and so also what was not."""
    flags = ("-O1", "-shared", "-fPIC", "-Wl,--build-id")
    with_dwarf = compile_c(tmp_path, "-g", *flags, source=ALIASES, name="libg.so")
    without = compile_c(tmp_path, *flags, source=ALIASES, name="liba.so")
    made = Indexes(tmp_path / "store", [with_dwarf, without])

    best = {(file, name): best_possible(*made.code(file, name))[0] for file in made.build_ids for name in ("image",)}
    assert best == {("libg.so", "image"): AnswerKind.NEVER_HIT, ("liba.so", "image"): AnswerKind.NEVER_ENTERED}
    assert made.kinds("libg.so", "header") == {ReasonKind.INLINED_INTO}
    assert made.bearing("libg.so", "header", "header") is Bearing.IS
    assert made.bearing("libg.so", "header", "image") is Bearing.NONE


def test_copy_that_was_merged_without_a_trace_is_an_unknown_one(tmp_path: Path) -> None:
    """GCC says that the function was inlined, and not where: no instruction of the copy is left."""
    source = """
#include <stdlib.h>
int second(const char *s, int n) { (void)s; return n; }
int checked(int x, int strict) { if (strict) abort(); return x; }
__attribute__((noinline)) int calls(const char *s, int n) { return second(s, n); }
__attribute__((noinline)) int trusts(int x) { return checked(x, 0); }
int main(int argc, char **argv) { return calls(*argv, argc) + trusts(argc); }
"""
    program = compile_c(tmp_path, "-O2", "-g", "-Wl,--build-id", source=source, name="merged")
    made = Indexes(tmp_path / "store", [program])

    answers = {name: best_possible(*made.code("merged", name))[0] for name in ("second", "checked", "calls")}
    assert answers == {
        "second": AnswerKind.NEVER_ENTERED,
        "checked": AnswerKind.NEVER_ENTERED,
        "calls": AnswerKind.NEVER_HIT,
    }


GO_MERGED = """
package main

import "os"

func Half(x int) int { return x*3 + 1 }

func Length(s string) int { return len(s) }

var halves, lengths = []func(int) int{Half}, []func(string) int{Length}

//go:noinline
func Calls(x int) int { return Half(x) }

//go:noinline
func Measures(s string) int { return Length(s) }

func main() { os.Exit(Calls(len(os.Args)) + Measures(os.Args[0]) + len(halves) + len(lengths)) }
"""


def test_no_function_of_go_is_never_hit(tmp_path: Path) -> None:
    """Neither Go's inline tree nor its DWARF has an entry for a copy that is attributed to its caller alone."""
    need("strip", "objcopy")
    program = compile_go_source(tmp_path, GO_MERGED)
    run("strip", "-o", tmp_path / "stripped", program)
    run("objcopy", "--rename-section", ".gopclntab=.other", program, tmp_path / "only-dwarf")
    for file in (program, tmp_path / "stripped", tmp_path / "only-dwarf"):
        made = Indexes(tmp_path / f"store-{file.name}", [file])
        for name in ("main.Half", "main.Length", "main.Calls"):
            answer, why = best_possible(*made.code(file.name, name))
            assert (answer, {reason.kind for reason in why} - {ReasonKind.AUTHORS_WORD}) == (
                AnswerKind.NEVER_ENTERED,
                {ReasonKind.UNKNOWN_COPIES},
            )


def test_clones_are_the_function_and_what_chooses_among_them_is_not(tmp_path: Path) -> None:
    """Versions for processors, bodies of parallel regions, and cold or constant parts."""
    program = compile_c(tmp_path, "-O2", "-fopenmp", "-Wl,--build-id", source=CLONES, name="clones")
    made = Indexes(tmp_path / "store", [program])

    assert made.bearing("clones", "checksum", "checksum.avx2") is Bearing.IS
    assert made.bearing("clones", "checksum", "checksum.default") is Bearing.IS
    assert made.bearing("clones", "checksum", "checksum") is Bearing.NONE
    assert made.kinds("clones", "checksum") == {ReasonKind.CHOSEN_AT_RUN_TIME}
    assert made.bearing("clones", "widen", "widen._omp_fn.0") is Bearing.IS
    assert made.kinds("clones", "widen") == set()


CHOSEN = """
__attribute__((noinline)) static int __measure_avx2(const char *s) { int n = 0; while (s[n]) n += 2; return n; }
__attribute__((noinline)) static int __measure_sse2(const char *s) { int n = 0; while (s[n]) n++; return n; }
static int (*choose(void))(const char *) { return __builtin_cpu_supports("avx2") ? __measure_avx2 : __measure_sse2; }
int measure(const char *) __attribute__((ifunc("choose")));
int main(int argc, char **argv) { (void)argc; return measure(*argv); }
"""


def test_rows_of_what_a_file_chooses_are_found_by_the_name_that_it_runs_under(tmp_path: Path) -> None:
    """In a table as for a watch: frames carry only the names of what was chosen."""
    made = Indexes(tmp_path / "store", [compile_c(tmp_path, "-O1", "-Wl,--build-id", source=CHOSEN, name="chosen")])
    names, build_id = AnyName("measure", made.files.names), made.build_ids["chosen"]

    for row, is_it in (("__measure_avx2", True), ("__measure_sse2", True), ("main", False)):
        assert names.is_it(row, build_id) is is_it
        assert names.may_be(f"{build_id}!{row}".encode()) is is_it
        assert made.bearing("chosen", "measure", row) is (Bearing.IS if is_it else Bearing.NONE)


def test_a_watch_means_its_function_in_another_build_of_rust(tmp_path: Path) -> None:
    """The hash of the watched name is that of a build of last month."""
    made = Indexes(tmp_path / "store", [compile_rust(tmp_path, "-C", "metadata=now")])
    names = made.files.names(made.build_ids["program"])
    assert not isinstance(names, ReasonKind)
    shown = next(name for name in names.all_names() if "4shop4show" in name)  # type: ignore[union-attr]
    then = shown[:-17] + "0123456789abcdefE" if shown.startswith("_ZN") else shown.replace("Cs", "Csx", 1)

    assert made.bearing("program", then, shown) is Bearing.IS
    assert ReasonKind.NO_SUCH_NAME not in made.kinds("program", then)


@pytest.mark.parametrize("symbol", ["system", "puts", "strlen"])
def test_the_names_that_people_use_of_libc_are_found(symbol: str, tmp_path: Path) -> None:
    """Whatever other names the code has; what the C library chooses at run time is told."""
    libc = library("libc.so.6")
    made = Indexes(tmp_path / "store", [libc])

    kinds = made.kinds(libc.name, symbol)
    assert kinds == {ReasonKind.CHOSEN_AT_RUN_TIME if symbol == "strlen" else ReasonKind.SHARED_CODE}

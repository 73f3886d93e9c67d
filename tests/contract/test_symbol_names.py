"""What names mean in files that real compilers and linkers made: aliases, folded code, and code chosen at load time."""

import platform
from pathlib import Path

import pytest

from tests.support.indexed_files import names_of
from tests.support.programs import compile_c, compile_cxx_source, library, need, run

ALIASES = """
#include <unistd.h>
__attribute__((noinline)) int __internal_read_all(int n) { return n * getpid(); }
int _IO_read_all(int) __attribute__((alias("__internal_read_all")));
int read_all(int) __attribute__((weak, alias("__internal_read_all")));
int read_all_64(int) __attribute__((weak, alias("__internal_read_all")));
"""

CHOSEN = """
__attribute__((target_clones("avx2", "sse4.2", "default"), noinline)) int checksum(const unsigned char *p, int n) {
  int s = 0;
  for (int i = 0; i < n; i++) s = s * 31 + p[i];
  return s;
}
int checksum_of_line(const unsigned char *p) { return checksum(p, 80); }
"""

FOLDED = """
struct First { int a; __attribute__((noinline)) int twice(int x) { return x * 2 + a; } };
struct Other { int a; __attribute__((noinline)) int twice(int x) { return x * 2 + a; } };
int main(int argc, char**) { First f{argc}; Other o{argc}; return f.twice(1) + o.twice(2); }
"""

SHARED = ("-O1", "-fPIC", "-shared")


def test_every_alias_is_the_code_whose_frames_carry_the_public_name(tmp_path: Path) -> None:
    """The public name is weak, as glibc's are, and comes before its twins with underscores; stripped or not."""
    need("strip")
    whole = compile_c(tmp_path, *SHARED, source=ALIASES)
    run("strip", "-o", tmp_path / "stripped", whole)
    every = ("read_all", "__internal_read_all", "_IO_read_all", "read_all_64")

    for names in (names_of(whole), names_of(tmp_path / "stripped")):
        (code,) = names.codes("read_all")
        assert code.frame_symbol == "read_all"
        assert set(code.names) == set(every)
        assert code.names[0] == "read_all"
        assert all(names.codes(name) == (code,) for name in every)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the versions are those of x86")
def test_function_that_is_chosen_at_load_time_names_its_versions(tmp_path: Path) -> None:
    """GCC's target_clones: the name is a resolver, the versions have names of their own, and others have not."""
    names = names_of(compile_c(tmp_path, *SHARED, source=CHOSEN))

    assert names.is_resolver("checksum")
    assert set(names.implementations("checksum")) == {"checksum.avx2", "checksum.sse4_2", "checksum.default"}
    assert not names.is_resolver("checksum_of_line")
    assert names.implementations("checksum_of_line") == ()


def test_static_functions_of_one_name_are_several_codes(tmp_path: Path) -> None:
    """A name can stand for functions of two source files."""
    need("gcc")
    other = tmp_path / "other.c"
    other.write_text("static __attribute__((noinline)) int parse(int x) { return x * 5; }\n"
                     "int other(int x) { return parse(x) + 1; }\n")  # fmt: skip
    run("gcc", "-O1", "-fPIC", "-c", other, "-o", tmp_path / "other.o")
    source = (
        "static __attribute__((noinline)) int parse(int x) { return x * 3; }\nint one(int x) { return parse(x) + 1; }\n"
    )
    names = names_of(compile_c(tmp_path, *SHARED, str(tmp_path / "other.o"), source=source))
    codes = names.codes("parse")

    assert len(codes) == 2
    assert {code.frame_symbol for code in codes} == {"parse"}
    assert not any(code.is_exported for code in codes)


def test_functions_that_the_linker_folded_share_a_code(tmp_path: Path) -> None:
    """Nobody can tell which of them ran, so the code has both names."""
    need("ld.gold")
    flags = ("-O1", "-ffunction-sections", "-fuse-ld=gold", "-Wl,--icf=all")
    names = names_of(compile_cxx_source(tmp_path, FOLDED, *flags))
    (code,) = names.codes("_ZN5First5twiceEi")

    assert set(code.names) == {"_ZN5First5twiceEi", "_ZN5Other5twiceEi"}
    assert names.codes("_ZN5Other5twiceEi") == (code,)


@pytest.mark.parametrize("name", ["system", "puts", "close", "mmap", "vsnprintf", "clone"])
def test_machines_libc_says_the_names_that_people_use(name: str) -> None:
    """Frames of the C library carry the documented name, whatever twins it has."""
    codes = names_of(library("libc.so.6")).codes(name)

    assert codes
    assert {code.frame_symbol for code in codes} == {name}

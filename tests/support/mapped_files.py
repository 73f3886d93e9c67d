"""Compiled files at paths of nodes and images, and the frames that calls in them become."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from app.__main__ import cli
from app.symbols.store import SymbolStore
from schemas.canonical_pb2 import CanonicalEvent, FrameResolution
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.programs import compile_c

OLD: Final = """
int first(int x) { return x * 7 + 1; }
int config(int x) { return x ^ 0x55; }
"""
NEW: Final = """
int config(int x) { return x ^ 0x66; }
int second(int x) { for (int i = 0; i < 9; i++) x += x / (i + 3); return x; }
int first(int x) { return x * 9 + 2; }
"""
LIBRARY: Final = "/usr/lib/libpier.so.1"
IMAGE: Final = "registry.example/pier@sha256:" + "5e" * 32


@dataclass(frozen=True)
class Shown:
    """A frame as the stage writes it."""

    symbol: str
    build_id: str
    resolution: str


def compiled_library(folder: Path, source: str, name: str, *flags: str) -> Path:
    """A library in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return compile_c(folder, "-O1", "-fPIC", "-shared", *flags, source=source, name=name)


def offset_in(path: Path, symbol: str) -> int:
    """File offset of a function's second byte; in a library the first segment of code lies at its address."""
    listed = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in listed.splitlines() if line.split()[-1] == symbol) + 1


def added(store: Path, *arguments: str | Path, exit_code: int = 0) -> Any:
    """What `callstream symbols add` answers."""
    result = CliRunner().invoke(cli, ["symbols", "add", "--store", str(store), "--json", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.output)


def on_host(event: GetEventsResponse) -> None:
    """The process sees the node's files."""
    event.process_kprobe.process.ns.mnt.is_host = True


def in_container(event: GetEventsResponse) -> None:
    """The process runs in the image."""
    event.process_kprobe.process.pod.container.id = "containerd://" + "ab" * 32
    event.process_kprobe.process.pod.container.image.id = IMAGE


def shown_frame(
    store: Path,
    module: str,
    offset: int,
    *,
    time_ns: int,
    where: Callable[[GetEventsResponse], None] = on_host,
    loaded: str | None = None,
) -> Shown:
    """The frame of one call on node `quay`, after a loader event of its process if `loaded` is a build id."""
    canonicalizer = Canonicalizer({}, SymbolStore.open(store))
    if loaded is not None:
        loader = GetEventsResponse(node_name="quay")
        loader.process_loader.process.exec_id = "e"
        loader.process_loader.path, loader.process_loader.buildid = LIBRARY, bytes.fromhex(loaded)
        canonicalizer.canonicalize(loader.SerializeToString(), 0, 0, 0)
    event = GetEventsResponse(node_name="quay")
    event.time.FromNanoseconds(time_ns)
    call = event.process_kprobe
    call.process.exec_id, call.process.pid.value, call.function_name = "e", 7, "tcp_connect"
    call.user_stack_trace.add(module=module, offset=offset)
    where(event)
    outcome = canonicalizer.canonicalize(event.SerializeToString(), 0, 1, 0)
    assert isinstance(outcome, Canonical)
    (frame,) = CanonicalEvent.FromString(outcome.value).stack.frames
    resolution = FrameResolution.Name(frame.resolution).removeprefix("FRAME_RESOLUTION_")
    return Shown(frame.symbol, frame.build_id, resolution)

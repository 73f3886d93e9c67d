"""The stage with a symbol store: loader events and maps lead frames of this machine's libraries to their true names."""

from collections import Counter
from pathlib import Path

import pytest

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.canonicalize.probes import PolicyHooks
from app.simulator.workload.binaries import Binary, mapped_binaries
from app.simulator.workload.generator import Workload, WorkloadOptions
from app.symbols.adding import AddOptions, Indexed, add_files
from app.symbols.limited_reader import LimitedReader
from app.symbols.name_maps import image_scope, node_scope
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from schemas.canonical_pb2 import CanonicalEvent, CanonicalFrame, FrameResolution
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.indexed_files import add_to
from tests.support.symbol_maps import put_modules

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc/self/maps here")

EXACT = FrameResolution.FRAME_RESOLUTION_EXACT
NO_HOOKS: PolicyHooks = {}


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> SymbolStore:
    """Indexes of the libraries that the generated stacks run through, and no map."""
    folder = tmp_path_factory.mktemp("store")
    reports = add_to(folder, sorted({binary.file.resolve() for binary in mapped_binaries().values()}))
    assert all(isinstance(report, Indexed) for report in reports)
    return SymbolStore.open(folder)


def frames_of(events: list[bytes], store: SymbolStore | None) -> list[CanonicalFrame]:
    """Every user frame of the events, as the stage writes it."""
    canonicalizer = Canonicalizer(NO_HOOKS, store)
    frames: list[CanonicalFrame] = []
    for offset, event in enumerate(events):
        outcome = canonicalizer.canonicalize(event, 0, offset, 0)
        if isinstance(outcome, Canonical):
            frames += CanonicalEvent.FromString(outcome.value).stack.frames
    return [frame for frame in frames if not frame.is_kernel_space]


def test_every_frame_in_a_library_of_this_machine_has_its_function(store: SymbolStore) -> None:
    """Loader events give the build id and the index the name, the same that the library's own table has there."""
    events = list(Workload(WorkloadOptions(events=4_000, processes=16, variants=800)).events())
    here: dict[str, Binary] = {binary.path: binary for binary in mapped_binaries().values()}
    starts = {path: {one.name: one.file_offset for one in binary.functions} for path, binary in here.items()}
    without = frames_of(events, None)
    named: Counter[str] = Counter()

    for frame, before in zip(frames_of(events, store), without, strict=True):
        if frame.module not in here:
            assert frame.resolution != EXACT
            continue
        assert frame.resolution == EXACT, frame
        assert frame.build_id == here[frame.module].build_id.hex()
        start = starts[frame.module].get(frame.symbol)
        if start is not None:  # an alias may have another name in the other table
            assert start + frame.offset == before.offset
            named[frame.module] += 1
    assert len(named) >= 2
    assert named.total() > 1_000


def kprobe(image_id: str, node_name: str, module: str, offset: int) -> bytes:
    """One call with one user frame, of a process that no loader event announced."""
    event = GetEventsResponse(node_name=node_name)
    call = event.process_kprobe
    call.process.exec_id, call.process.pid.value = "n:1:2", 7
    call.function_name = "tcp_connect"
    call.process.ns.mnt.is_host = not image_id
    if image_id:
        call.process.pod.container.id = "containerd://" + "ab" * 32
        call.process.pod.container.image.id = image_id
    call.user_stack_trace.add(module=module, offset=offset)
    event.time.seconds = 1_767_787_200
    return event.SerializeToString()


def test_module_map_is_asked_where_no_loader_event_was_seen(tmp_path: Path, store: SymbolStore) -> None:
    """By image for containers, by node outside of them, and never by the path alone."""
    binary = mapped_binaries()["libc"]
    image = "registry.example/shop@sha256:" + "12" * 32
    with StoreWriter(tmp_path) as writer, LimitedReader() as reader:
        list(add_files([binary.file.resolve()], AddOptions(), writer, reader))
        put_modules(writer, image_scope(image), {"/usr/lib/libc.so.6": binary.build_id.hex()})
        put_modules(writer, node_scope("worker-*"), {"/usr/lib/libc.so.6": binary.build_id.hex()})
        writer.commit()
    mapped = SymbolStore.open(tmp_path)
    offset = binary.functions[-1].file_offset
    asked = [(image, "other"), ("", "worker-1"), ("", "other"), ("x@sha256:" + "34" * 32, "worker-1")]

    frames = frames_of([kprobe(image_id, node, "/lib/libc.so.6", offset) for image_id, node in asked], mapped)

    assert [frame.resolution == EXACT for frame in frames] == [True, True, False, False]
    assert [frame.resolution == EXACT for frame in frames_of([kprobe(*asked[0], "/lib/libc.so.6", offset)], store)] == [
        False
    ]


def test_an_event_says_the_snapshot_that_named_it(store: SymbolStore) -> None:
    """Where it has frames, or a user probe's target; and neither id nor frames change by saying it."""
    raw = [kprobe("", "n", "/usr/lib/libc.so.6", 4096), uprobe(), executed()]
    said, silent = Canonicalizer(NO_HOOKS, store, store.digest), Canonicalizer(NO_HOOKS, store)
    found: list[CanonicalEvent] = []
    for offset, event in enumerate(raw):
        outcome, before = said.canonicalize(event, 0, offset, 0), silent.canonicalize(event, 0, offset, 0)
        assert isinstance(outcome, Canonical)
        assert isinstance(before, Canonical)
        found.append(CanonicalEvent.FromString(outcome.value))
        without = CanonicalEvent.FromString(outcome.value)
        without.stack.ClearField("snapshot")
        if not without.stack.frames:
            without.ClearField("stack")
        assert without == CanonicalEvent.FromString(before.value)

    assert [one.stack.snapshot.hex() for one in found] == [store.digest, store.digest, ""]


def uprobe() -> bytes:
    """A user probe that fired."""
    event = GetEventsResponse(node_name="n")
    event.process_uprobe.process.exec_id = "n:1:2"
    event.process_uprobe.path, event.process_uprobe.symbol = "/usr/lib/libc.so.6", "malloc"
    event.time.seconds = 1_767_787_200
    return event.SerializeToString()


def executed() -> bytes:
    """The beginning of a program."""
    event = GetEventsResponse(node_name="n")
    event.process_exec.process.exec_id, event.process_exec.process.binary = "n:1:2", "/usr/bin/true"
    event.time.seconds = 1_767_787_200
    return event.SerializeToString()

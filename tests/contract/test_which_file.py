"""Which file a path means: compiled files that lie at one path, one after the other, or at once, or under one build id.

Every file here is real, and truth is its own symbol table. A frame must have the name of the file that ran, or none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from app.__main__ import cli
from app.symbols.store import SymbolStore
from schemas.canonical_pb2 import CanonicalEvent, FrameResolution
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.elf_files import ElfFile, ElfSymbol
from tests.support.mapped_files import (
    IMAGE,
    LIBRARY,
    NEW,
    OLD,
    Shown,
    added,
    compiled_library,
    in_container,
    offset_in,
    on_host,
    shown_frame,
)

HOUR_NS: Final = 3_600 * 10**9
DAY_NS: Final = 24 * HOUR_NS


@dataclass(frozen=True)
class Upgrade:
    """A library in a node's root, and the one that took its place."""

    store: Path
    root: Path
    old: Path
    new: Path
    old_id: str
    new_id: str
    at_ns: int


@pytest.fixture(name="upgrade", scope="module")
def _upgrade(tmp_path_factory: pytest.TempPathFactory) -> Upgrade:
    """The node's map was made before the upgrade and after it. Tests only read it."""
    tmp_path = tmp_path_factory.mktemp("upgrade")
    root, store = tmp_path / "root", tmp_path / "store"
    lies = root / LIBRARY[1:]
    lies.parent.mkdir(parents=True)
    old, new = compiled_library(tmp_path / "o", OLD, "old.so"), compiled_library(tmp_path / "n", NEW, "new.so")
    lies.write_bytes(old.read_bytes())
    first = added(store, "--node", "quay", "--root", root, "--since", "2h", root)
    lies.with_suffix(".new").write_bytes(new.read_bytes())
    lies.with_suffix(".new").rename(lies)
    second = added(store, "--node", "quay", "--root", root, root)
    return Upgrade(
        store,
        root,
        old,
        new,
        first["files"][0]["build_id"],
        second["files"][0]["build_id"],
        lies.stat().st_ctime_ns,
    )


def test_file_that_was_deleted_is_never_named_by_its_path(upgrade: Upgrade) -> None:
    """A daemon that still runs the old library: its own loader event names it, and no map does."""
    offset = offset_in(upgrade.old, "config")
    now_ns = upgrade.at_ns + DAY_NS

    assert shown_frame(upgrade.store, f"{LIBRARY} (deleted)", offset, time_ns=now_ns) == Shown("", "", "MODULE_ONLY")
    named = shown_frame(upgrade.store, f"{LIBRARY} (deleted)", offset, time_ns=now_ns, loaded=upgrade.old_id)
    assert named == Shown("config", upgrade.old_id, "EXACT")


def test_event_is_named_by_the_file_that_lay_there_when_it_happened(upgrade: Upgrade) -> None:
    """A replay of last week's events with today's store does not take the file of today."""
    later = shown_frame(upgrade.store, LIBRARY, offset_in(upgrade.new, "config"), time_ns=upgrade.at_ns + DAY_NS)
    before = shown_frame(upgrade.store, LIBRARY, offset_in(upgrade.old, "config"), time_ns=upgrade.at_ns - HOUR_NS)
    at_once = shown_frame(upgrade.store, LIBRARY, offset_in(upgrade.old, "config"), time_ns=upgrade.at_ns - 1)
    long_ago = shown_frame(upgrade.store, LIBRARY, offset_in(upgrade.old, "config"), time_ns=upgrade.at_ns - DAY_NS)

    assert later == Shown("config", upgrade.new_id, "EXACT")
    assert before == Shown("config", upgrade.old_id, "EXACT")
    assert at_once == Shown("", "", "AMBIGUOUS")  # clocks differ
    assert long_ago == Shown("", "", "MODULE_ONLY")


def test_operator_may_say_since_when_a_file_lies_there(tmp_path: Path) -> None:
    """A root that was copied has new entries; its files are older."""
    library = compiled_library(tmp_path / "root", OLD, "libold.so")
    offset = offset_in(library, "config")
    added(tmp_path / "store", "--node", "quay", "--root", tmp_path / "root", "--since", "2026-01-01T00:00:00Z", library)

    frames = [
        shown_frame(tmp_path / "store", "/libold.so", offset, time_ns=time_ns).symbol
        for time_ns in (1_767_225_599 * 10**9, 1_767_225_600 * 10**9)
    ]
    assert frames == ["", "config"]


def _docker(event: GetEventsResponse) -> None:
    event.process_kprobe.process.docker = "0a1b2c3d4e5f60718293a4b5c6d7e8f"


def _pod(event: GetEventsResponse) -> None:
    event.process_kprobe.process.pod.namespace = "pier"
    on_host(event)


def _other_namespace(event: GetEventsResponse) -> None:
    event.process_kprobe.process.ns.mnt.inum = 4_026_533_003
    event.process_kprobe.process.ns.user.is_host = True


def _init_tree(event: GetEventsResponse) -> None:
    event.process_kprobe.process.in_init_tree.value = True


def _nothing(event: GetEventsResponse) -> None:
    del event


@pytest.mark.parametrize("where", [_docker, _pod, _other_namespace, _init_tree, _nothing])
def test_node_s_map_names_only_what_is_said_to_see_the_node_s_files(
    upgrade: Upgrade, where: Callable[[GetEventsResponse], None]
) -> None:
    """Any field may say that it is in a container, and silence says nothing: the container's library is another one."""
    offset = offset_in(upgrade.new, "config")
    now_ns = upgrade.at_ns + DAY_NS

    assert shown_frame(upgrade.store, LIBRARY, offset, time_ns=now_ns, where=where) == Shown("", "", "MODULE_ONLY")
    assert shown_frame(upgrade.store, LIBRARY, offset, time_ns=now_ns).symbol == "config"


def test_image_s_map_is_not_asked_for_a_process_that_left_its_container(tmp_path: Path) -> None:
    """It entered the host's mount namespace, so its paths are the host's."""
    library = compiled_library(tmp_path / "root", OLD, "libold.so")
    added(tmp_path / "store", "--image", IMAGE, "--root", tmp_path / "root", library)
    offset = offset_in(library, "config")

    def left(event: GetEventsResponse) -> None:
        in_container(event)
        on_host(event)

    assert shown_frame(tmp_path / "store", "/libold.so", offset, time_ns=1, where=in_container).symbol == "config"
    assert shown_frame(tmp_path / "store", "/libold.so", offset, time_ns=1, where=left).symbol == ""


@pytest.fixture(name="two_machines", scope="module")
def _two_machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with both architectures of one image. Tests only read it."""
    tmp_path = tmp_path_factory.mktemp("machines")
    for name, machine in (("amd64", 62), ("arm64", 183)):
        file = ElfFile(
            symtab=(ElfSymbol(f"main_{name}", 0x1000, 0x40),), machine=machine, build_id=bytes([machine]) * 19 + b"1"
        )
        (tmp_path / name / "app").mkdir(parents=True)
        (tmp_path / name / "app" / "server").write_bytes(file.encode())
        added(tmp_path / "store", "--image", IMAGE, tmp_path / name)
    return tmp_path / "store"


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_image_of_two_architectures_is_named_by_the_node_s(two_machines: Path, architecture: str) -> None:
    """One digest stands for both; the node's label says which of the two runs there."""

    def where(event: GetEventsResponse) -> None:
        in_container(event)
        event.node_labels["kubernetes.io/arch"] = architecture

    shown = shown_frame(two_machines, "/app/server", 0x1010, time_ns=1, where=where)
    assert (shown.symbol, shown.resolution) == (f"main_{architecture}", "EXACT")


@pytest.mark.parametrize(
    ("function", "kernel", "symbol"),
    [
        ("__x64_sys_openat", "", "main_amd64"),
        ("__ia32_sys_openat", "", "main_amd64"),
        ("__arm64_sys_openat", "", "main_arm64"),
        ("tcp_connect", "__arm64_sys_connect", "main_arm64"),
        ("tcp_connect", "do_syscall", ""),
        ("__s390x_sys_openat", "", ""),
    ],
)
def test_kernel_s_names_tell_the_architecture_where_no_label_does(
    two_machines: Path, function: str, kernel: str, symbol: str
) -> None:
    """Kernels name their entries of system calls by architecture; where nothing says it, it is one of two files."""

    def where(event: GetEventsResponse) -> None:
        in_container(event)
        event.process_kprobe.function_name = function
        if kernel:
            event.process_kprobe.kernel_stack_trace.add(symbol=kernel, offset=4)

    canonical = _frames(two_machines, where)
    assert canonical.symbol == symbol
    if not symbol:
        assert canonical.resolution in {"AMBIGUOUS", "MODULE_ONLY"}


def _frames(store: Path, where: Callable[[GetEventsResponse], None]) -> Shown:
    """The user frame of a call that may have kernel frames too; a plain kprobe and any other give the same."""
    found = []
    for also in (lambda _: None, lambda event: event.node_labels.update({"a": "b"})):
        canonicalizer = Canonicalizer({}, SymbolStore.open(store))
        event = GetEventsResponse(node_name="quay")
        event.time.seconds = 1
        event.process_kprobe.process.exec_id = "e" * 100
        event.process_kprobe.user_stack_trace.add(module="/app/server", offset=0x1010)
        where(event)
        also(event)
        outcome = canonicalizer.canonicalize(event.SerializeToString(), 0, 1, 0)
        assert isinstance(outcome, Canonical)
        (frame,) = [f for f in CanonicalEvent.FromString(outcome.value).stack.frames if not f.is_kernel_space]
        name = FrameResolution.Name(frame.resolution).removeprefix("FRAME_RESOLUTION_")
        found.append(Shown(frame.symbol, frame.build_id, name))
    assert found[0] == found[1]
    return found[0]


def test_second_file_of_a_path_is_told_at_once(tmp_path: Path) -> None:
    """Of one image and one architecture: neither names a frame, until `--replace` forgets the first."""
    (tmp_path / "root").mkdir()
    path, store = tmp_path / "root" / "libpier.so", tmp_path / "store"
    image = ("--image", IMAGE, "--root", tmp_path / "root")
    for source, is_ambiguous in ((OLD, False), (NEW, True)):
        path.write_bytes(compiled_library(tmp_path / "made", source, f"{len(source)}.so").read_bytes())
        assert added(store, *image, path)["ambiguous"] == ["/libpier.so"] * is_ambiguous
    offset = offset_in(path, "config")

    shown = shown_frame(store, "/libpier.so", offset, time_ns=1, where=in_container)
    assert shown == Shown("", "", "AMBIGUOUS")
    assert added(store, *image, "--replace", path)["ambiguous"] == []
    assert shown_frame(store, "/libpier.so", offset, time_ns=1, where=in_container).symbol == "config"


def test_list_tells_which_paths_are_ambiguous(two_machines: Path) -> None:
    """An operator sees what a frame's `Ambiguous` is about."""
    result = CliRunner().invoke(cli, ["symbols", "list", "--store", str(two_machines)])
    assert f"ambiguous: /app/server of image:{IMAGE.rpartition('@')[2]}" in result.output

"""agents/canonicalize/modules.py: what an event may see of its process's modules."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.canonicalize.contexts import NO_CONTEXT
from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.module_identity import loaded_module
from agents.canonicalize.modules import ModuleIndex, ProcessKey
from agents.canonicalize.outcomes import Canonical, NotACall
from agents.symbols.lookup import RootOwner, Scope, Unresolved
from agents.symbols.module_paths import ModuleKind, ModulePath
from app.symbols.module_maps import MappedFile
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.symbol_maps import NOW_NS, host_scope, put_modules

NODE = NodeId("east", "worker-1")
NOWHERE = Scope("", RootOwner.UNKNOWN, NODE)
LIBC = "/usr/lib/libc.so.6"
OLD, NEW = bytes(range(20)), bytes(range(20, 40))


def _key(process: str) -> ProcessKey:
    return NODE, process


def _build_id(index: ModuleIndex, offset: int, process: str = "p", path: str = LIBC) -> str | Unresolved | None:
    return index.resolver(index.context(0, offset, process, NOWHERE, 0)).build_id(path)


def test_build_id_is_known_after_the_loader_event_and_not_before() -> None:
    """An event sees the loader events at lower offsets of its partition."""
    index = ModuleIndex()
    index.observe(0, 10, _key("p"), LIBC, OLD)

    assert _build_id(index, 10) is None
    assert _build_id(index, 11) == OLD.hex()


def test_an_event_that_comes_again_sees_what_it_saw_the_first_time() -> None:
    """A later replacement of the file does not reach back to events before it."""
    index = ModuleIndex()
    index.observe(0, 10, _key("p"), LIBC, OLD)
    index.observe(0, 20, _key("p"), LIBC, NEW)

    assert [_build_id(index, offset) for offset in (11, 20, 21)] == [OLD.hex(), OLD.hex(), NEW.hex()]


def test_processes_and_partitions_do_not_share_modules() -> None:
    """What one process loaded says nothing about another, or about one with the same id in another partition."""
    index = ModuleIndex()
    index.observe(0, 10, _key("p"), LIBC, OLD)

    assert _build_id(index, 50, process="q") is None
    assert index.context(1, 50, "p", NOWHERE, 0) == NO_CONTEXT


def test_one_process_id_on_two_nodes_is_two_processes() -> None:
    """Clusters name their nodes alike, and so give one exec_id to two processes; each keeps its own files."""
    index = ModuleIndex()
    nodes = [NodeId("east", "worker-1"), NodeId("west", "worker-1"), NodeId("", "worker-1")]
    index.observe(0, 1, (nodes[0], "p"), LIBC, OLD)
    index.observe(0, 2, (nodes[1], "p"), LIBC, NEW)
    rows = [(key, value) for key, value in index.take_changes(0).items() if value is not None]
    restored = ModuleIndex()
    restored.restore(0, rows)

    for known in (index, restored):
        contexts = [known.context(0, 9, "p", Scope("", RootOwner.HOST, node), 0) for node in nodes]
        seen = [known.resolver(context).build_id(LIBC) for context in contexts]
        assert seen == [OLD.hex(), NEW.hex(), None]


def test_a_row_without_a_node_is_no_row() -> None:
    """Rows of a version that knew processes by their id alone end the stage with a reason."""
    with pytest.raises(ValueError, match="modules table"):
        ModuleIndex().restore(0, [(b"p", b'{"ended":null,"loaded":[]}')])


def test_processes_with_the_same_modules_share_a_context() -> None:
    """Caches key on contexts, so a fleet of equal processes shares what was worked out."""
    index = ModuleIndex()
    index.observe(0, 1, _key("p"), LIBC, OLD)
    index.observe(0, 2, _key("q"), LIBC, OLD)

    assert index.context(0, 9, "p", NOWHERE, 0) == index.context(0, 9, "q", NOWHERE, 0) != NO_CONTEXT


@pytest.mark.parametrize("row", [b"", b"[[4,5,6]]", b"{}", b'{"ended":null,"loaded":[[1]]}', b"\xff"])
def test_row_of_another_form_is_no_row(row: bytes) -> None:
    """State that cannot be read ends the stage with a reason; it is never taken for no state."""
    with pytest.raises(ValueError, match="modules table"):
        ModuleIndex().restore(0, [(b"p worker-1", row)])


def test_processes_on_other_nodes_share_a_context_where_no_map_tells_them_apart(tmp_path: Path) -> None:
    """With a symbol store too: what an image or a node is called is not part of a view."""
    with StoreWriter(tmp_path) as writer:
        put_modules(writer, "node:worker-*", {LIBC: OLD.hex()})
        writer.commit()
    index = ModuleIndex(SymbolStore.open(tmp_path))
    scopes = [host_scope(node) for node in ("worker-1", "worker-2", "other")]

    one, two, other = (index.context(0, 1, "p", scope, NOW_NS) for scope in scopes)

    assert one == two != other
    assert (index.resolver(one).build_id(LIBC), index.resolver(other).build_id(LIBC)) == (OLD.hex(), None)


def test_rows_hold_no_path() -> None:
    """State lives outside of the restricted topics, so a path that names a person is not in it."""
    index = ModuleIndex()
    index.observe(0, 1, _key("p"), "/home/alice/lib/private.so", OLD)

    rows = index.take_changes(0)

    assert rows
    assert not any(b"alice" in (value or b"") for value in rows.values())


def test_restore_brings_back_what_changes_said() -> None:
    """A new process that reads the rows answers as the old one did."""
    index = ModuleIndex()
    index.observe(0, 10, _key("p"), LIBC, OLD)
    index.observe(0, 20, _key("p"), LIBC, NEW)
    rows = index.take_changes(0)
    fresh = ModuleIndex()

    fresh.restore(0, [(key, value) for key, value in rows.items() if value is not None])

    assert [_build_id(fresh, offset) for offset in (10, 11, 21)] == [None, OLD.hex(), NEW.hex()]
    assert index.take_changes(0) == {}


@given(order=st.permutations([(3, "a", OLD), (5, "b", OLD), (7, "a", NEW), (9, "c", NEW)]))
def test_what_an_event_sees_is_independent_of_the_order_of_observation(order: list[tuple[int, str, bytes]]) -> None:
    """Batches that come again, in whatever order, lead to the same answers."""
    index = ModuleIndex()
    for offset, name, build_id in order:
        index.observe(0, offset, _key("p"), f"/usr/lib/{name}.so", build_id)

    seen = [[_build_id(index, offset, path=f"/usr/lib/{name}.so") for name in "abc"] for offset in (4, 6, 8, 10)]

    assert seen == [
        [OLD.hex(), None, None],
        [OLD.hex(), OLD.hex(), None],
        [NEW.hex(), OLD.hex(), None],
        [NEW.hex(), OLD.hex(), NEW.hex()],
    ]


def test_the_longest_unheard_of_process_is_forgotten_when_there_are_too_many() -> None:
    """Its row stays while a record may come again that saw it, and goes after that."""
    index = ModuleIndex(max_processes=2)
    for number in range(3):
        index.observe(0, number, _key(f"p{number}"), LIBC, OLD)

    assert [_build_id(index, offset, "p0") for offset in (1, 2, 3)] == [OLD.hex(), OLD.hex(), None]
    assert all(index.take_changes(0).values())
    index.release(0, 2)
    assert index.take_changes(0) == {}
    index.release(0, 3)
    assert index.take_changes(0) == {b"p0 east/worker-1": None}


def test_ended_processes_are_forgotten_before_running_ones() -> None:
    """A server that started a month ago keeps its build ids, however many commands ran since."""
    index = ModuleIndex(max_processes=2, max_ended=2)
    index.observe(0, 0, _key("server"), LIBC, OLD)
    for number in range(100):
        index.observe(0, 10 * number + 1, _key(f"p{number}"), LIBC, OLD)
        index.end(0, 10 * number + 2, _key(f"p{number}"))

    assert _build_id(index, 9_999, "server") == OLD.hex()
    assert [_build_id(index, 9_999, f"p{number}") is not None for number in (97, 98, 99)] == [False, True, True]


def test_event_that_comes_late_still_finds_the_modules_of_its_ended_process() -> None:
    """Buffers hold events back; an exit event does not overtake the truth."""
    index = ModuleIndex()
    index.observe(0, 1, _key("p"), LIBC, OLD)
    index.end(0, 2, _key("p"))

    assert _build_id(index, 3) == OLD.hex()


def test_file_that_is_replaced_takes_no_more_room() -> None:
    """A program that loads plugins again and again is remembered with the present ones."""
    index = ModuleIndex()
    for number in range(5_000):
        index.observe(0, number, _key("p"), LIBC, number.to_bytes(20, "big"))
        index.release(0, number)

    row = index.take_changes(0)[b"p east/worker-1"]
    assert row is not None
    assert len(row) < 300
    assert _build_id(index, 5_000) == (4_999).to_bytes(20, "big").hex()


def test_a_loader_event_puts_the_build_id_into_later_frames_of_its_process() -> None:
    """End to end through the canonicalizer: loader event first, then a stack with that module."""
    canonicalizer = Canonicalizer({})
    loader = GetEventsResponse()
    loader.process_loader.process.exec_id = "bm9kZTox"
    loader.process_loader.path = LIBC
    loader.process_loader.buildid = OLD
    call = GetEventsResponse()
    call.process_kprobe.process.exec_id = "bm9kZTox"
    call.process_kprobe.user_stack_trace.add(offset=4096, module=LIBC)
    call.time.seconds = 1

    before = canonicalizer.canonicalize(call.SerializeToString(), 0, 1, 0)
    outcome = canonicalizer.canonicalize(loader.SerializeToString(), 0, 2, 0)
    after = canonicalizer.canonicalize(call.SerializeToString(), 0, 3, 0)

    assert outcome is NotACall.LOADER
    assert isinstance(before, Canonical)
    assert isinstance(after, Canonical)
    assert OLD.hex().encode() not in before.value
    assert OLD.hex().encode() in after.value


def test_a_loader_event_of_one_cluster_names_no_frame_of_another() -> None:
    """Two clusters' worker-0 give their pid 1 the same exec_id; each has its own files."""
    canonicalizer = Canonicalizer({})

    def event_of(cluster: str, build_id: bytes = b"") -> bytes:
        event = GetEventsResponse(node_name="worker-0", cluster_name=cluster)
        event.time.seconds = 1
        body = event.process_loader if build_id else event.process_kprobe
        body.process.exec_id = "d29ya2VyLTA6NDAwMDAwMDA6MQ=="
        if build_id:
            event.process_loader.path, event.process_loader.buildid = LIBC, build_id
        else:
            event.process_kprobe.user_stack_trace.add(offset=4096, module=LIBC)
        return event.SerializeToString()

    canonicalizer.canonicalize(event_of("east", OLD), 0, 1, 0)
    canonicalizer.canonicalize(event_of("west", NEW), 0, 2, 0)
    outcomes = [canonicalizer.canonicalize(event_of(cluster), 0, 3, 0) for cluster in ("east", "west", "", "north")]

    values = [outcome.value for outcome in outcomes if isinstance(outcome, Canonical)]
    found = [[OLD.hex().encode() in value, NEW.hex().encode() in value] for value in values]
    assert found == [[True, False], [False, True], [False, False], [False, False]]


@pytest.mark.parametrize(
    ("build_id", "is_one"),
    [
        (bytes(range(1, 21)), True),
        (bytes(range(1, 9)), True),
        (b"sixteen letters!", False),  # somebody's text, which must not leave as a build id
        (b"password=swordfish!!", False),
        (b"8letters", True),  # too short to tell from a digest
        (bytes(range(1, 22)), False),
        (b"short", False),
        (bytes(20), False),  # a note that nobody filled in
        (b"\xff" * 20, False),
        (b"", False),
    ],
)
def test_only_what_can_be_a_digest_is_a_build_id(build_id: bytes, is_one: bool) -> None:
    """The kernel gives 20 bytes at most, and text is not a digest: the rest would carry what a file's author chose."""
    found = loaded_module("/usr/lib/libharbour.so.2", build_id)

    module = ModulePath(ModuleKind.FILE, "/usr/lib/libharbour.so.2")
    assert found == ((module, build_id.hex()) if is_one else None)


def _deleted(index: ModuleIndex, offset: int) -> str | Unresolved | None:
    return index.resolver(index.context(0, offset, "p", NOWHERE, 0)).build_id(LIBC, is_deleted=True)


def test_deleted_file_is_the_one_that_its_process_has_mapped() -> None:
    """One build under the path: the unlinked file is that. A second one: nobody can tell, and the new file is sure."""
    index = ModuleIndex()
    index.observe(0, 10, _key("p"), LIBC, OLD)
    index.observe(0, 20, _key("p"), LIBC, NEW)
    index.observe(0, 30, _key("p"), LIBC, OLD)

    assert [_deleted(index, offset) for offset in (5, 15, 25, 35)] == [
        None,
        OLD.hex(),
        Unresolved.AMBIGUOUS,
        Unresolved.AMBIGUOUS,
    ]
    assert [_build_id(index, offset) for offset in (15, 25, 35)] == [OLD.hex(), NEW.hex(), OLD.hex()]


def test_file_that_was_deleted_when_it_was_mapped_names_no_file_at_its_path() -> None:
    """A loader event of an unlinked file says what that file is, and nothing of the one that lies there now."""
    index = ModuleIndex()
    index.observe(0, 10, _key("p"), f"{LIBC} (deleted)", OLD)
    assert (_deleted(index, 11), _build_id(index, 11)) == (OLD.hex(), None)
    index.observe(0, 20, _key("p"), LIBC, NEW)

    assert (_deleted(index, 21), _build_id(index, 21)) == (Unresolved.AMBIGUOUS, NEW.hex())


def test_what_is_known_of_deleted_files_survives_a_restart() -> None:
    """A new process that reads the rows still knows that there was another build."""
    index = ModuleIndex()
    index.observe(0, 10, _key("p"), LIBC, OLD)
    index.observe(0, 20, _key("p"), LIBC, NEW)
    index.release(0, 100)
    fresh = ModuleIndex()
    fresh.restore(0, [(key, value) for key, value in index.take_changes(0).items() if value is not None])

    assert (_deleted(fresh, 101), _build_id(fresh, 101)) == (Unresolved.AMBIGUOUS, NEW.hex())


def test_map_is_not_asked_for_a_deleted_file(tmp_path: Path) -> None:
    """A package upgrade under a running daemon: what lies at the path now is another file."""
    with StoreWriter(tmp_path) as writer:
        put_modules(writer, "node:n", {LIBC: NEW.hex()})
        writer.commit()
    index = ModuleIndex(SymbolStore.open(tmp_path))
    resolver = index.resolver(index.context(0, 1, "p", host_scope("n"), NOW_NS))

    assert (resolver.build_id(LIBC), resolver.build_id(LIBC, is_deleted=True)) == (NEW.hex(), None)


def test_a_probed_path_means_a_file_only_if_the_process_can_have_mapped_no_other(tmp_path: Path) -> None:
    """A probe stays on the file that was replaced, and fires in processes that are older than the new one."""
    replaced_ns = NOW_NS // 2
    with StoreWriter(tmp_path) as writer:
        files = [MappedFile(OLD.hex()), MappedFile(NEW.hex(), since_ns=replaced_ns)]
        writer.merge_modules("node:n", {LIBC: files})
        writer.commit()
    index = ModuleIndex(SymbolStore.open(tmp_path))
    index.observe(0, 10, (host_scope("n").node, "loading"), LIBC, OLD)

    def probed(process: str, since_ns: int | None, event_ns: int = NOW_NS) -> str | Unresolved | None:
        context = index.context(0, 11, process, host_scope("n"), event_ns)
        return index.resolver(index.context_of_probe(context, host_scope("n"), since_ns)).probed_build_id(LIBC)

    assert probed("younger", NOW_NS - 1) == NEW.hex()
    assert probed("before", 0, replaced_ns // 2) == OLD.hex()
    assert probed("older", replaced_ns // 2) is Unresolved.AMBIGUOUS
    assert probed("forked", None) is Unresolved.AMBIGUOUS
    assert probed("loading", replaced_ns // 2) == OLD.hex()

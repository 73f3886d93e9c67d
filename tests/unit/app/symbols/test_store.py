"""A symbol store keeps snapshots that do not change and never believes a damaged file."""

from pathlib import Path

import pytest

from agents.symbols.index_format import SymbolOrigin
from agents.symbols.lookup import Resolved, Unresolved
from app.symbols.checking import check_objects
from app.symbols.name_maps import image_scope, node_scope
from app.symbols.snapshot import ObjectKind, Snapshot, SymbolStoreError, object_path, parse_snapshot
from app.symbols.store import MAX_OPEN_INDEXES, SymbolStore
from app.symbols.store_writer import Kept, StoreWriter
from tests.support.made_indexes import ID, index_bytes, put_index, store_of
from tests.support.symbol_maps import host_scope, image_of, maps_now, put_modules

IMAGE = "registry.example/shop@sha256:" + "12" * 32


def test_index_is_found_by_build_id(tmp_path: Path) -> None:
    """A known build id is looked up, an unknown one has no index."""
    store = store_of(tmp_path, index_bytes())

    assert store.lookup(ID, 4, innermost=True) == Resolved("f", 4)
    assert store.lookup("cd" * 20, 4, innermost=True) is Unresolved.NO_INDEX


def test_open_store_does_not_see_what_is_added_later(tmp_path: Path) -> None:
    """A snapshot answers the same for as long as it is open; opening again sees the new one."""
    before = store_of(tmp_path, index_bytes())
    after = store_of(tmp_path, index_bytes(names=("better",), origins=SymbolOrigin.SYMTAB))

    assert before.lookup(ID, 4, innermost=True) == Resolved("f", 4)
    assert after.lookup(ID, 4, innermost=True) == Resolved("better", 4)
    assert before.digest != after.digest


def test_old_snapshot_can_be_opened_again(tmp_path: Path) -> None:
    """A replay of last year's events asks for last year's store by digest."""
    digest = store_of(tmp_path, index_bytes()).digest
    store_of(tmp_path, index_bytes(names=("better",), origins=SymbolOrigin.SYMTAB))

    assert SymbolStore.open(tmp_path, digest).lookup(ID, 4, innermost=True) == Resolved("f", 4)


def test_digest_does_not_depend_on_the_order_of_adding(tmp_path: Path) -> None:
    """Two stores with the same content have the same digest."""
    other = "cd" * 20
    for folder, order in (("a", (ID, other)), ("b", (other, ID))):
        with StoreWriter(tmp_path / folder) as writer:
            for build_id in order:
                put_index(writer, index_bytes(build_id), build_id)
            writer.commit()

    assert SymbolStore.open(tmp_path / "a").digest == SymbolStore.open(tmp_path / "b").digest


@pytest.mark.parametrize(
    ("known", "new", "kept"),
    [
        (index_bytes(), index_bytes(), Kept.UNCHANGED),
        (index_bytes(), index_bytes(names=("g", "h"), origins=SymbolOrigin.SYMTAB), Kept.REPLACED),
        (index_bytes(origins=SymbolOrigin.SYMTAB), index_bytes(names=("g", "h")), Kept.UNCHANGED),
        (index_bytes(), index_bytes(names=("g", "h"), origins=SymbolOrigin.GNU_DEBUGDATA), Kept.REPLACED),
        (index_bytes(origins=SymbolOrigin.SYMTAB), index_bytes(origins=SymbolOrigin.SYMTAB, lines=True), Kept.REPLACED),
        (index_bytes(lines=True), index_bytes(origins=SymbolOrigin.SYMTAB), Kept.UNCHANGED),
        (index_bytes(), index_bytes(names=("g", "h"), origins=SymbolOrigin.SYMTAB, code=b"x" * 32), Kept.CONFLICT),
    ],
)
def test_only_a_better_index_of_the_same_code_replaces_another(
    tmp_path: Path, known: bytes, new: bytes, kept: Kept
) -> None:
    """A stripped copy never blocks a full one, lines are never lost, a foreign file with our build id is noticed."""
    store_of(tmp_path, known)
    with StoreWriter(tmp_path) as writer:
        assert put_index(writer, new) is kept


def test_conflict_is_replaced_on_request(tmp_path: Path) -> None:
    """The operator decides which of two files is the right one."""
    store_of(tmp_path, index_bytes())
    with StoreWriter(tmp_path) as writer:
        assert put_index(writer, index_bytes(code=b"x" * 32), replace=True) is Kept.REPLACED


def test_writer_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """Nothing is visible before commit."""
    digest = store_of(tmp_path, index_bytes()).digest

    def fail_halfway() -> None:
        with StoreWriter(tmp_path) as writer:
            put_index(writer, index_bytes("cd" * 20), "cd" * 20)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()

    assert SymbolStore.open(tmp_path).digest == digest
    assert not list(tmp_path.glob("new-*"))


def test_second_writer_is_turned_away(tmp_path: Path) -> None:
    """Two writers would lose each other's snapshot."""
    with StoreWriter(tmp_path), pytest.raises(SymbolStoreError, match="another process"), StoreWriter(tmp_path):
        pass


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "gone"])
def test_damaged_index_is_an_error_and_not_a_miss(tmp_path: Path, damage: str) -> None:
    """A broken file must not look like a file without symbols; verify names it."""
    store = store_of(tmp_path, index_bytes())
    path = object_path(tmp_path, store.snapshot.of_kind(ObjectKind.INDEX)[ID])
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    match damage:
        case "flip":
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:50])
        case "swap":
            path.write_bytes(index_bytes("cd" * 20))
        case _:
            path.unlink()

    assert [checked.fault is not None for checked in check_objects(store)] == [True]
    with pytest.raises(SymbolStoreError):
        store.lookup(ID, 4, innermost=True)


@pytest.mark.parametrize("name", ["format", "current", "snapshot"])
def test_folder_that_is_no_store_is_refused(tmp_path: Path, name: str) -> None:
    """A missing or edited file of the store itself is said by name of the folder."""
    digest = store_of(tmp_path, index_bytes()).digest
    target = tmp_path / "snapshots" / digest if name == "snapshot" else tmp_path / name
    target.write_text("something else")

    with pytest.raises(SymbolStoreError):
        SymbolStore.open(tmp_path)


def test_folder_without_store_says_what_makes_one(tmp_path: Path) -> None:
    """The error says which command is missing."""
    with pytest.raises(SymbolStoreError, match="symbols add"):
        SymbolStore.open(tmp_path / "nothing")


def test_more_indexes_than_are_kept_open(tmp_path: Path) -> None:
    """Beyond the limit the one that was not used for longest is opened again; answers stay."""
    build_ids = [f"{number:040x}" for number in range(MAX_OPEN_INDEXES + 5)]
    with StoreWriter(tmp_path) as writer:
        for build_id in build_ids:
            put_index(writer, index_bytes(build_id, names=(f"f{build_id}",)), build_id)
        writer.commit()
    store = SymbolStore.open(tmp_path)

    for build_id in build_ids * 2:
        assert store.lookup(build_id, 4, innermost=True) == Resolved(f"f{build_id}", 4)


def test_module_maps_go_by_image_or_by_node(tmp_path: Path) -> None:
    """An image's map holds for its containers only, a node's for the rest; the most specific pattern wins."""
    with StoreWriter(tmp_path) as writer:
        put_modules(writer, image_scope(IMAGE), {"/usr/lib/libc.so.6": "11" * 20})
        put_modules(writer, node_scope("worker-*"), {"/usr/lib/libc.so.6": "22" * 20, "/usr/bin/a": "33" * 20})
        put_modules(writer, node_scope("worker-7"), {"/usr/lib/libc.so.6": "44" * 20})
        writer.commit()
    store = SymbolStore.open(tmp_path)

    image = maps_now(store, image_of("mirror.example/other@sha256:" + "12" * 32, "worker-1"))
    assert image.build_id("/usr/lib/libc.so.6") == "11" * 20
    assert maps_now(store, image_of("sha256:" + "99" * 32, "worker-1")).build_id("/usr/lib/libc.so.6") is None
    assert maps_now(store, host_scope("worker-1")).build_id("/usr/lib/libc.so.6") == "22" * 20
    assert maps_now(store, host_scope("worker-7")).build_id("/usr/lib/libc.so.6") == "44" * 20
    assert maps_now(store, host_scope("worker-7")).build_id("/usr/bin/a") == "33" * 20
    assert maps_now(store, host_scope("other")).build_id("/usr/bin/a") is None
    # contained, in an image that Tetragon did not name: it must not be taken for a process of the node
    assert maps_now(store, image_of("", "worker-7")).build_id("/usr/bin/a") is None


def test_places_with_the_same_maps_share_them(tmp_path: Path) -> None:
    """Caches key on them, so that a thousand equal nodes have their frames worked out once."""
    with StoreWriter(tmp_path) as writer:
        put_modules(writer, node_scope("worker-*"), {"/usr/lib/libc.so.6": "22" * 20})
        writer.replace_map(ObjectKind.KERNEL, node_scope("worker-9"), {"nft_do_chain": "nf_tables"})
        writer.commit()
    store = SymbolStore.open(tmp_path)

    assert maps_now(store, host_scope("worker-1")) is maps_now(store, host_scope("worker-2"))
    assert maps_now(store, host_scope("worker-1")) is not maps_now(store, host_scope("worker-9"))
    assert maps_now(store, host_scope("other")) is maps_now(store, image_of("docker.io/x", "worker-1"))


def test_map_grows(tmp_path: Path) -> None:
    """Adding a second folder of one image keeps the first."""
    for pairs in ({"/a": "11" * 20}, {"/b": "33" * 20}):
        with StoreWriter(tmp_path) as writer:
            put_modules(writer, "node:n", pairs)
            writer.commit()
    store = SymbolStore.open(tmp_path)

    maps = maps_now(store, host_scope())
    assert (maps.build_id("/a"), maps.build_id("/b")) == ("11" * 20, "33" * 20)


def test_kernel_maps_go_by_node(tmp_path: Path) -> None:
    """A node without a snapshot has no kernel modules."""
    with StoreWriter(tmp_path) as writer:
        writer.replace_map(ObjectKind.KERNEL, "node:worker-*", {"nft_do_chain": "nf_tables"})
        writer.commit()
    store = SymbolStore.open(tmp_path)

    assert maps_now(store, host_scope("worker-1")).kernel_module("nft_do_chain") == "nf_tables"
    assert maps_now(store, host_scope("worker-1")).kernel_module("vfs_read") is None
    assert maps_now(store, host_scope("other")).kernel_module("nft_do_chain") is None


@pytest.mark.parametrize("scope", ["pod:x", "node:", "node:a\tb", "node:a\nb", ""])
def test_scope_without_a_kind_and_a_name_is_refused(tmp_path: Path, scope: str) -> None:
    """A scope that would break a snapshot's lines never gets into one."""
    with StoreWriter(tmp_path) as writer, pytest.raises(ValueError, match="not a key"):
        put_modules(writer, scope, {"/a": "11" * 20})


@pytest.mark.parametrize("pairs", [{"/a\tb": "11" * 20}, {"/a\nb": "11" * 20}])
def test_name_that_would_break_a_map_is_refused(tmp_path: Path, pairs: dict[str, str]) -> None:
    """No path can pretend to be two."""
    with StoreWriter(tmp_path) as writer, pytest.raises(ValueError, match="tab"):
        put_modules(writer, "node:n", pairs)


def test_snapshot_text_comes_back_and_has_one_form() -> None:
    """Lines in another order are not a snapshot, so that one content has one digest."""
    snapshot = (
        Snapshot().with_entry(ObjectKind.INDEX, ID, "00" * 32).with_entry(ObjectKind.MODULES, "node:a b", "11" * 32)
    )

    assert parse_snapshot(snapshot.text) == snapshot
    with pytest.raises(SymbolStoreError):
        parse_snapshot("".join(reversed(snapshot.text.splitlines(keepends=True))))


def test_a_node_s_maps_hold_for_its_cluster_only(tmp_path: Path) -> None:
    """Two clusters' worker-1 are two nodes; a pattern may name any cluster, and no cluster means that none is named."""
    with StoreWriter(tmp_path) as writer:
        for number, scope in enumerate(("worker-1", "east/worker-*", "*/db-?", "we?t/worker-1"), 1):
            put_modules(writer, node_scope(scope), {"/usr/bin/a": f"{number:02}" * 20})
        writer.commit()
    store = SymbolStore.open(tmp_path)

    def number_of(cluster: str, name: str) -> int | None:
        build_id = maps_now(store, host_scope(name, cluster)).build_id("/usr/bin/a")
        return int(build_id[:2]) if isinstance(build_id, str) else None

    assert [number_of(cluster, "worker-1") for cluster in ("", "east", "west", "north")] == [1, 2, 4, None]
    assert [number_of(cluster, "db-1") for cluster in ("", "east", "north")] == [3, 3, 3]
    assert number_of("", "east/worker-1") is None


@pytest.mark.parametrize("content", [b"", bytes(100), b"garbage" * 90])
def test_a_damaged_index_is_replaced_when_its_file_is_added_again(tmp_path: Path, content: bytes) -> None:
    """Nothing else in the store is lost, and the snapshot stays the one that manifests name."""
    digest = store_of(tmp_path, index_bytes()).digest
    (damaged,) = (tmp_path / "objects").iterdir()
    damaged.write_bytes(content)
    with pytest.raises(SymbolStoreError, match=f"{damaged} is damaged.*callstream symbols add.*{ID}"):
        SymbolStore.open(tmp_path).lookup(ID, 4, innermost=True)

    with StoreWriter(tmp_path) as writer:
        assert put_index(writer, index_bytes()) is Kept.REPAIRED
        writer.commit()

    assert SymbolStore.open(tmp_path).digest == digest
    assert SymbolStore.open(tmp_path).lookup(ID, 4, innermost=True) == Resolved("f", 4)


def test_a_store_that_lost_a_file_is_not_made_again(tmp_path: Path) -> None:
    """A partial restore must not become an empty store."""
    store_of(tmp_path, index_bytes())
    (tmp_path / "format").unlink()
    with pytest.raises(SymbolStoreError, match="file `format` is missing: restore it"), StoreWriter(tmp_path):
        pass


@pytest.mark.parametrize("content", [b"", bytes(65), b"no digest\n"])
def test_a_damaged_current_snapshot_is_named_with_its_cure(tmp_path: Path, content: bytes) -> None:
    """The snapshots are all there."""
    store_of(tmp_path, index_bytes())
    (tmp_path / "current").write_bytes(content)
    with pytest.raises(SymbolStoreError, match=f"{tmp_path}/current is damaged: have it name one of {tmp_path}/snap"):
        SymbolStore.open(tmp_path)


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """A half-written index of a large program would take room for ever."""
    store_of(tmp_path, index_bytes())
    (tmp_path / "new-abc").mkdir()
    (tmp_path / "new-abc" / "index").write_bytes(bytes(100))
    (tmp_path / "objects" / "x.partial").write_bytes(b"half")
    store_of(tmp_path, index_bytes())

    assert not (tmp_path / "new-abc").exists()
    assert not (tmp_path / "objects" / "x.partial").exists()

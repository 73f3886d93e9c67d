"""A symbol store as a watch asks for it."""

from pathlib import Path

import pytest

from agents.hot_symbols.table.any_name import AnyName
from agents.hot_symbols.watch.deciding import best_possible
from agents.hot_symbols.watch.files import NoNames
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watched_code import watched_codes
from app.symbols.known_files import FollowedStore, StoreFiles
from app.symbols.snapshot import object_path, snapshot_path
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from tests.support.made_indexes import index_bytes, put_index
from tests.support.made_stores import store_with

BUILD, OTHER = "0123456789abcdef", "fedcba9876543210"
LIB = "/usr/lib/libz.so.1"


def test_files_are_found_by_path_and_by_name_in_all_maps(tmp_path: Path) -> None:
    """Of images and nodes; a file without an index is a file concerned too."""
    places = {"image:one": {LIB: BUILD}, "image:two": {LIB: OTHER}, "node:n": {"/opt/libz.so.1": BUILD}}
    store_with(tmp_path, {BUILD: [["inflate"]]}, places)
    files = StoreFiles(SymbolStore.open(tmp_path))

    found = files.build_ids([LIB, "/opt/libz.so.1", "libz.so.1", "/usr/lib/other.so"])
    assert {name: set(builds) for name, builds in found.items()} == {
        LIB: {BUILD, OTHER},
        "/opt/libz.so.1": {BUILD},
        "libz.so.1": {BUILD, OTHER},
    }
    assert files.names(OTHER) is NoNames.NO_INDEX


def test_build_id_of_two_codes_is_no_file(tmp_path: Path) -> None:
    """A watch is told that nobody can say which of them it means."""
    store_with(tmp_path, {BUILD: [["inflate"]]})
    with StoreWriter(tmp_path) as writer:
        writer.note_codes(BUILD, ["11" * 32, "22" * 32])
        writer.commit()
    assert StoreFiles(SymbolStore.open(tmp_path)).names(BUILD) is NoNames.AMBIGUOUS

    with StoreWriter(tmp_path) as writer:
        writer.choose_code(BUILD, "11" * 32)
        writer.commit()
    assert not isinstance(StoreFiles(SymbolStore.open(tmp_path)).names(BUILD), NoNames)


@pytest.mark.parametrize("symbol", ["inflate", "inflate_old"])
def test_a_watch_is_answered_by_the_store(symbol: str, tmp_path: Path) -> None:
    """By any name of the code, and as well as the debug information allows."""
    files = {BUILD: [["inflate", "inflate_old"], ["deflate"]]}
    watch = Watch(symbol=symbol, module=LIB, every_call_probed=True)
    said = []
    for number, knows_copies in enumerate((True, False)):
        store_with(tmp_path / str(number), files, {"image:one": {LIB: BUILD}}, knows_copies=knows_copies)
        known = StoreFiles(SymbolStore.open(tmp_path / str(number)))
        code = watched_codes([watch], known, {})[watch.watch_id]
        said.append((best_possible(watch, code)[0].value, code.snapshot == known.digest))

    assert said == [("NeverHit", True), ("NeverEntered", True)]


def test_a_damaged_index_is_no_index(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An answer can only say less for it, and the log says which file it is."""
    store_with(tmp_path, {BUILD: [["inflate"]]})
    store = SymbolStore.open(tmp_path)
    [digest] = (entry.digest for entry in store.snapshot.entries)
    object_path(tmp_path, digest).write_bytes(b"damaged")

    assert StoreFiles(store).names(BUILD) is NoNames.NO_INDEX
    assert digest in caplog.text


def test_what_is_added_is_seen_at_the_next_look(tmp_path: Path) -> None:
    """Where there is a store, or there will be one; without a setting there never is."""
    followed = FollowedStore(tmp_path / "store")
    assert followed.files is None
    store_with(tmp_path / "store", {BUILD: [["inflate"]]})
    assert followed.look()
    assert not followed.look()
    first = followed.files
    assert first is not None
    store_with(tmp_path / "store", {OTHER: [["deflate"]]})
    assert followed.look()
    assert followed.files is not first
    (tmp_path / "store" / "current").unlink()
    assert not followed.look()
    assert FollowedStore(None).look() is False


def test_rows_that_an_older_snapshot_named_are_found_by_the_name_of_today(tmp_path: Path) -> None:
    """Whatever it was called before, unless that is the name of other code today."""
    store_with(tmp_path, {BUILD: [["deflate"], ["crc32"], ["stub", "adler"]]})
    store_with(tmp_path, {BUILD: [["deflate"], ["crc32_old"], ["adler"]]})
    store_with(tmp_path, {BUILD: [["deflate"], ["inflate"], ["crc32"]]})
    files = StoreFiles(SymbolStore.open(tmp_path))
    inflate, crc32 = (AnyName(asked, files.names, names_before=files.names_before) for asked in ("inflate", "crc32"))

    found = {name for name in ("crc32", "crc32_old", "stub", "adler", "deflate") if inflate.is_it(name, BUILD)}
    assert found == {"crc32_old"}
    assert inflate.may_be(f"{BUILD}!crc32_old".encode())
    assert {name for name in ("stub", "adler", "crc32_old", "inflate") if crc32.is_it(name, BUILD)} == {"stub", "adler"}
    assert not AnyName("inflate", files.names).is_it("crc32_old", BUILD)
    assert not inflate.is_it("crc32_old", OTHER)


def test_the_index_of_an_older_snapshot_is_at_hand(tmp_path: Path) -> None:
    """The same names if nothing changed, other ones if it did, and none of a snapshot that is gone."""
    first = store_with(tmp_path, {BUILD: [["deflate"]]})
    second = store_with(tmp_path, {OTHER: [["crc32"]]})
    store_with(tmp_path, {BUILD: [["deflate"], ["inflate"]]})
    files = StoreFiles(SymbolStore.open(tmp_path))
    now, then = files.names(BUILD), files.names_then(BUILD, first)

    assert not isinstance(then, NoNames)
    assert not isinstance(now, NoNames)
    assert files.names_then(BUILD, files.digest) is now
    assert list(then.all_names()) == ["deflate"]
    assert files.names_then(BUILD, second) is files.names_then(BUILD, second)
    assert files.names_then(OTHER, second) is files.names(OTHER)
    assert files.names_then(OTHER, first) is NoNames.NO_INDEX
    snapshot_path(tmp_path, second).unlink()
    assert StoreFiles(SymbolStore.open(tmp_path)).names_then(OTHER, second) is NoNames.NO_INDEX


def test_names_of_other_code_are_no_names_of_this_one(tmp_path: Path) -> None:
    """An index that was of another file with this build id says nothing about this one."""
    names = ("f",)
    digests: list[str] = []
    for code in (b"1" * 32, b"2" * 32):
        with StoreWriter(tmp_path) as writer:
            put_index(writer, index_bytes(BUILD, names, code=code), BUILD, replace=True)
            digests.append(writer.commit())

    assert StoreFiles(SymbolStore.open(tmp_path)).names_then(BUILD, digests[0]) is NoNames.NO_INDEX


@pytest.mark.parametrize("snapshot", ["/dev/zero", "../current", "", "ab" * 31, "AB" * 32, "\x1b[31m" + "ab" * 32])
def test_the_name_of_a_snapshot_is_a_strangers(snapshot: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rows come from a topic: what is not a digest is not a file's name, and stands in no log."""
    store_with(tmp_path, {BUILD: [["inflate"]]})

    assert StoreFiles(SymbolStore.open(tmp_path)).names_then(BUILD, snapshot) is NoNames.NO_INDEX
    assert not snapshot or snapshot not in caplog.text

"""Local state is written whole, read as written, and rebuilt when it cannot be trusted."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.processes.folder_lock import FolderUnusableError
from app.streaming import store as module
from app.streaming.store import META_PREFIX, PartitionStore, StoreDamagedError

ROWS = 20_000

HOLD = """
import sys
from pathlib import Path
from app.processes.folder_lock import FolderUnusableError
from app.streaming.store import PartitionStore
store = PartitionStore(Path(sys.argv[1]), "id-1")
print("open", flush=True)
sys.stdin.read()
"""
"""Program that holds a store until its standard input ends."""


def _key(number: int) -> bytes:
    return b"key-%020d" % number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store lives; it makes the folders itself."""
    return tmp_path / "table" / "0"


def _filled(folder: Path) -> None:
    """A closed store with enough rows for a file of many blocks."""
    store = PartitionStore(folder, "id-1")
    store.write(((_key(n), b"x%d" % n * 20) for n in range(ROWS)), 99)
    store.close()
    PartitionStore(folder, "id-1").close()  # opening again moves the log into a table file


def _damage(folder: Path) -> None:
    """Overwrite the middle of the largest table file."""
    target = max(folder.glob("*.sst"), key=lambda path: path.stat().st_size)
    with target.open("r+b") as file:
        file.seek(target.stat().st_size // 2)
        file.write(b"\xde\xad" * 2_000)


def test_rows_and_their_offset_survive_closing(folder: Path) -> None:
    """Later changes of a key win, and None removes."""
    store = PartitionStore(folder, "id-1")
    assert store.offset is None
    store.write([(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c", b"4"), (b"c", None)], 41)
    store.close()
    again = PartitionStore(folder, "id-1")
    assert again.read([b"b", b"a", b"c", b"d"]) == [b"2", b"3", None, None]
    assert again.offset == 41
    assert list(again.items()) == [(b"a", b"3"), (b"b", b"2")]


def test_our_own_keys_are_no_rows(folder: Path) -> None:
    """The table's position is kept among the rows and does not show up as one."""
    store = PartitionStore(folder, "id-1")
    store.write([(META_PREFIX + b"position", b"7"), (b"\x01included", b"8")], 1)
    assert list(store.items()) == [(b"\x01included", b"8")]
    assert store.read([META_PREFIX + b"position"]) == [b"7"]


def test_a_changelog_made_anew_empties_the_store_and_keeps_the_old_rows_aside(folder: Path) -> None:
    """Rows of another life of the topic would be mixed with the new ones; they may be the last copy."""
    store = PartitionStore(folder, "id-1")
    store.write([(b"a", b"1")], 41)
    store.close()
    other = PartitionStore(folder, "id-2")
    assert other.offset is None
    assert other.read([b"a"]) == [None]
    other.close()
    assert PartitionStore(folder, "id-2").offset is None
    assert PartitionStore(folder.with_name("0.old"), "id-1").read([b"a"]) == [b"1"]


def test_clearing_keeps_the_changelogs_incarnation(folder: Path) -> None:
    """So that the next start does not take it for a changed topic."""
    store = PartitionStore(folder, "id-1")
    store.write([(b"a", b"1")], 41)
    store.clear()
    assert store.offset is None
    store.write([(b"b", b"2")], 3)
    store.close()
    assert PartitionStore(folder, "id-1").read([b"b"]) == [b"2"]


def test_a_damaged_block_raises_and_is_gone_at_the_next_start(folder: Path) -> None:
    """It never reads as absent rows."""
    _filled(folder)
    _damage(folder)
    store = PartitionStore(folder, "id-1")
    with pytest.raises(StoreDamagedError):
        store.read([_key(n) for n in range(ROWS)])
    store.close()
    rebuilt = PartitionStore(folder, "id-1")
    assert rebuilt.offset is None
    assert list(rebuilt.items()) == []


def test_a_scan_that_meets_a_damaged_block_raises_instead_of_ending_early(folder: Path) -> None:
    """RocksDB's own iterator just stops."""
    _filled(folder)
    _damage(folder)
    store = PartitionStore(folder, "id-1")
    with pytest.raises(StoreDamagedError):
        list(store.items())


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST-*"])
def test_a_store_that_cannot_be_opened_starts_empty(folder: Path, name: str) -> None:
    """The changelog fills it again."""
    _filled(folder)
    next(folder.glob(name)).write_bytes(b"garbage")
    assert PartitionStore(folder, "id-1").offset is None


def test_a_folder_that_another_process_holds_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers with one index are told, and do not wait for ever."""
    monkeypatch.setattr(module, "LOCK_WAIT_SECONDS", 0.3)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(FolderUnusableError, match="another process"):
            PartitionStore(folder, "id-1")
        other.communicate()
    PartitionStore(folder, "id-1").close()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(folder: Path) -> None:
    """Not a reason to remove anything."""
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=str(folder.name)):
        PartitionStore(folder, "id-1")
    assert folder.exists()


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.sst", "IDENTITY", "OPTIONS-*"])
@pytest.mark.parametrize("damage", ["missing", "empty", "zeros", "other bytes", "half"])
def test_a_folder_that_was_restored_in_part_is_whole_or_rebuilt(folder: Path, pattern: str, damage: str) -> None:
    """Whatever a backup left out or a power cut left behind, rows are as written or the store says what to rebuild."""
    _filled(folder)
    for path in folder.glob(pattern):
        content = path.read_bytes()
        match damage:
            case "missing":
                path.unlink()
            case "empty":
                path.write_bytes(b"")
            case "zeros":
                path.write_bytes(bytes(len(content)))
            case "other bytes":
                path.write_bytes(b"garbage\n" * (len(content) // 8 + 1))
            case _:
                path.write_bytes(content[: len(content) // 2])
    for _ in range(2):  # the second time after what the first one found
        store = PartitionStore(folder, "id-1")
        try:
            offset, rows = store.offset, dict(store.items())
        except StoreDamagedError:
            store.close()
            continue
        assert (offset, len(rows)) in {(None, 0), (99, ROWS)}
        store.close()
        return
    pytest.fail("damage was found twice, and nothing was rebuilt")

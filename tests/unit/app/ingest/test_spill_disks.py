"""A spill folder on disks that refuse, lose power, or cannot be synced: what was promised comes back, once."""

import errno
import os
import stat
from pathlib import Path
from random import Random

import pytest

from app.ingest.chunk import Chunk
from app.ingest.spill import SpillFolder
from tests.support.spill_chunks import LIMIT, interval_of, numbered_chunk, segments, store, taken


class BadDisk:
    """`os.pwrite` on a disk that refuses when the test wants it, having taken half of the write or nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error = 0
        self.half = True
        self.cuts = True
        """Whether it cuts files off."""
        self._pwrite, self._ftruncate = os.pwrite, os.ftruncate
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        monkeypatch.setattr(os, "ftruncate", self.ftruncate)

    def pwrite(self, descriptor: int, content: bytes, position: int) -> int:
        """All of it, or half of it and then an error."""
        if self.error:
            if self.half:
                self._pwrite(descriptor, content[: len(content) // 2], position)
            raise OSError(self.error, os.strerror(self.error))
        return self._pwrite(descriptor, content, position)

    def ftruncate(self, descriptor: int, length: int) -> None:
        """Refused with everything else, where `cuts` is False."""
        if self.error and not self.cuts:
            raise OSError(self.error, os.strerror(self.error))
        self._ftruncate(descriptor, length)


@pytest.mark.parametrize("cuts", [True, False])
def test_full_disk_leaves_no_half_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cuts: bool) -> None:
    """The failed write is taken back; what follows when there is space again is whole, also for the next process."""
    disk = BadDisk(monkeypatch)
    disk.cuts = cuts
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 1)
    disk.error = errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        folder.append(numbered_chunk(2), interval_of(2))
    disk.error = 0
    store(folder, 3)
    folder.close()

    assert [chunk.received_ms for chunk in taken(SpillFolder(tmp_path, LIMIT))] == [1, 3]


@pytest.mark.proof
def test_faults_of_every_kind_lose_nothing_that_was_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, size: int
) -> None:
    """50 processes, times the size: writes fail at random and processes die. What was promised comes, once."""
    rng = Random(seed)
    disk = BadDisk(monkeypatch)
    promised: list[int] = []
    number = 0
    for _ in range(50 * size):
        folder = SpillFolder(tmp_path, 1 << 30, sync_seconds=3600)
        for _ in range(rng.randrange(8)):
            number += 1
            disk.error = rng.choice((0, 0, errno.ENOSPC, errno.EIO))
            disk.half, disk.cuts = rng.random() < 0.5, rng.random() < 0.5
            try:
                if folder.append(numbered_chunk(number, rng.choice((10, 3000, 30_000))), interval_of(number)):
                    promised.append(number)
            except OSError:
                assert disk.error
        disk.error = 0
        folder._lock_file.close()  # the process dies

    folder = SpillFolder(tmp_path, 1 << 30)
    assert [chunk.received_ms for chunk in taken(folder)] == promised
    folder.release()
    assert segments(tmp_path) == []


@pytest.mark.proof
def test_power_cut_leaves_all_up_to_the_last_sync(tmp_path: Path, seed: int, size: int) -> None:
    """Behind the synced bytes a disk shows zeros, half an entry, stale bytes of another file, or nothing."""
    rng = Random(seed)
    for cycle in range(50 * size):
        path = tmp_path / str(cycle)
        folder = SpillFolder(path, LIMIT, sync_seconds=3600)
        synced = list(range(rng.randrange(1, 5)))
        store(folder, *synced)
        folder._sync()
        (file,) = segments(path)
        kept = file.stat().st_size
        later = list(range(100, 100 + rng.randrange(1, 5)))
        store(folder, *later)
        whole = file.read_bytes()
        stale = _other_segment(tmp_path / f"{cycle}-other")
        end = {
            "zeros": bytes(len(whole) - kept),
            "half": whole[kept : kept + rng.randrange(len(whole) - kept)],
            "stale": stale[kept : len(whole)],
            "stale in pieces": whole[kept : kept + 60] + stale[kept + 60 : len(whole)],
            "nothing": b"",
        }[rng.choice(("zeros", "half", "stale", "stale in pieces", "nothing"))]
        file.write_bytes(whole[:kept] + end)
        folder._lock_file.close()

        read: list[int] = []
        again = SpillFolder(path, LIMIT)
        while (found := again.take()) is not None:
            if isinstance(found, Chunk):
                assert found.events == numbered_chunk(found.received_ms).events
                read.append(found.received_ms)

        assert read[: len(synced)] == synced
        assert read == (synced + later)[: len(read)]


def _other_segment(folder: Path) -> bytes:
    """A segment of the same chunks in another file."""
    other = SpillFolder(folder, LIMIT)
    store(other, *range(10))
    other.close()
    return segments(folder)[0].read_bytes()


def test_syncs_are_as_often_as_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 0 every chunk is synced before `append` returns, and the folder with each new file."""
    synced: list[bool] = []

    def fsync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", fsync)
    folder = SpillFolder(tmp_path / "each", LIMIT, sync_seconds=0)
    synced.clear()
    store(folder, 1, 2)
    assert synced == [False, True, False]

    folder = SpillFolder(tmp_path / "seldom", LIMIT, sync_seconds=3600)
    synced.clear()
    store(folder, 1, 2)
    folder.sync_if_due()
    assert synced == []
    folder.close()
    assert synced == [False, True]


def test_what_could_not_be_synced_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync the disk may have none of it, and answer the next sync of the file all the same."""
    folder = SpillFolder(tmp_path, LIMIT, sync_seconds=3600)
    store(folder, 1)
    (path,) = segments(tmp_path)
    before = path.stat().st_ino

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        folder._sync()
        store(folder, 2)
        folder._sync()
        assert folder.trouble == "the spill folder cannot be synced: Input/output error"
    store(folder, 3)
    folder._sync()
    assert folder.trouble is None

    assert path.stat().st_ino != before
    assert not folder._doubtful
    assert [chunk.received_ms for chunk in taken(folder)] == [1, 2, 3]
    folder._lock_file.close()
    assert [chunk.received_ms for chunk in taken(SpillFolder(tmp_path, LIMIT))] == [1, 2, 3]


def test_a_file_that_cannot_be_deleted_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent twice, and the writer lives."""
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 1)
    folder.take()

    def unlink(self: Path, *, missing_ok: bool = False) -> None:
        del self, missing_ok
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", unlink)
    folder.release()
    folder.close()

    assert [chunk.received_ms for chunk in taken(SpillFolder(tmp_path, LIMIT))] == [1]

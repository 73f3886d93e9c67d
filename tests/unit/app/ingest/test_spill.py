import errno
import os
import stat
from pathlib import Path
from random import Random

import pytest

from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval, LostEvents
from app.ingest.spill import SpillFolder
from app.ingest.spill_segment import HEAD_BYTES, HEADER_BYTES
from app.processes.folder_lock import FolderUnusableError

LIMIT = 1 << 20


def _chunk(number: int, size: int = 100, events: int = 3) -> Chunk:
    contents = [f"{number}-{index}-".encode() + b"x" * size for index in range(events)]
    return Chunk(number, contents, size_bytes=sum(map(len, contents)))


def _interval(number: int, events: int = 3) -> EventInterval:
    return EventInterval(events, number * 10, number * 10 + 5)


def _store(folder: SpillFolder, *numbers: int, size: int = 100) -> None:
    for number in numbers:
        assert folder.append(_chunk(number, size), _interval(number))


def _taken(folder: SpillFolder) -> list[Chunk]:
    chunks = []
    while (found := folder.take()) is not None:
        assert isinstance(found, Chunk)
        chunks.append(found)
    return chunks


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.events"))


def test_chunks_come_back_whole_and_in_order(tmp_path: Path) -> None:
    """Events byte for byte, empty ones too, with the time of their receipt."""
    folder = SpillFolder(tmp_path, LIMIT)
    chunk = Chunk(7, [b"", b"\x00\xff", b"event"], size_bytes=7)
    folder.append(chunk, _interval(7))
    _store(folder, 8, 9)

    first, *rest = _taken(folder)

    assert (first.events, first.received_ms, first.size_bytes) == (chunk.events, 7, 7)
    assert [one.events for one in rest] == [_chunk(8).events, _chunk(9).events]
    assert folder.is_empty()


def test_next_process_finds_what_was_not_taken(tmp_path: Path) -> None:
    """Numbers of events and bytes, the oldest time of receipt, and the events, before new ones."""
    first = SpillFolder(tmp_path, LIMIT)
    _store(first, 1, 2)
    first.close()

    second = SpillFolder(tmp_path, LIMIT)
    stored, oldest = second.stored(), second.oldest_ms()
    _store(second, 3)

    assert stored == (6, _chunk(1).size_bytes + _chunk(2).size_bytes)
    assert oldest == 1
    assert [chunk.received_ms for chunk in _taken(second)] == [1, 2, 3]


def test_taken_and_unreleased_is_there_after_a_crash(tmp_path: Path) -> None:
    """Taking is not writing to Kafka: until it is released it comes again."""
    first = SpillFolder(tmp_path, LIMIT)
    _store(first, 1, 2)
    first.take()
    first.close()

    assert [chunk.received_ms for chunk in _taken(SpillFolder(tmp_path, LIMIT))] == [1, 2]


def test_released_segments_are_deleted(tmp_path: Path) -> None:
    """An idle folder takes no space, and can be used again."""
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 1, 2)
    folder.take()
    folder.release()
    assert _files(tmp_path), "one chunk was not taken"
    folder.take()
    folder.release()

    assert _files(tmp_path) == []
    _store(folder, 3)
    assert [chunk.received_ms for chunk in _taken(folder)] == [3]


def test_folder_is_bounded(tmp_path: Path) -> None:
    """What does not fit is refused, and the folder never exceeds its limit."""
    folder = SpillFolder(tmp_path, LIMIT)
    number = 0
    while folder.append(_chunk(number, 10_000), _interval(number)):
        number += 1

    assert sum(path.stat().st_size for path in _files(tmp_path)) <= LIMIT
    assert number > 30
    assert [chunk.received_ms for chunk in _taken(folder)] == list(range(number))


def test_dropping_the_oldest_makes_room(tmp_path: Path) -> None:
    """A segment's worth of the oldest goes, described by number and times; the rest stays in order."""
    folder = SpillFolder(tmp_path, LIMIT)
    number = 0
    while folder.append(_chunk(number, 10_000), _interval(number)):
        number += 1

    lost = folder.drop_oldest()

    assert lost is not None
    gone = lost.interval.events // 3
    assert gone >= 1
    assert (lost.interval.from_ns, lost.interval.to_ns) == (0, (gone - 1) * 10 + 5)
    assert folder.append(_chunk(number, 10_000), _interval(number))
    assert [chunk.received_ms for chunk in _taken(folder)] == list(range(gone, number + 1))
    assert folder.drop_oldest() is None


def test_damaged_bytes_are_reported_by_number_and_times(tmp_path: Path) -> None:
    """A flipped bit costs its chunk; the next one is read."""
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 1, 2)
    (path,) = _files(tmp_path)
    content = bytearray(path.read_bytes())
    content[HEAD_BYTES + HEADER_BYTES + 10] ^= 1
    path.write_bytes(content)

    damaged, whole = folder.take(), folder.take()

    assert damaged == LostEvents(_interval(1), _chunk(1).size_bytes)
    assert isinstance(whole, Chunk)
    assert whole.received_ms == 2


@pytest.mark.parametrize("cut", [1, 100, 350])
def test_cut_off_entry_was_never_stored(tmp_path: Path, cut: int) -> None:
    """A crash in the middle of a write leaves what was stored before, and the folder stays usable."""
    first = SpillFolder(tmp_path, LIMIT)
    _store(first, 1, 2)
    first.close()
    (path,) = _files(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])

    second = SpillFolder(tmp_path, LIMIT)
    _store(second, 3)

    assert [chunk.received_ms for chunk in _taken(second)] == [1, 3]


def test_empty_segment_is_no_hindrance(tmp_path: Path) -> None:
    """A crash right after a segment was made."""
    (tmp_path / "500000000001.events").write_bytes(b"")
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 1)

    assert [chunk.received_ms for chunk in _taken(folder)] == [1]


@pytest.mark.parametrize("content", [b"something else entirely", bytes(100_000)])
def test_file_that_is_not_a_segment_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """After a power cut a file may be all zeros. It keeps its bytes under another name, and ingest starts."""
    (tmp_path / "500000000001.events").write_bytes(content)
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 1)

    assert [chunk.received_ms for chunk in _taken(folder)] == [1]
    assert [path.read_bytes() for path in tmp_path.glob("*.damaged")] == [content]


def test_pipe_in_a_segments_place_is_set_aside_at_once(tmp_path: Path) -> None:
    """Whoever restores a folder may restore anything; opening a pipe would wait for a writer that never comes."""
    os.mkfifo(tmp_path / "500000000001.events")
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 1)

    assert [chunk.received_ms for chunk in _taken(folder)] == [1]
    assert [path.is_fifo() for path in tmp_path.glob("*.damaged")] == [True]


def test_what_is_set_aside_counts_towards_the_limit(tmp_path: Path) -> None:
    """A disk that is cut off from power again and again does not fill up."""
    (tmp_path / "500000000001.events").write_bytes(bytes(LIMIT))

    assert not SpillFolder(tmp_path, LIMIT).append(_chunk(1), _interval(1))


def test_second_process_is_refused(tmp_path: Path) -> None:
    """Two would delete each other's segments."""
    folder = SpillFolder(tmp_path, LIMIT)

    with pytest.raises(FolderUnusableError, match=r"another callstream ingest"):
        SpillFolder(tmp_path, LIMIT)
    folder.close()


def test_events_are_for_the_owner_only(tmp_path: Path) -> None:
    """They are as private as the raw topic."""
    path = tmp_path / "spill"
    _store(SpillFolder(path, LIMIT), 1)

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in _files(path)] == [0o600]


def test_what_the_producer_gives_back_comes_first(tmp_path: Path) -> None:
    """It is older than everything else on disk, also for the next process."""
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 5, 6)
    folder.prepend(_chunk(1), _interval(1))
    folder.close()

    assert [chunk.received_ms for chunk in _taken(SpillFolder(tmp_path, LIMIT))] == [1, 5, 6]


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
    _store(folder, 1)
    disk.error = errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        folder.append(_chunk(2), _interval(2))
    disk.error = 0
    _store(folder, 3)
    folder.close()

    assert [chunk.received_ms for chunk in _taken(SpillFolder(tmp_path, LIMIT))] == [1, 3]


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
                if folder.append(_chunk(number, rng.choice((10, 3000, 30_000))), _interval(number)):
                    promised.append(number)
            except OSError:
                assert disk.error
        disk.error = 0
        folder._lock_file.close()  # the process dies

    folder = SpillFolder(tmp_path, 1 << 30)
    assert [chunk.received_ms for chunk in _taken(folder)] == promised
    folder.release()
    assert _files(tmp_path) == []


@pytest.mark.proof
def test_power_cut_leaves_all_up_to_the_last_sync(tmp_path: Path, seed: int, size: int) -> None:
    """Behind the synced bytes a disk shows zeros, half an entry, stale bytes of another file, or nothing."""
    rng = Random(seed)
    for cycle in range(50 * size):
        path = tmp_path / str(cycle)
        folder = SpillFolder(path, LIMIT, sync_seconds=3600)
        synced = list(range(rng.randrange(1, 5)))
        _store(folder, *synced)
        folder._sync()
        (file,) = _files(path)
        kept = file.stat().st_size
        later = list(range(100, 100 + rng.randrange(1, 5)))
        _store(folder, *later)
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
                assert found.events == _chunk(found.received_ms).events
                read.append(found.received_ms)

        assert read[: len(synced)] == synced
        assert read == (synced + later)[: len(read)]


def _other_segment(folder: Path) -> bytes:
    """A segment of the same chunks in another file."""
    other = SpillFolder(folder, LIMIT)
    _store(other, *range(10))
    other.close()
    return _files(folder)[0].read_bytes()


def test_a_bit_in_any_header_field_costs_what_follows_and_nothing_else(tmp_path: Path) -> None:
    """Time of receipt, number of events and times are inside the checksum: none of them is read when it is wrong."""
    for byte in range(HEADER_BYTES):
        path = tmp_path / str(byte)
        folder = SpillFolder(path, LIMIT)
        _store(folder, 1)
        (file,) = _files(path)
        second = file.stat().st_size
        _store(folder, 2, 3)
        folder.close()
        content = bytearray(file.read_bytes())
        content[second + byte] ^= 0x40
        file.write_bytes(content)

        again = SpillFolder(path, LIMIT)
        assert again.stored() == (3, _chunk(1).size_bytes)
        assert [chunk.received_ms for chunk in _taken(again)] == [1]


def test_syncs_are_as_often_as_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 0 every chunk is synced before `append` returns, and the folder with each new file."""
    synced: list[bool] = []

    def fsync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", fsync)
    folder = SpillFolder(tmp_path / "each", LIMIT, sync_seconds=0)
    synced.clear()
    _store(folder, 1, 2)
    assert synced == [False, True, False]

    folder = SpillFolder(tmp_path / "seldom", LIMIT, sync_seconds=3600)
    synced.clear()
    _store(folder, 1, 2)
    folder.sync_if_due()
    assert synced == []
    folder.close()
    assert synced == [False, True]


def test_what_could_not_be_synced_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync the disk may have none of it, and answer the next sync of the file all the same."""
    folder = SpillFolder(tmp_path, LIMIT, sync_seconds=3600)
    _store(folder, 1)
    (path,) = _files(tmp_path)
    before = path.stat().st_ino

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        folder._sync()
        _store(folder, 2)
        folder._sync()
        assert folder.trouble == "the spill folder cannot be synced: Input/output error"
    _store(folder, 3)
    folder._sync()
    assert folder.trouble is None

    assert path.stat().st_ino != before
    assert not folder._doubtful
    assert [chunk.received_ms for chunk in _taken(folder)] == [1, 2, 3]
    folder._lock_file.close()
    assert [chunk.received_ms for chunk in _taken(SpillFolder(tmp_path, LIMIT))] == [1, 2, 3]


def test_a_file_that_cannot_be_deleted_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent twice, and the writer lives."""
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 1)
    folder.take()

    def unlink(self: Path, *, missing_ok: bool = False) -> None:
        del self, missing_ok
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", unlink)
    folder.release()
    folder.close()

    assert [chunk.received_ms for chunk in _taken(SpillFolder(tmp_path, LIMIT))] == [1]

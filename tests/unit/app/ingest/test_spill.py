import errno
import stat
from pathlib import Path
from typing import IO

import pytest

from app.ingest import spill as spill_module
from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval, LostEvents
from app.ingest.spill import MAGIC, SpillFolder
from app.processes.folder_lock import FolderUnusableError

LIMIT = 1 << 20


def _chunk(number: int, size: int = 100, events: int = 3) -> Chunk:
    contents = [f"{number}-{index}-".encode() + b"x" * size for index in range(events)]
    return Chunk(number, contents, size_bytes=sum(map(len, contents)))


def _span(number: int, events: int = 3) -> EventInterval:
    return EventInterval(events, number * 10, number * 10 + 5)


def _store(folder: SpillFolder, *numbers: int, size: int = 100) -> None:
    for number in numbers:
        assert folder.append(_chunk(number, size), _span(number))


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
    folder.append(chunk, _span(7))
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
    while folder.append(_chunk(number, 10_000), _span(number)):
        number += 1

    assert sum(path.stat().st_size for path in _files(tmp_path)) <= LIMIT
    assert number > 30
    assert [chunk.received_ms for chunk in _taken(folder)] == list(range(number))


def test_dropping_the_oldest_makes_room(tmp_path: Path) -> None:
    """A segment's worth of the oldest goes, described by number and span; the rest stays in order."""
    folder = SpillFolder(tmp_path, LIMIT)
    number = 0
    while folder.append(_chunk(number, 10_000), _span(number)):
        number += 1

    lost = folder.drop_oldest()

    assert lost is not None
    gone = lost.interval.events // 3
    assert gone >= 1
    assert (lost.interval.from_ns, lost.interval.to_ns) == (0, (gone - 1) * 10 + 5)
    assert folder.append(_chunk(number, 10_000), _span(number))
    assert [chunk.received_ms for chunk in _taken(folder)] == list(range(gone, number + 1))
    assert folder.drop_oldest() is None


def test_damaged_bytes_are_reported_by_number_and_span(tmp_path: Path) -> None:
    """A flipped bit costs its chunk; the next one is read."""
    folder = SpillFolder(tmp_path, LIMIT)
    _store(folder, 1, 2)
    (path,) = _files(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(MAGIC) + 60] ^= 1
    path.write_bytes(content)

    damaged, whole = folder.take(), folder.take()

    assert damaged == LostEvents(_span(1), _chunk(1).size_bytes)
    assert isinstance(whole, Chunk)
    assert whole.received_ms == 2


@pytest.mark.parametrize("cut", [1, 100, 350])
def test_cut_off_frame_was_never_stored(tmp_path: Path, cut: int) -> None:
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


def test_foreign_file_is_not_touched(tmp_path: Path) -> None:
    """A file of another format stops the start instead of being deleted."""
    path = tmp_path / "500000000001.events"
    path.write_bytes(b"something else entirely")

    with pytest.raises(FolderUnusableError, match=r"CALLSTREAM_SPILL_DIR"):
        SpillFolder(tmp_path, LIMIT)
    assert path.exists()


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
    folder.prepend(_chunk(1), _span(1))
    folder.close()

    assert [chunk.received_ms for chunk in _taken(SpillFolder(tmp_path, LIMIT))] == [1, 5, 6]


class FullDisk:
    """A file that takes half of a write and then has no space."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.full = False

    def write(self, content: bytes) -> int:
        """Half of it."""
        if self.full:
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(content)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_full_disk_leaves_no_half_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failed write is taken back; what follows when there is space again is whole."""
    opened: list[FullDisk] = []
    original = spill_module._private

    def private(path: Path, mode: str) -> object:
        opened.append(FullDisk(original(path, mode)))
        return opened[-1]

    folder = SpillFolder(tmp_path, LIMIT)
    monkeypatch.setattr(spill_module, "_private", private)
    _store(folder, 1)
    opened[0].full = True
    with pytest.raises(OSError, match="No space left"):
        folder.append(_chunk(2), _span(2))
    opened[0].full = False
    _store(folder, 3)

    assert [chunk.received_ms for chunk in _taken(folder)] == [1, 3]

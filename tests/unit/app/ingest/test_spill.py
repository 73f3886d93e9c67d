"""What is put into a spill folder comes back whole, in order and once, also for the next process."""

import os
import stat
from pathlib import Path

import pytest

from app.ingest.chunk import Chunk
from app.ingest.event_books import LostEvents
from app.ingest.spill import SpillFolder
from app.ingest.spill_segment import HEAD_BYTES, HEADER_BYTES
from app.processes.folder_lock import FolderUnusableError
from tests.support.spill_chunks import LIMIT, interval_of, numbered_chunk, segments, store, taken


def test_chunks_come_back_whole_and_in_order(tmp_path: Path) -> None:
    """Events byte for byte, empty ones too, with the time of their receipt."""
    folder = SpillFolder(tmp_path, LIMIT)
    chunk = Chunk(7, [b"", b"\x00\xff", b"event"], size_bytes=7)
    folder.append(chunk, interval_of(7))
    store(folder, 8, 9)

    first, *rest = taken(folder)

    assert (first.events, first.received_ms, first.size_bytes) == (chunk.events, 7, 7)
    assert [one.events for one in rest] == [numbered_chunk(8).events, numbered_chunk(9).events]
    assert folder.is_empty()


def test_next_process_finds_what_was_not_taken(tmp_path: Path) -> None:
    """Numbers of events and bytes, the oldest time of receipt, and the events, before new ones."""
    first = SpillFolder(tmp_path, LIMIT)
    store(first, 1, 2)
    first.close()

    second = SpillFolder(tmp_path, LIMIT)
    stored, oldest = second.stored(), second.oldest_ms()
    store(second, 3)

    assert stored == (6, numbered_chunk(1).size_bytes + numbered_chunk(2).size_bytes)
    assert oldest == 1
    assert [chunk.received_ms for chunk in taken(second)] == [1, 2, 3]


def test_taken_and_unreleased_is_there_after_a_crash(tmp_path: Path) -> None:
    """Taking is not writing to Kafka: until it is released it comes again."""
    first = SpillFolder(tmp_path, LIMIT)
    store(first, 1, 2)
    first.take()
    first.close()

    assert [chunk.received_ms for chunk in taken(SpillFolder(tmp_path, LIMIT))] == [1, 2]


def test_released_segments_are_deleted(tmp_path: Path) -> None:
    """An idle folder takes no space, and can be used again."""
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 1, 2)
    folder.take()
    folder.release()
    assert segments(tmp_path), "one chunk was not taken"
    folder.take()
    folder.release()

    assert segments(tmp_path) == []
    store(folder, 3)
    assert [chunk.received_ms for chunk in taken(folder)] == [3]


def test_folder_is_bounded(tmp_path: Path) -> None:
    """What does not fit is refused, and the folder never exceeds its limit."""
    folder = SpillFolder(tmp_path, LIMIT)
    number = 0
    while folder.append(numbered_chunk(number, 10_000), interval_of(number)):
        number += 1

    assert sum(path.stat().st_size for path in segments(tmp_path)) <= LIMIT
    assert number > 30
    assert [chunk.received_ms for chunk in taken(folder)] == list(range(number))


def test_dropping_the_oldest_makes_room(tmp_path: Path) -> None:
    """A segment's worth of the oldest goes, described by number and times; the rest stays in order."""
    folder = SpillFolder(tmp_path, LIMIT)
    number = 0
    while folder.append(numbered_chunk(number, 10_000), interval_of(number)):
        number += 1

    lost = folder.drop_oldest()

    assert lost is not None
    gone = lost.interval.events // 3
    assert gone >= 1
    assert (lost.interval.from_ns, lost.interval.to_ns) == (0, (gone - 1) * 10 + 5)
    assert folder.append(numbered_chunk(number, 10_000), interval_of(number))
    assert [chunk.received_ms for chunk in taken(folder)] == list(range(gone, number + 1))
    assert folder.drop_oldest() is None


def test_damaged_bytes_are_reported_by_number_and_times(tmp_path: Path) -> None:
    """A flipped bit costs its chunk; the next one is read."""
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 1, 2)
    (path,) = segments(tmp_path)
    content = bytearray(path.read_bytes())
    content[HEAD_BYTES + HEADER_BYTES + 10] ^= 1
    path.write_bytes(content)

    damaged, whole = folder.take(), folder.take()

    assert damaged == LostEvents(interval_of(1), numbered_chunk(1).size_bytes)
    assert isinstance(whole, Chunk)
    assert whole.received_ms == 2


@pytest.mark.parametrize("cut", [1, 100, 350])
def test_cut_off_entry_was_never_stored(tmp_path: Path, cut: int) -> None:
    """A crash in the middle of a write leaves what was stored before, and the folder stays usable."""
    first = SpillFolder(tmp_path, LIMIT)
    store(first, 1, 2)
    first.close()
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])

    second = SpillFolder(tmp_path, LIMIT)
    store(second, 3)

    assert [chunk.received_ms for chunk in taken(second)] == [1, 3]


def test_empty_segment_is_no_hindrance(tmp_path: Path) -> None:
    """A crash right after a segment was made."""
    (tmp_path / "500000000001.events").write_bytes(b"")
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 1)

    assert [chunk.received_ms for chunk in taken(folder)] == [1]


@pytest.mark.parametrize("content", [b"something else entirely", bytes(100_000)])
def test_file_that_is_not_a_segment_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """After a power cut a file may be all zeros. It keeps its bytes under another name, and ingest starts."""
    (tmp_path / "500000000001.events").write_bytes(content)
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 1)

    assert [chunk.received_ms for chunk in taken(folder)] == [1]
    assert [path.read_bytes() for path in tmp_path.glob("*.damaged")] == [content]


def test_pipe_in_a_segments_place_is_set_aside_at_once(tmp_path: Path) -> None:
    """Whoever restores a folder may restore anything; opening a pipe would wait for a writer that never comes."""
    os.mkfifo(tmp_path / "500000000001.events")
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 1)

    assert [chunk.received_ms for chunk in taken(folder)] == [1]
    assert [path.is_fifo() for path in tmp_path.glob("*.damaged")] == [True]


def test_what_is_set_aside_counts_towards_the_limit(tmp_path: Path) -> None:
    """A disk that is cut off from power again and again does not fill up."""
    (tmp_path / "500000000001.events").write_bytes(bytes(LIMIT))

    assert not SpillFolder(tmp_path, LIMIT).append(numbered_chunk(1), interval_of(1))


def test_second_process_is_refused(tmp_path: Path) -> None:
    """Two would delete each other's segments."""
    folder = SpillFolder(tmp_path, LIMIT)

    with pytest.raises(FolderUnusableError, match=r"another callstream ingest"):
        SpillFolder(tmp_path, LIMIT)
    folder.close()


def test_events_are_for_the_owner_only(tmp_path: Path) -> None:
    """They are as private as the raw topic."""
    path = tmp_path / "spill"
    store(SpillFolder(path, LIMIT), 1)

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in segments(path)] == [0o600]


def test_what_the_producer_gives_back_comes_first(tmp_path: Path) -> None:
    """It is older than everything else on disk, also for the next process."""
    folder = SpillFolder(tmp_path, LIMIT)
    store(folder, 5, 6)
    folder.prepend(numbered_chunk(1), interval_of(1))
    folder.close()

    assert [chunk.received_ms for chunk in taken(SpillFolder(tmp_path, LIMIT))] == [1, 5, 6]


def test_a_bit_in_any_header_field_costs_what_follows_and_nothing_else(tmp_path: Path) -> None:
    """Time of receipt, number of events and times are inside the checksum: none of them is read when it is wrong."""
    for byte in range(HEADER_BYTES):
        path = tmp_path / str(byte)
        folder = SpillFolder(path, LIMIT)
        store(folder, 1)
        (file,) = segments(path)
        second = file.stat().st_size
        store(folder, 2, 3)
        folder.close()
        content = bytearray(file.read_bytes())
        content[second + byte] ^= 0x40
        file.write_bytes(content)

        again = SpillFolder(path, LIMIT)
        assert again.stored() == (3, numbered_chunk(1).size_bytes)
        assert [chunk.received_ms for chunk in taken(again)] == [1]

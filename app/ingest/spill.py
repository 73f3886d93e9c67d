"""Events on disk while Kafka is away: bounded, in order, and there again after a restart.

A folder of numbered segment files. A segment begins with MAGIC and holds entries, one a chunk: a header (`_HEADER`:
payload length, CRC-32 of the payload, time of receipt in ms, number of events, and the span of the events' own times in
ns), then the events, each after its length. Only the last segment is written, only the first is read; a segment
is deleted when all of it is in Kafka, so a crash costs nothing that was stored and sends some of it twice. Writes are
not synced one by one: they survive the process, and the machine within the kernel's own write-back time. A entry that
is cut off was never stored; one whose checksum is wrong is reported with its number of events; behind a broken header
nothing can be read, which lies inside the gap that a new process reports anyway. Raw events are private, so folder and
files are for their owner only.
"""

import errno
import logging
import os
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from threading import Lock
from typing import IO, Final

from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval, LostEvents
from app.processes.folder_lock import FolderUnusableError, lock_folder

log = logging.getLogger(__name__)

MAGIC: Final = b"callstream spill 1\n"
SEGMENT_BYTES: Final = 32 << 20
"""A segment is the unit of deleting and of dropping the oldest; an eighth of the folder's limit where that is less."""
_FIRST_NUMBER: Final = 500_000_000_000
"""Leaves room before the first segment, for what the producer gives back on a stop."""

_HEADER: Final = Struct(">IIqIqq")
_LENGTH: Final = Struct(">I")
_SUFFIX: Final = ".events"


@dataclass(frozen=True, slots=True)
class _SpillEntry:
    offset: int
    length: int
    crc: int
    received_ms: int
    interval: EventInterval

    @property
    def size_bytes(self) -> int:
        """Bytes of the events alone."""
        return self.length - self.interval.events * _LENGTH.size


@dataclass(slots=True)
class _Segment:
    path: Path
    size_bytes: int
    entries: deque[_SpillEntry] = field(default_factory=deque)


class SpillFolder:
    """An open spill folder. Every method may be called from any thread."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Open the folder with what an earlier process left in it. Raises FolderUnusableError."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // 8)
        self._lock = Lock()
        self._segments: deque[_Segment] = deque()
        self._tail: IO[bytes] | None = None
        self._reading: tuple[Path, IO[bytes]] | None = None
        self._lock_file = lock_folder(folder, "CALLSTREAM_SPILL_DIR")
        try:
            for path in sorted(folder.glob(f"{'[0-9]' * 12}{_SUFFIX}")):
                self._segments.append(_scan(path))
        except OSError as error:
            self._lock_file.close()
            raise FolderUnusableError(f"CALLSTREAM_SPILL_DIR: cannot use {folder}: {error.strerror}") from None

    def stored(self) -> tuple[int, int]:
        """Number of events that were not taken yet, and their bytes."""
        with self._lock:
            entries = [entry for segment in self._segments for entry in segment.entries]
            return sum(entry.interval.events for entry in entries), sum(entry.size_bytes for entry in entries)

    def is_empty(self) -> bool:
        """Whether everything was taken."""
        with self._lock:
            return not any(segment.entries for segment in self._segments)

    def oldest_ms(self) -> int | None:
        """When the oldest event that was not taken arrived, Unix time; None when there is none."""
        with self._lock:
            return next((segment.entries[0].received_ms for segment in self._segments if segment.entries), None)

    def append(self, chunk: Chunk, interval: EventInterval) -> bool:
        """Store a chunk behind all others; False when the folder is full. Raises OSError."""
        payload = _payload(chunk)
        header = _header(payload, chunk, interval)
        with self._lock:
            size = len(header) + len(payload)
            if sum(segment.size_bytes for segment in self._segments) + size > self._max_bytes:
                return False
            segment, tail = self._open_tail(size)
            try:
                tail.write(header)
                tail.write(payload)
                tail.flush()
            except OSError:
                tail.truncate(segment.size_bytes)
                tail.seek(segment.size_bytes)
                raise
            offset = segment.size_bytes + len(header)
            segment.entries.append(_SpillEntry(offset, len(payload), zlib.crc32(payload), chunk.received_ms, interval))
            segment.size_bytes += size
            return True

    def prepend(self, chunk: Chunk, interval: EventInterval) -> None:
        """Store a chunk before all others, whatever the limit; for the end of a process. Raises OSError."""
        payload = _payload(chunk)
        header = _header(payload, chunk, interval)
        with self._lock:
            first = int(self._segments[0].path.stem) if self._segments else _FIRST_NUMBER
            path = self._folder / f"{first - 1:012d}{_SUFFIX}"
            with _private(path, "wb") as file:
                file.write(MAGIC + header + payload)
                file.flush()
                os.fsync(file.fileno())
            segment = _Segment(path, len(MAGIC) + len(header) + len(payload))
            offset = len(MAGIC) + len(header)
            segment.entries.append(_SpillEntry(offset, len(payload), zlib.crc32(payload), chunk.received_ms, interval))
            self._segments.appendleft(segment)

    def take(self) -> Chunk | LostEvents | None:
        """The oldest chunk, without keys; None when there is none. It stays on disk until `release`."""
        with self._lock:
            segment = next((one for one in self._segments if one.entries), None)
            if segment is None:
                return None
            entry = segment.entries.popleft()
            try:
                payload = self._read(segment.path, entry)
            except OSError as error:
                log.error("%s cannot be read: %s", segment.path, error.strerror)
                payload = b""
            if len(payload) != entry.length or zlib.crc32(payload) != entry.crc:
                return LostEvents(entry.interval, entry.size_bytes)
            return Chunk(entry.received_ms, _events(payload), size_bytes=entry.size_bytes)

    def release(self) -> None:
        """Everything taken is in Kafka: delete what holds nothing else."""
        with self._lock:
            while self._segments and not self._segments[0].entries:
                segment = self._segments.popleft()
                if not self._segments:
                    self._close_tail()
                self._close_reader()
                segment.path.unlink(missing_ok=True)

    def drop_oldest(self) -> LostEvents | None:
        """Give up the oldest segment's events that were not taken; None when there are none."""
        with self._lock:
            segment = next((one for one in self._segments if one.entries), None)
            if segment is None:
                return None
            interval = segment.entries[0].interval
            total = EventInterval(0, interval.from_ns, interval.to_ns)
            size_bytes = 0
            while segment.entries:
                entry = segment.entries.popleft()
                total.widen(entry.interval)
                size_bytes += entry.size_bytes
            if len(self._segments) > 1 and segment is self._segments[0]:
                self._segments.popleft()
                self._close_reader()
                segment.path.unlink(missing_ok=True)
            return LostEvents(total, size_bytes)

    def close(self) -> None:
        """Sync and give the folder free; what was not taken stays for the next process."""
        with self._lock:
            self._close_tail()
            self._close_reader()
            self._lock_file.close()

    def _open_tail(self, size: int) -> tuple[_Segment, IO[bytes]]:
        """The segment to write to, a new one where the last is full or was not made by this process."""
        if self._tail is not None and self._segments and self._segments[-1].size_bytes + size <= self._segment_bytes:
            return self._segments[-1], self._tail
        self._close_tail()
        last = int(self._segments[-1].path.stem) if self._segments else _FIRST_NUMBER
        path = self._folder / f"{last + 1:012d}{_SUFFIX}"
        tail = self._tail = _private(path, "wb")
        tail.write(MAGIC)
        self._segments.append(_Segment(path, len(MAGIC)))
        return self._segments[-1], tail

    def _read(self, path: Path, entry: _SpillEntry) -> bytes:
        if self._reading is None or self._reading[0] != path:
            self._close_reader()
            self._reading = (path, path.open("rb"))
        file = self._reading[1]
        file.seek(entry.offset)
        return file.read(entry.length)

    def _close_reader(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None

    def _close_tail(self) -> None:
        if self._tail is not None:
            try:
                self._tail.flush()
                os.fsync(self._tail.fileno())
            except OSError as error:
                log.error("the spill folder cannot be synced: %s", error.strerror)
            self._tail.close()
            self._tail = None


def _private(path: Path, mode: str) -> IO[bytes]:
    """Open for the owner only."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))


def _payload(chunk: Chunk) -> bytes:
    return b"".join(part for event in chunk.events for part in (_LENGTH.pack(len(event)), event))


def _header(payload: bytes, chunk: Chunk, interval: EventInterval) -> bytes:
    return _HEADER.pack(
        len(payload), zlib.crc32(payload), chunk.received_ms, interval.events, interval.from_ns, interval.to_ns
    )


def _scan(path: Path) -> _Segment:
    """A segment of an earlier process, by its headers. Raises OSError for a file that is none."""
    size = path.stat().st_size
    segment = _Segment(path, size)
    with path.open("rb") as file:
        if file.read(len(MAGIC)) not in {MAGIC, b""}:
            raise OSError(errno.EINVAL, f"{path.name} is no spill file of this version")
        position = len(MAGIC)
        while len(raw := file.read(_HEADER.size)) == _HEADER.size:
            length, crc, received_ms, events, from_ns, to_ns = _HEADER.unpack(raw)
            position += _HEADER.size
            if position + length > size or not 0 < events * _LENGTH.size <= length:
                log.error("%s is cut off or damaged at byte %d; what follows is lost", path, position)
                break
            segment.entries.append(
                _SpillEntry(position, length, crc, received_ms, EventInterval(events, from_ns, to_ns))
            )
            position += length
            file.seek(position)
    return segment


def _events(payload: bytes) -> list[bytes]:
    events, position = [], 0
    while position < len(payload):
        (length,) = _LENGTH.unpack_from(payload, position)
        position += _LENGTH.size
        events.append(payload[position : position + length])
        position += length
    return events

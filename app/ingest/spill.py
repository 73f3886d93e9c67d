"""Events on disk while Kafka is away: bounded, in order, and there again after a restart.

A folder of numbered segment files (`spill_segment`). Only the last segment is written, only the first is read. A
segment is deleted when all of it is in Kafka, so a crash loses nothing that was stored, and sends some of it twice. A
stop in good order sends nothing twice: what is in Kafka is taken out of the segments (`forget_taken`).

After the death of the process, all that `append` stored is there. After a power cut, all up to the last sync is
there, of the files and of the folder. What `append` refused is not there. A segment that could not be synced is written
again at the next sync: a disk that failed once may answer the next sync of the same file without having its bytes.

A segment that cannot be read as one is set aside under another name and counts towards the limit. What it held, and
what lies behind a damaged header, is inside the gap that every new process reports: heartbeats never cover what is not
in Kafka. An entry whose payload is damaged is reported with its number of events.

Raw events are private, so folder and files are for their owner only.
"""

import logging
import os
import time
from collections import deque
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import IO, Final

from app.files.replacing import replace_file, replacing, sync_folder
from app.ingest import spill_segment
from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval, LostEvents
from app.ingest.spill_segment import DamagedSegmentError, SpillEntry, SpillSegment
from app.processes.folder_lock import FolderUnusableError, lock_folder

log = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 32 << 20
"""A segment is the unit of deleting and of dropping the oldest; an eighth of the folder's limit where that is less."""
_FIRST_NUMBER: Final = 500_000_000_000
"""Leaves room before the first segment, for what the producer gives back on a stop."""

_SUFFIX: Final = ".events"
_SET_ASIDE_SUFFIX: Final = ".damaged"
_LEFT_OVER: Final = (f"*{_SUFFIX}.partial", f"*{_SUFFIX}.former")
"""Of a segment that was being written again. After a crash the old one still has all that was stored."""


class SpillFolder:
    """An open spill folder. Every method may be called from any thread."""

    def __init__(self, folder: Path, max_bytes: int, sync_seconds: float = 1.0) -> None:
        """Open the folder with what an earlier process left in it. Raises FolderUnusableError.

        `sync_seconds` is how long stored events may wait for a sync; 0 syncs with every chunk.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._sync_seconds = sync_seconds
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // 8)
        self._lock = Lock()
        self._segments: deque[SpillSegment] = deque()
        self._tail: int | None = None
        self._reading: tuple[Path, IO[bytes]] | None = None
        self._unsynced_since: float | None = None
        self._is_folder_synced = True
        self._doubtful: set[Path] = set()
        self.trouble: str | None = None
        """Why what was stored might not outlast a power cut; None when it will, with the next sync."""
        self._lock_file = lock_folder(folder, setting="CALLSTREAM_SPILL_DIR", owner="callstream ingest")
        try:
            for path in chain.from_iterable(map(folder.glob, _LEFT_OVER)):
                path.unlink()
            for path in sorted(folder.glob(f"{'[0-9]' * 12}{_SUFFIX}")):
                self._restore(path)
            self._set_aside_bytes = sum(path.stat().st_size for path in folder.glob(f"*{_SET_ASIDE_SUFFIX}"))
        except OSError as error:
            self._lock_file.close()
            raise FolderUnusableError(f"CALLSTREAM_SPILL_DIR: cannot use {folder}: {error.strerror}") from None

    def free_bytes(self) -> int | None:
        """How much the disk has room for, for us; None if it does not say."""
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

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
        """When the oldest event that was not taken arrived, Unix time; None when everything was taken."""
        with self._lock:
            return next((segment.entries[0].received_ms for segment in self._segments if segment.entries), None)

    def append(self, chunk: Chunk, interval: EventInterval) -> bool:
        """Store a chunk behind all others; False when the folder is full. Raises OSError and stores nothing then."""
        with self._lock:
            size = spill_segment.entry_bytes(chunk)
            if self._set_aside_bytes + sum(segment.size_bytes for segment in self._segments) + size > self._max_bytes:
                return False
            segment, tail = self._open_tail(size)
            try:
                spill_segment.append(segment, tail, chunk, interval)
            except OSError:
                self._repair_tail(segment, tail)
                raise
            if self._unsynced_since is None:
                self._unsynced_since = time.monotonic()
            self._sync_if_due()
            return True

    def prepend(self, chunk: Chunk, interval: EventInterval) -> None:
        """Store a chunk before all others, synced, whatever the limit; for the end of a process. Raises OSError."""
        with self._lock:
            first = int(self._segments[0].path.stem) if self._segments else _FIRST_NUMBER
            segment, descriptor = spill_segment.create(self._folder / f"{first - 1:012d}{_SUFFIX}")
            try:
                spill_segment.append(segment, descriptor, chunk, interval)
                os.fsync(descriptor)
                sync_folder(self._folder)
            except OSError:
                segment.path.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
            self._segments.appendleft(segment)

    def take(self) -> Chunk | LostEvents | None:
        """The oldest chunk, without keys; None when everything was taken. It stays on disk until `release`."""
        with self._lock:
            segment = next((one for one in self._segments if one.entries), None)
            if segment is None:
                return None
            entry = segment.entries.popleft()
            try:
                events = spill_segment.events_of(self._read(segment.path, entry), entry)
            except OSError as error:
                log.error("%s cannot be read: %s", segment.path, error.strerror)
                events = None
            if events is None:
                return LostEvents(entry.interval, entry.size_bytes)
            return Chunk(entry.received_ms, events, size_bytes=entry.size_bytes)

    def release(self) -> None:
        """Everything taken is in Kafka: delete what holds nothing else."""
        with self._lock:
            while self._segments and not self._segments[0].entries:
                if len(self._segments) == 1:
                    self._abandon_tail()  # no sync: all of it is in Kafka
                self._delete(self._segments.popleft())

    def forget_taken(self) -> None:
        """Leave on disk only what was not taken, at the end of a process. Call it when the rest is safe elsewhere.

        Without this, the next process would write events again that share a segment with others. Raises OSError; what
        it did not come to stays as it is.
        """
        with self._lock:
            self._sync()
            self._abandon_tail()
            kept = [segment for segment in self._segments if segment.entries]
            for segment in self._segments:
                if not segment.entries:
                    self._delete(segment)
            self._segments = deque(map(self._without_taken, kept))
            sync_folder(self._folder)

    def _without_taken(self, segment: SpillSegment) -> SpillSegment:
        """The segment, written again without the entries that were taken; a damaged one stays as it is."""
        if segment.entries[0].offset == spill_segment.FIRST_PAYLOAD:
            return segment
        chunks = []
        for entry in segment.entries:
            events = spill_segment.events_of(self._read(segment.path, entry), entry)
            if events is None:
                return segment
            chunks.append((Chunk(entry.received_ms, events, size_bytes=entry.size_bytes), entry.interval))
        self._close_reader()
        with replacing(segment.path) as file:
            fresh = spill_segment.begin(segment.path, file.fileno())
            for chunk, interval in chunks:
                spill_segment.append(fresh, file.fileno(), chunk, interval)
        return fresh

    def drop_oldest(self) -> LostEvents | None:
        """Give up the oldest segment's events that were not taken; None when everything was taken."""
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
                self._delete(self._segments.popleft())
            return LostEvents(total, size_bytes)

    def sync_if_due(self) -> None:
        """Sync what was stored for longer than the setting allows; called often, also when nothing is stored."""
        with self._lock:
            self._sync_if_due()

    def close(self) -> None:
        """Sync and free the folder; what was not taken stays for the next process."""
        with self._lock:
            self._sync()
            self._abandon_tail()
            self._close_reader()
            self._lock_file.close()

    def _restore(self, path: Path) -> None:
        """Take up a segment of an earlier process. Raises OSError when a damaged one cannot be renamed."""
        try:
            segment, unread = spill_segment.scan(path)
        except (DamagedSegmentError, OSError) as error:
            aside = path.with_name(f"{path.stem}-{time.time_ns()}{_SET_ASIDE_SUFFIX}")
            path.rename(aside)
            reason = error.strerror if isinstance(error, OSError) else "it does not begin as a spill file"
            log.error("a spill file cannot be read (%s) and is set aside: %s; its events are lost", reason, aside)
            return
        if unread:
            log.error("%s is cut off or damaged at byte %d; what follows is lost", path, segment.size_bytes)
        self._segments.append(segment)

    def _open_tail(self, size: int) -> tuple[SpillSegment, int]:
        """The segment to write to, a new one where the last is full or was not made by this process."""
        if self._tail is not None and self._segments and self._segments[-1].size_bytes + size <= self._segment_bytes:
            return self._segments[-1], self._tail
        self._sync()
        self._abandon_tail()
        last = int(self._segments[-1].path.stem) if self._segments else _FIRST_NUMBER
        segment, self._tail = spill_segment.create(self._folder / f"{last + 1:012d}{_SUFFIX}")
        self._is_folder_synced = False
        self._segments.append(segment)
        return segment, self._tail

    def _repair_tail(self, segment: SpillSegment, tail: int) -> None:
        """Cut off what a failed write left; where the disk refuses that too, the next chunk begins a new segment."""
        self._unsynced_since = self._unsynced_since or time.monotonic()
        try:
            os.ftruncate(tail, segment.size_bytes)
        except OSError as error:
            log.error("%s keeps half an entry: %s", segment.path, error.strerror)
            self._sync()
            self._abandon_tail()

    def _read(self, path: Path, entry: SpillEntry) -> bytes:
        if self._reading is None or self._reading[0] != path:
            self._close_reader()
            self._reading = (path, path.open("rb", buffering=0))
        return os.pread(self._reading[1].fileno(), entry.length, entry.offset)

    def _delete(self, segment: SpillSegment) -> None:
        self._close_reader()
        self._doubtful.discard(segment.path)
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s cannot be deleted and will be sent again: %s", segment.path, error.strerror)

    def _close_reader(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None

    def _sync_if_due(self) -> None:
        if self._unsynced_since is not None and time.monotonic() - self._unsynced_since >= self._sync_seconds:
            self._sync()

    def _sync(self) -> None:
        if self._unsynced_since is None:
            return
        self._unsynced_since = None
        try:
            if self._tail is not None:
                os.fsync(self._tail)
            if not self._is_folder_synced:
                sync_folder(self._folder)
                self._is_folder_synced = True
            for segment in self._segments:
                if segment.path in self._doubtful:
                    replace_file(segment.path, segment.path.read_bytes()[: segment.size_bytes])
                    self._doubtful.discard(segment.path)
        except OSError as error:
            if self.trouble is None:
                log.error("the spill folder cannot be synced: %s", error.strerror)
            self.trouble = f"the spill folder cannot be synced: {error.strerror}"
            self._unsynced_since = time.monotonic()
            if self._tail is not None:
                self._doubtful.add(self._segments[-1].path)
                self._abandon_tail()
        else:
            self.trouble = None

    def _abandon_tail(self) -> None:
        if self._tail is not None:
            os.close(self._tail)
            self._tail = None

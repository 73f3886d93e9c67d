"""Memory and disk as one queue: the oldest events go to disk while Kafka is slow, and leave it before all others.

What is on disk is older than what waits in memory, so the writer gets it first. One lock covers moving a chunk and
choosing the next one. A thread of its own writes to the disk, never the reading thread. When the disk refuses, events
stay in memory, the buffer's limits apply, and `trouble` says why.
"""

import logging
import threading
import time
from typing import Final

from app.ingest.buffer import STORE_SHARE, Buffer
from app.ingest.chunk import Chunk
from app.ingest.event_books import LostEvents, interval_of
from app.ingest.keys import KeyReader
from app.ingest.spill import SpillFolder
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.05
"""Between two looks at the buffer: at 45,000 events a second some 2,000 events, far less than half a buffer."""
REPEAT_LOG_SECONDS: Final = 60.0
"""A folder that is full has room again whenever the oldest events go, and is full again at once: one line a minute."""


class Spiller:
    """What the writer takes from, in place of the buffer alone. `run` is a thread's work."""

    def __init__(self, buffer: Buffer, folder: SpillFolder, keys: KeyReader) -> None:
        """`keys` reads the keys of what comes back from disk, on the writer's thread."""
        self._buffer = buffer
        self._folder = folder
        self._keys = keys
        self._order = threading.Lock()
        self._stopped = threading.Event()
        self._log_again_at = 0.0
        self.trouble: str | None = None
        """Why nothing can be stored; None when it can."""
        buffer.found_on_disk(*folder.stored())

    def run(self) -> None:
        """Move chunks to disk as needed until `stop`."""
        while not self._stopped.wait(PAUSE_SECONDS):
            self.store_above(STORE_SHARE)
            self._folder.sync_if_due()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def store_above(self, share: float) -> None:
        """Move the oldest chunks to disk until the buffer holds no more than this share of its limits."""
        while True:
            with self._order:
                chunk = self._buffer.take_to_store(share)
                if chunk is None:
                    return
                if not self._store(chunk):
                    self._buffer.put_back(chunk)
                    return

    def store_first(self, events: list[bytes], received_ms: int) -> bool:
        """Put events that the producer gave back before all others on disk; whether that worked."""
        chunk = Chunk(received_ms, events, size_bytes=sum(map(len, events)))
        try:
            self._folder.prepend(chunk, interval_of(events, received_ms * NS_PER_MS))
        except OSError as error:
            log.error("events given back by the producer cannot be stored: %s", error.strerror)
            return False
        self._buffer.came_back(chunk)
        return True

    def forget_taken(self) -> None:
        """Delete on disk what the writer took: it is in Kafka, or `store_first` has put it on disk once more."""
        try:
            self._folder.forget_taken()
        except OSError as error:
            log.error("events on disk that are in Kafka will be written again: %s", error.strerror)

    def take(self) -> Chunk | None:
        """The oldest chunk, with the producer from now on; None when nothing waits."""
        with self._order:
            while (found := self._folder.take()) is not None:
                if isinstance(found, LostEvents):
                    log.error("stored events are damaged", extra={"facts": {"events": found.interval.events}})
                    self._buffer.lost_on_disk(found)
                    continue
                found.keys = self._keys.read(found.events).keys
                self._buffer.left_disk(found)
                return found
            return self._buffer.take()

    def wait(self, timeout_seconds: float) -> None:
        """Sleep until there is something to take, at the latest for the timeout."""
        if self._folder.is_empty():
            self._buffer.wait(timeout_seconds)

    def is_drained(self) -> bool:
        """Whether nothing is left to take from disk."""
        return self._folder.is_empty()

    def settled(self, outstanding: int) -> int:
        """As `Buffer.settled`; when nothing is in flight, what was taken from disk is deleted there."""
        written = self._buffer.settled(outstanding)
        if not self._buffer.in_flight()[0]:
            self._folder.release()
        return written

    def oldest_waiting_ms(self) -> int | None:
        """When the oldest event arrived that was not taken yet, Unix time; None when there is none."""
        with self._order:
            stored_ms = self._folder.oldest_ms()
            return self._buffer.oldest_waiting_ms() if stored_ms is None else stored_ms

    def _store(self, chunk: Chunk) -> bool:
        try:
            stored = self._folder.append(chunk, interval_of(chunk.events, chunk.received_ms * NS_PER_MS))
        except OSError as error:
            trouble: str | None = f"the spill folder cannot be written: {error.strerror}"
        else:
            trouble = None if stored else "the spill folder is full"
        if trouble is not None and time.monotonic() >= self._log_again_at:
            log.error("%s", trouble)
            self._log_again_at = time.monotonic() + REPEAT_LOG_SECONDS
        self.trouble = trouble
        return trouble is None

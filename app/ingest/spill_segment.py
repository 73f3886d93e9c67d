"""The format of spill files: one segment a file, with one entry for each chunk.

    segment = MAGIC, mark (8 random bytes), entries
    entry   = payload length, CRC-32 of the payload, time of receipt in ms, number of events, first and last time of the
              events themselves in ns; CRC-32 of all that, the mark and the entry's position; then the payload
    payload = for each event its length, then its bytes

The payload is written before its header, so a header that is whole says that its payload was written too. The mark
and the position in the header's checksum refuse what a disk may show after a power cut: zeros, half an entry, or an
entry of another file or another place. Behind the first header that is not whole nothing is read.
"""

import os
import stat
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Final

from app.files.replacing import PRIVATE
from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval

MAGIC: Final = b"callstream spill 2\n"
MARK_BYTES: Final = 8
HEAD_BYTES: Final = len(MAGIC) + MARK_BYTES

_FIELDS: Final = Struct(">IIqIqq")
_CHECKSUM: Final = Struct(">I")
HEADER_BYTES: Final = _FIELDS.size + _CHECKSUM.size
FIRST_PAYLOAD: Final = HEAD_BYTES + HEADER_BYTES
"""Where the payload of a segment's first entry begins."""
_LENGTH: Final = Struct(">I")


class DamagedSegmentError(Exception):
    """The file does not begin as a segment; its path is not named."""


@dataclass(frozen=True, slots=True)
class SpillEntry:
    """Where a chunk lies in its segment: `offset` and `length` in bytes are those of the payload."""

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
class SpillSegment:
    """A segment file: the bytes that hold whole entries, and the entries that were not taken yet."""

    path: Path
    mark: bytes
    size_bytes: int = HEAD_BYTES
    entries: deque[SpillEntry] = field(default_factory=deque)


def create(path: Path) -> tuple[SpillSegment, int]:
    """A new, empty segment, for its owner only, and the descriptor to write to it.

    Raises OSError and leaves no file then.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, PRIVATE)
    try:
        return begin(path, descriptor), descriptor
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise


def begin(path: Path, descriptor: int) -> SpillSegment:
    """A new, empty segment in a file that is open and empty. Raises OSError."""
    segment = SpillSegment(path, os.urandom(MARK_BYTES))
    _write(descriptor, MAGIC + segment.mark, 0)
    return segment


def entry_bytes(chunk: Chunk) -> int:
    """Bytes that a chunk takes in a segment."""
    return HEADER_BYTES + sum(map(len, chunk.events)) + len(chunk.events) * _LENGTH.size


def append(segment: SpillSegment, descriptor: int, chunk: Chunk, interval: EventInterval) -> None:
    """Write a chunk behind the others. Raises OSError; then the segment is as before, whatever lies behind its end."""
    payload = b"".join(part for event in chunk.events for part in (_LENGTH.pack(len(event)), event))
    start = segment.size_bytes
    crc = zlib.crc32(payload)
    fields = _FIELDS.pack(len(payload), crc, chunk.received_ms, interval.events, interval.from_ns, interval.to_ns)
    _write(descriptor, payload, start + HEADER_BYTES)
    _write(descriptor, fields + _CHECKSUM.pack(_checksum(fields, segment.mark, start)), start)
    segment.entries.append(SpillEntry(start + HEADER_BYTES, len(payload), crc, chunk.received_ms, interval))
    segment.size_bytes = start + HEADER_BYTES + len(payload)


def scan(path: Path) -> tuple[SpillSegment, int]:
    """A segment of an earlier process, by its headers, and the number of bytes behind its last whole entry.

    Raises OSError, and DamagedSegmentError for a file without a segment's beginning.
    """
    there = path.stat()
    if not stat.S_ISREG(there.st_mode):
        raise DamagedSegmentError  # a pipe would keep ingest waiting for ever
    size = there.st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if size == 0:
            return SpillSegment(path, b"", 0), 0
        if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
            raise DamagedSegmentError
        segment = SpillSegment(path, head[len(MAGIC) :])
        while (
            entry := _entry_at(file.read(HEADER_BYTES), segment)
        ) is not None and entry.offset + entry.length <= size:
            segment.entries.append(entry)
            segment.size_bytes = entry.offset + entry.length
            file.seek(segment.size_bytes)
    return segment, size - segment.size_bytes


def events_of(payload: bytes, entry: SpillEntry) -> list[bytes] | None:
    """The events of an entry's payload; None when they are not those that were written."""
    if len(payload) != entry.length or zlib.crc32(payload) != entry.crc:
        return None
    events, position = [], 0
    while position < len(payload):
        (length,) = _LENGTH.unpack_from(payload, position)
        position += _LENGTH.size
        events.append(payload[position : position + length])
        position += length
    return events


def _entry_at(header: bytes, segment: SpillSegment) -> SpillEntry | None:
    """The entry whose header was read at the segment's end so far; None when it is not whole."""
    if len(header) < HEADER_BYTES:
        return None
    fields = header[: _FIELDS.size]
    if _CHECKSUM.unpack(header[_FIELDS.size :])[0] != _checksum(fields, segment.mark, segment.size_bytes):
        return None
    length, crc, received_ms, events, from_ns, to_ns = _FIELDS.unpack(fields)
    offset = segment.size_bytes + HEADER_BYTES
    return SpillEntry(offset, length, crc, received_ms, EventInterval(events, from_ns, to_ns))


def _checksum(fields: bytes, mark: bytes, position: int) -> int:
    return zlib.crc32(fields + mark + position.to_bytes(8, "big"))


def _write(descriptor: int, content: bytes, position: int) -> None:
    """Write all of it. A disk that fills up takes a part before it refuses."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(descriptor, rest, position)
        rest, position = rest[written:], position + written

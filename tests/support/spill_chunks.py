"""Chunks of events that a test puts into a spill folder and takes out of it."""

from pathlib import Path

from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval
from app.ingest.spill import SpillFolder

LIMIT = 1 << 20


def numbered_chunk(number: int, size: int = 100, events: int = 3) -> Chunk:
    """A chunk whose events say its number; the number is the time of its receipt."""
    contents = [f"{number}-{index}-".encode() + b"x" * size for index in range(events)]
    return Chunk(number, contents, size_bytes=sum(map(len, contents)))


def interval_of(number: int, events: int = 3) -> EventInterval:
    """The times of its events."""
    return EventInterval(events, number * 10, number * 10 + 5)


def store(folder: SpillFolder, *numbers: int, size: int = 100) -> None:
    """Store chunks, which the folder must take."""
    for number in numbers:
        assert folder.append(numbered_chunk(number, size), interval_of(number))


def taken(folder: SpillFolder) -> list[Chunk]:
    """All chunks that are whole and not taken yet."""
    chunks = []
    while (found := folder.take()) is not None:
        assert isinstance(found, Chunk)
        chunks.append(found)
    return chunks


def segments(folder: Path) -> list[Path]:
    """The files of a folder, in order."""
    return sorted(folder.glob("*.events"))

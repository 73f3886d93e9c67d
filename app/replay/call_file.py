"""Calls as files: one Avro container file of `RuntimeCallEvent`s for each partition, in the order of raw positions.

`calls-00000.avro` is readable by any Avro library; `calls-00000.spans` says span by span what is in it, and
`refused-00000.txt` has a line for each dead letter. Blocks end where a span ends or at a size, so the bytes are the
same whoever wrote which part: a part of a partition is written as a piece without a header, and pieces are joined.

A reader proves what it reads.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import fastavro

from app.evidence import avro_container
from app.evidence.avro_container import BLOCK_BYTES, Codec, ContainerError, Header
from app.evidence.digests import Columns
from app.evidence.span_lines import SpanLine
from app.kafka.records import DamagedError
from app.operators.regular_files import open_regular
from schemas import avro_wire, records

CODEC: Final = Codec.DEFLATE
LEVEL: Final = 1
"""For calls, files are half as large again as with level 6, at a third of its time."""

_CALL: Final = records.parsed_schema(records.CALL)
_CALLS: Final = fastavro.parse_schema({"type": "array", "items": _CALL})
_READ_ERRORS: Final = (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError)


def header(partition: int) -> Header:
    """Header of a partition's file."""
    return avro_container.header(records.schema_text(records.CALL), CODEC, {"callstream.partition": str(partition)})


class PieceSink:
    """Writes the calls of consecutive spans; a `Sink`. Places are byte positions in the piece."""

    def __init__(self, piece: Path, partition: int) -> None:
        """Create the piece, and beside it one for dead letters. Raises OSError."""
        self._sync = header(partition).sync
        self._file = piece.open("wb")
        self._refused = refused_piece(piece).open("w", encoding="utf-8")
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._stored = hashlib.sha256()
        self._begin = self._position = 0

    def calls(self, records: Columns, _values: Sequence[bytes | None]) -> None:
        """Take calls of the open span."""
        for body in records.bodies:
            assert body is not None
            self._pending.append(body)
            self._pending_bytes += len(body)
            if self._pending_bytes >= BLOCK_BYTES:
                self._end_block()

    def end_span(self, refused: Sequence[str]) -> tuple[int, int, str]:
        """End the span; returns its place in the piece, and its digest."""
        self._end_block()
        self._refused.writelines(line + "\n" for line in refused)
        place = (self._begin, self._position, self._stored.hexdigest())
        self._begin, self._stored = self._position, hashlib.sha256()
        return place

    def close(self) -> None:
        """End the piece."""
        self._file.close()
        self._refused.close()

    def _end_block(self) -> None:
        if not self._pending:
            return
        encoded = avro_container.block(CODEC, LEVEL, len(self._pending), b"".join(self._pending), self._sync)
        self._stored.update(encoded)
        self._file.write(encoded)
        self._position += len(encoded)
        self._pending.clear()
        self._pending_bytes = 0


def refused_piece(piece: Path) -> Path:
    """Where the dead letters of a piece are."""
    return piece.with_suffix(".refused")


def join(folder: Path, partition: int, pieces: Sequence[tuple[Path, Sequence[SpanLine]]]) -> list[SpanLine]:
    """Make a partition's files from pieces in the order of offsets, and remove the pieces.

    Returns the lines with their places in the joined file. Raises OSError.
    """
    path, refused, _ = paths(folder, partition)
    lines: list[SpanLine] = []
    first = header(partition).encoded
    with path.open("wb") as whole, refused.open("wb") as whole_refused:
        whole.write(first)
        base = len(first)
        for piece, of_piece in pieces:
            lines += [replace(line, begin=line.begin + base, end=line.end + base) for line in of_piece]
            base += _append(whole, piece)
            _append(whole_refused, refused_piece(piece))
    write_lines(folder, partition, lines)
    return lines


def write_lines(folder: Path, partition: int, lines: Sequence[SpanLine]) -> None:
    """Write a partition's span file. Raises OSError."""
    paths(folder, partition)[2].write_text("".join(line.line() for line in lines), encoding="utf-8")


def paths(folder: Path, partition: int) -> tuple[Path, Path, Path]:
    """Files of a partition: calls, dead letters, span lines."""
    name = f"calls-{partition:05}"
    return folder / f"{name}.avro", folder / f"refused-{partition:05}.txt", folder / f"{name}.spans"


def _append(whole: BinaryIO, piece: Path) -> int:
    with piece.open("rb") as part:
        size = os.fstat(part.fileno()).st_size
        shutil.copyfileobj(part, whole, 1 << 20)
    piece.unlink()
    return size


def check(path: Path, partition: int, lines: Sequence[SpanLine]) -> None:
    """Prove that a partition's file is as it was written. Raises DamagedError, which names the damaged span."""
    expected = header(partition).encoded
    with _open(path) as file:
        if file.read(len(expected)) != expected:
            raise DamagedError(f"{path}: its header was changed, or was written under another schema")
        size, end = os.fstat(file.fileno()).st_size, lines[-1].end if lines else len(expected)
        if size != end:
            raise DamagedError(f"{path}: has {size} bytes where {end} were written")
    for line in damaged(path, partition, lines):
        raise DamagedError(f"{path}, {place(partition, line)}: the bytes were changed")


def damaged(path: Path, partition: int, lines: Sequence[SpanLine]) -> Iterator[SpanLine]:
    """The spans whose bytes are not those that were written. Raises DamagedError if the file cannot be read."""
    with _open(path) as file:
        file.seek(len(header(partition).encoded))
        for line in lines:
            if hashlib.file_digest(_NextBytes(file, line.end - line.begin), "sha256").hexdigest() != line.stored:
                yield line


def read_span(path: Path, partition: int, line: SpanLine) -> list[dict[str, Any]]:
    """The calls of a span, in the order of raw offsets. Raises DamagedError."""
    calls: list[dict[str, Any]] = []
    sync = header(partition).sync
    try:
        with open_regular(path) as file:
            file.seek(line.begin)
            for block in avro_container.read_blocks(file, CODEC, sync, line.end):
                calls += _decode_block(block.records, block.payload)
    except (OSError, ContainerError, ValueError) as error:
        raise DamagedError(f"{path}, {place(partition, line)}: {error}") from None
    return calls


def decode(body: bytes) -> dict[str, Any]:
    """A call from its Avro body, without schema header. Raises ValueError."""
    try:
        found = fastavro.schemaless_reader(io.BytesIO(body), _CALL, _CALL)
    except _READ_ERRORS as error:
        raise ValueError(f"no call of our schema ({type(error).__name__})") from None
    assert isinstance(found, dict)
    return found


def _decode_block(count: int, payload: bytes) -> list[dict[str, Any]]:
    content = b"".join((avro_wire.long(count), payload, avro_wire.END_OF_BLOCKS))
    try:
        found: Any = fastavro.schemaless_reader(io.BytesIO(content), _CALLS, _CALLS)
    except _READ_ERRORS as error:
        raise ValueError(f"no calls of our schema ({type(error).__name__})") from None
    return list(found)


def place(partition: int, line: SpanLine) -> str:
    """A span in words."""
    return f"partition {partition}, raw offsets {line.first} to {line.last}"


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        raise DamagedError(f"{path}: {error.strerror or error}") from None


class _NextBytes:
    """The next bytes of a file, as a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def readinto(self, buffer: bytearray) -> int:
        count = self._file.readinto(memoryview(buffer)[: self._left])  # type: ignore[attr-defined]  # a buffered reader has it
        self._left -= count
        return int(count)

    def readable(self) -> bool:
        return True

"""Calls as files: one Avro container file of `RuntimeCallEvent`s for each partition, in the order of raw positions.

`calls-00000.avro` is readable by any Avro library; `calls-00000.spans` says span by span what is in it, and
`refused-00000.txt` has a line for each dead letter. Blocks end where a span ends or at a size, so the bytes are the
same whoever wrote which part: a part of a partition is written as a piece without a header, and pieces are joined.

A reader proves what it reads.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import fastavro

from app.evidence import avro_container
from app.evidence.avro_container import Block, BlockWriter, Codec, ContainerError, Header
from app.evidence.configuration import grown_call_schema
from app.evidence.digests import Columns
from app.evidence.span_files import damaged, opened
from app.evidence.span_lines import SpanLine
from app.evidence.written_schema import schema_text_in
from app.files.replacing import replace_file, replacing
from app.kafka.records import DamagedError
from app.operators.regular_files import open_regular
from app.replay.engine import Lane, RunResult
from schemas import avro_wire, records

CODEC: Final = Codec.DEFLATE
LEVEL: Final = 1
"""For calls, files are half as large again as with level 6, at a third of its time."""


_READ_ERRORS: Final = (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError)


def header(partition: int, schema_text: str | None = None) -> Header:
    """Header of a partition's file, under this schema; by default under that of this program."""
    text = records.schema_text(records.CALL) if schema_text is None else schema_text
    return avro_container.header(text, CODEC, {"callstream.partition": str(partition)})


class PieceSink:
    """Writes the calls of a lane's spans; a `Sink`. Places are byte positions in the piece."""

    def __init__(self, folder: Path, lane: Lane) -> None:
        """Create the piece, and beside it one for dead letters. Raises OSError."""
        piece, refused = _pieces(folder, lane)
        self._file = piece.open("wb")
        self._refused = refused.open("w", encoding="utf-8")
        pack = partial(avro_container.block, CODEC, LEVEL, header(lane.partition).sync)
        self._blocks = BlockWriter(self._file, 0, pack, b"".join)

    def calls(self, records: Columns, _values: Sequence[bytes | None]) -> None:
        """Take calls of the open span."""
        for body in records.bodies:
            assert body is not None
            self._blocks.add(body, len(body))

    def end_span(self, refused: Sequence[str]) -> tuple[int, int, str]:
        """End the span; returns its place in the piece, and its digest."""
        self._refused.writelines(line + "\n" for line in refused)
        return self._blocks.end_part()

    def close(self) -> None:
        """End the piece."""
        self._file.close()
        self._refused.close()


def _pieces(folder: Path, lane: Lane) -> tuple[Path, Path]:
    """Where the calls and the dead letters of a lane are, until they are joined."""
    piece = folder / f"piece-{lane.partition:05}-{lane.number:05}"
    return piece, piece.with_suffix(".refused")


def join(folder: Path, partition: int, result: RunResult) -> list[SpanLine]:
    """Make a partition's calls and dead letters from the pieces of its lanes, and remove the pieces.

    Returns the lines with their places in the joined file. Raises OSError.
    """
    path, refused, _ = paths(folder, partition)
    lines: list[SpanLine] = []
    first = header(partition).encoded
    with replacing(path) as whole, replacing(refused) as whole_refused:
        whole.write(first)
        base = len(first)
        for one in result.lanes:
            if one.lane.partition == partition:
                piece, refused_piece = _pieces(folder, one.lane)
                lines += [replace(line, begin=line.begin + base, end=line.end + base) for line in one.lines]
                base += _append(whole, piece)
                _append(whole_refused, refused_piece)
    return lines


def write_lines(folder: Path, partition: int, lines: Sequence[SpanLine]) -> None:
    """Write a partition's span file. Raises OSError."""
    replace_file(paths(folder, partition)[2], "".join(line.line() for line in lines).encode())


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


def check(path: Path, partition: int, lines: Sequence[SpanLine], schema_text: str | None = None) -> None:
    """Prove that a partition's file is as it was written. Raises DamagedError, which names the damaged span."""
    expected = header(partition, schema_text).encoded
    with opened(path) as file:
        if file.read(len(expected)) != expected:
            raise DamagedError(f"{path}: its header was changed, or was written under another schema")
        size, end = os.fstat(file.fileno()).st_size, lines[-1].end if lines else len(expected)
        if size != end:
            raise DamagedError(f"{path}: has {size} bytes where {end} were written")
    for line in damaged(path, lines):
        raise DamagedError(f"{path}, {place(partition, line)}: the bytes were changed")


def check_refused(path: Path, partition: int, digest: str) -> None:
    """Prove that a partition's dead letters are as they were written. Raises DamagedError."""
    if refused_digest(path) != digest:
        raise DamagedError(f"{path}, partition {partition}: was changed")


def refused_digest(path: Path) -> str:
    """Digest of a file of dead letters. Raises DamagedError if it cannot be read."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def may_hold(path: Path, partition: int, line: SpanLine, event_id: str) -> bool:
    """Whether a span may have a call with this id, by its bytes alone. Raises DamagedError."""
    return any(event_id.encode() in block.payload for block in _blocks(path, partition, line))


def read_span(path: Path, partition: int, line: SpanLine) -> list[dict[str, Any]]:
    """The calls of a span, in the order of raw offsets. Raises DamagedError."""
    calls: list[dict[str, Any]] = []
    written = grown_call_schema(schema_text_in(path))
    try:
        for block in _blocks(path, partition, line):
            array = b"".join((avro_wire.long(block.records), block.payload, avro_wire.END_OF_BLOCKS))
            calls += _decode(array, written, "no calls", many=True)
    except ValueError as error:
        raise DamagedError(f"{path}, {place(partition, line)}: {error}") from None
    return calls


def _blocks(path: Path, partition: int, line: SpanLine) -> Iterator[Block]:
    """The blocks of a span. Raises DamagedError."""
    try:
        with open_regular(path) as file:
            file.seek(line.begin)
            yield from avro_container.read_blocks(file, CODEC, header(partition, schema_text_in(path)).sync, line.end)
    except (OSError, ContainerError) as error:
        raise DamagedError(f"{path}, {place(partition, line)}: {error}") from None


def decode(body: bytes, schema_text: str | None = None) -> dict[str, Any]:
    """A call from its Avro body, without schema header, under this schema. Raises ValueError."""
    call: dict[str, Any] = _decode(body, schema_text, "no call", many=False)
    return call


def _decode(content: bytes, schema_text: str | None, fault: str, *, many: bool) -> Any:
    """What was written under a schema, in the terms of this program's: fields that came later have their defaults."""
    try:
        written = _parsed(records.schema_text(records.CALL) if schema_text is None else schema_text, many)
        return fastavro.schemaless_reader(
            io.BytesIO(content), written, _parsed(records.schema_text(records.CALL), many)
        )
    except _READ_ERRORS as error:
        raise ValueError(f"{fault} of our schema ({type(error).__name__})") from None


@lru_cache(maxsize=8)  # today's and those of a run or two, of one call and of many
def _parsed(schema_text: str, many: bool) -> Any:
    call = json.loads(schema_text)
    return fastavro.parse_schema({"type": "array", "items": call} if many else call)


def place(partition: int, line: SpanLine) -> str:
    """A span in words."""
    return f"partition {partition}, raw offsets {line.first} to {line.last}"

"""One partition's records in a file: written span by span so that it can be resumed, read span by span with proof.

`NAME.avro` is an Avro container file of `RecordedRecord`; `NAME.spans` beside it has a line of canonical JSON for each
span: its offsets, the digest of its records, and where its bytes are with their digest. While a recording runs, the
files end in `.partial`, and lines have a checksum, because after a power cut any part may be another's. What is not as
it was written is cut off when the recording is resumed.

The same records give the same bytes, also in a resumed file. A reader checks every byte, and names damage by file,
partition and offsets. It holds one block at a time, whatever the file's size.
"""

import hashlib
import io
import itertools
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import fastavro

from app.evidence import avro_container
from app.evidence.avro_container import BlockWriter, Codec, ContainerError, Header
from app.evidence.digests import Columns, RecordDigest, span_of
from app.evidence.record_rows import read_rows
from app.evidence.span_files import StoredSpan, damaged, opened, read_lines
from app.evidence.written_schema import text_then
from app.files.replacing import PRIVATE, replace_file, set_mode, sync_folder
from app.kafka.records import DamagedError, Recorded
from schemas import avro_wire, records

RECORDS_DOMAIN: Final = "callstream recorded records 1"

_CHECKSUM_BYTES: Final = 8
"""CRC-32 in hexadecimal digits."""

_READ_ERRORS: Final = (ValueError, IndexError)
"""What reading rows raises where bytes are not what they should be."""

_ARRAY: Final = fastavro.parse_schema({"type": "array", "items": records.parsed_schema(records.RECORDED_RECORD)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span(StoredSpan):
    """A line of the span file: how many records, and their digest."""

    records: int
    digest: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header of a partition's file says, and how its blocks are packed."""

    topic: str
    partition: int
    codec: Codec
    level: int

    def header(self, path: Path) -> Header:
        """The header of a file at `path`: in the words of an earlier program where that began it."""
        facts = {"callstream.topic": self.topic, "callstream.partition": str(self.partition)}
        text = text_then(path, records.RECORDED_RECORD)
        return avro_container.header(text, self.codec, facts)


def columns_of(taken: Sequence[Recorded]) -> Columns:
    """Records as columns."""
    if not taken:
        return Columns((), (), (), ())
    _, _, offsets, timestamps_ms, keys, values = zip(*taken, strict=True)
    return Columns(offsets, timestamps_ms, keys, values)


class RecordFileWriter:
    """Writes one partition's records in order, from the beginning or from where a writer before it was ended."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        """Open or resume `NAME` in `folder`, for its owner only. Raises OSError.

        What is damaged, as after a power cut, and what follows it is cut off, to be written again.
        """
        self._names = {kind: folder / f"{name}.{kind}" for kind in ("spans", "avro")}
        self._partial = {kind: folder / f"{name}.{kind}.partial" for kind in ("spans", "avro")}
        self._spans = _whole_spans(self._partial["spans"], self._partial["avro"], layout)
        self._lines = _open_private(self._partial["spans"])
        self._file = _open_private(self._partial["avro"])
        self._lines.truncate(sum(len(_checked(span)) for span in self._spans))
        self._file.truncate(self._spans[-1].end if self._spans else 0)
        header = layout.header(self._partial["avro"])
        if not self._spans:
            self._file.write(header.encoded)
        position = self._spans[-1].end if self._spans else len(header.encoded)
        pack = partial(avro_container.block, layout.codec, layout.level, header.sync)
        self._blocks = BlockWriter(self._file, position, pack, _encode)
        self._open: _OpenSpan | None = None

    @property
    def next_offset(self) -> int | None:
        """Offset after the last record that is safely written; None before the first."""
        return self._spans[-1].last + 1 if self._spans else None

    @property
    def records(self) -> int:
        """Records of all complete spans."""
        return sum(span.records for span in self._spans)

    def add(self, taken: Sequence[Recorded]) -> None:
        """Take the next records of the partition, in the order of offsets."""
        for number, part in itertools.groupby(taken, lambda record: span_of(record.offset)):
            if self._open is not None and self._open.number != number:
                self._end_span()
            if self._open is None:
                self._open = _OpenSpan(number)
            self._add_to_span(self._open, list(part))

    def finish(self) -> list[Span]:
        """Write what is pending, and give the files their names. Returns the spans."""
        try:
            if self._open is not None:
                self._end_span()
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self.close()
        # the records get their name last: where they have it, the spans have theirs
        replace_file(self._names["spans"], "".join(span.line() for span in self._spans).encode())
        self._partial["avro"].replace(self._names["avro"])
        sync_folder(self._names["avro"].parent)
        with suppress(OSError):
            self._partial["spans"].unlink()
        return self._spans

    def close(self) -> None:
        """Leave what is written for a later writer to resume."""
        for file in (self._file, self._lines):
            with suppress(OSError):  # what a full disk refused is written again
                file.close()

    def _add_to_span(self, span: "_OpenSpan", part: list[Recorded]) -> None:
        span.digest.add(columns_of(part))
        span.first = part[0].offset if span.first is None else span.first
        span.last = part[-1].offset
        for record in part:
            self._blocks.add(record, len(record.key or b"") + len(record.value or b""))

    def _end_span(self) -> None:
        span = self._open
        assert span is not None
        assert span.first is not None
        begin, end, stored = self._blocks.end_part()
        self._open = None
        done = Span(
            span=span.number,
            first=span.first,
            last=span.last,
            records=span.digest.count,
            digest=span.digest.hexdigest(),
            begin=begin,
            end=end,
            stored=stored,
        )
        self._file.flush()  # the line must not be there before the bytes that it speaks of
        self._lines.write(_checked(done))
        self._lines.flush()
        self._spans.append(done)


class _OpenSpan:
    """A span that is being written."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.first: int | None = None
        self.last = -1
        self.digest = RecordDigest(RECORDS_DOMAIN)


def _open_private(path: Path) -> BinaryIO:
    """The file, open to append to, for its owner only, also one that existed."""
    file = path.open("ab")
    set_mode(file.fileno(), PRIVATE)
    return file


def _checked(span: Span) -> bytes:
    """The line of a span while the recording runs: its text and a checksum."""
    text = span.line().encode()[:-1]
    return b"%b%0*x\n" % (text, _CHECKSUM_BYTES, zlib.crc32(text))


def _whole_spans(lines: Path, file: Path, layout: Layout) -> list[Span]:
    """The spans, up to the first that is damaged, whose line and bytes are as a writer left them."""
    if not lines.exists() or not file.exists():
        return []
    header = layout.header(file).encoded
    spans = _complete_spans(lines, file.stat().st_size, len(header))
    with opened(file) as content:
        if content.read(len(header)) != header:
            return []
    torn = next(damaged(file, spans), None)
    return spans if torn is None else spans[: spans.index(torn)]


def _complete_spans(lines: Path, size: int, begin: int) -> list[Span]:
    """The spans whose line is there and follows the one before it, and whose bytes the file may have."""
    spans: list[Span] = []
    for line in lines.read_bytes().splitlines(keepends=True):
        try:
            span = Span.of_line(f"{line[: -_CHECKSUM_BYTES - 1].decode()}\n")
        except (ValueError, RecursionError):
            break
        if line != _checked(span):
            break
        if span.begin != begin or span.end > size or (spans and span.first <= spans[-1].last):
            break
        begin = span.end
        spans.append(span)
    return spans


def check_stored(path: Path, layout: Layout, spans: Sequence[Span]) -> None:
    """Prove that the bytes of these spans are as they were written. Raises DamagedError naming file and offsets."""
    if not spans:
        return
    header = layout.header(path).encoded
    with opened(path) as file:
        if file.read(len(header)) != header:
            raise DamagedError(f"{path}, partition {layout.partition}: its header was changed")
    for span in damaged(path, spans):
        raise DamagedError(
            f"{path}, partition {layout.partition}, offsets {span.first} to {span.last}: the bytes were changed"
        )


class RecordFile:
    """A finished file of one partition's records. It is opened for each reading, so it may be given to a process."""

    def __init__(self, path: Path, layout: Layout, spans_digest: str) -> None:
        """`spans_digest` is what the archive says of the span file. Raises DamagedError."""
        self._path = path
        self._layout = layout
        self._header = layout.header(path)
        self.spans = _read_spans(path.with_suffix(".spans"), spans_digest)

    def batches(self, first: int, last: int, max_records: int) -> Iterator[list[Recorded]]:
        """Records with offsets `first` to `last` in lists of at most `max_records`, none across two spans.

        Raises DamagedError, at the latest after a span's last record, where the file is not what was written.
        """
        chosen = [span for span in self.spans if span.last >= first and span.first <= last]
        with opened(self._path) as file:
            self._check_frame(file)
            for span in chosen:
                for taken in self._read_span(file, span):
                    wanted = taken
                    if span.first < first or span.last > last:
                        wanted = [record for record in taken if first <= record.offset <= last]
                    for begin in range(0, len(wanted), max_records):
                        yield wanted[begin : begin + max_records]

    def _check_frame(self, file: BinaryIO) -> None:
        """Compare the header, and the size with the last span's end."""
        expected = self._header.encoded
        if file.read(len(expected)) != expected:
            raise DamagedError(f"{self._path}, partition {self._layout.partition}: its header was changed")
        size, end = os.fstat(file.fileno()).st_size, self.spans[-1].end if self.spans else len(expected)
        if size != end:
            raise DamagedError(
                f"{self._path}, partition {self._layout.partition}: has {size} bytes where {end} were written"
                + (f"; offsets from {self._cut_at(size)} on are cut off" if size < end else "")
            )

    def _cut_at(self, size: int) -> int:
        return next(span.first for span in self.spans if span.end > size)

    def _read_span(self, file: BinaryIO, span: Span) -> Iterator[list[Recorded]]:
        where = f"{self._path}, partition {self._layout.partition}, offsets {span.first} to {span.last}"
        watched = _Watched(file)
        file.seek(span.begin)
        count = 0
        try:
            for block in avro_container.read_blocks(watched, self._layout.codec, self._header.sync, span.end):  # type: ignore[arg-type]  # has read and tell, which is all that is used
                taken = _decode(self._layout, block.records, block.payload)
                count += len(taken)
                yield taken
        except ContainerError as error:
            raise DamagedError(f"{where}: {error}") from None
        except _READ_ERRORS:  # what they say is about the block's own bytes
            raise DamagedError(f"{where}: the bytes were changed: they hold no records") from None
        if watched.hash.hexdigest() != span.stored or count != span.records:
            raise DamagedError(f"{where}: the bytes were changed")


class _Watched:
    """A file that is digested while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell
        self.hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        taken = self._file.read(size)
        self.hash.update(taken)
        return taken


def _read_spans(path: Path, expected: str) -> list[Span]:
    spans, digest = read_lines(path, Span)
    if digest != expected:
        raise DamagedError(f"{path}: was changed; {_first_doubtful(spans)}")
    return spans


def _first_doubtful(spans: Sequence[Span]) -> str:
    """Say which line cannot be as it was, as far as lines contradict each other."""
    for before, after in itertools.pairwise(spans):
        if after.begin != before.end or after.first <= before.last:
            return f"the line of offsets {after.first} to {after.last} does not follow the one before it"
    return "its lines do not contradict each other"


def _encode(taken: Sequence[Recorded]) -> bytes:
    rows: list[dict[str, Any]] = [
        {"offset": r.offset, "timestamp_ms": r.timestamp, "key": r.key, "value": r.value} for r in taken
    ]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _ARRAY, rows)
    # an Avro array is one block here: its count, the records, the end marker; a container block has only the records
    return out.getvalue()[len(avro_wire.long(len(taken))) : -len(avro_wire.END_OF_BLOCKS)]


def _decode(layout: Layout, count: int, payload: bytes) -> list[Recorded]:
    topic, partition = layout.topic, layout.partition
    return [Recorded(topic, partition, *row) for row in read_rows(payload, count)]

"""An archive: a folder with a range of raw records for each partition, and what is needed to replay it alone.

`archive.json` says what the folder holds, with a digest of every file; it is written last, so a folder without it is an
unfinished recording, whose plan is in `recording.json`. Beside the raw records there are, for each partition, the rows
of module state that the first event sees (start state), and, where they were recorded too, the calls and audit records
that the live stages published for these raw records.

A reader trusts only the files whose digests are in `archive.json`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from app.evidence import attestation, documents
from app.evidence.attestation import SignatureError
from app.evidence.avro_container import Codec
from app.evidence.digests import Chain
from app.evidence.documents import DocumentError
from app.evidence.record_file import Layout, RecordFile, RecordFileWriter, Span
from app.evidence.span_files import lines_digest
from app.evidence.typed_fields import typed, what_is_wrong
from app.kafka.records import OffsetRange, Recorded

ARCHIVE_FILE: Final = "archive.json"
RECORDING_FILE: Final = "recording.json"

KIND: Final = "callstream archive"
FORMAT: Final = 1

INPUT_DOMAIN: Final = "callstream input 1"

_AROUND_CONTENTS: Final = frozenset({"kind", "format", documents.DIGEST})
_FILE_NAME: Final = re.compile(r"[a-z]{1,16}-[0-9]{5,10}")
"""As `file_name` makes it: a name of another form could lead out of the folder."""

STATE_TOPIC: Final = "(start state)"
"""Takes the place of a topic's name in files of start state. Keys are process ids, values are rows of the table."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One finished file of records: `chain` is the head of the chain over its spans, `spans` the span file's digest."""

    name: str
    topic: str
    partition: int
    records: int
    chain: str
    spans: str

    def __post_init__(self) -> None:
        if _FILE_NAME.fullmatch(self.name) is None:
            raise ValueError(f"{self.name!r} is not the name of a file of an archive")


@dataclass(frozen=True, slots=True)
class RawPart:
    """What an archive holds of one raw partition; `state_from` is the offset from which loader events were read."""

    range: OffsetRange
    file: FileFacts
    state: FileFacts
    state_from: int


@dataclass(frozen=True, slots=True)
class Published:
    """What the live stages had published for the archive's raw records when it was made.

    `schemas` has the text of every schema that the values name, by the registry's id.
    """

    calls: tuple[FileFacts, ...] = ()
    audit: tuple[FileFacts, ...] = ()
    schemas: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that `archive.json` says."""

    program: str
    cluster: str
    topic: str
    codec: Codec
    level: int
    raw: tuple[RawPart, ...]
    published: Published | None

    def document(self) -> dict[str, Any]:
        """The document to seal and write."""
        return {"kind": KIND, "format": FORMAT, **asdict(self)}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Read a document. Raises KeyError or ValueError."""
        if (document["kind"], document["format"]) != (KIND, FORMAT):
            raise ValueError("its kind or format is another")
        found = typed(cls, {name: document[name] for name in document if name not in _AROUND_CONTENTS})
        partitions = [part.range.partition for part in found.raw]
        if len(set(partitions)) < len(partitions):
            raise ValueError("a partition is there twice")
        published = () if found.published is None else (found.published.calls, found.published.audit)
        if any([file.partition for file in files] != partitions for files in published):
            raise ValueError("what was published is of other partitions")
        if any(part.range.first > part.range.next for part in found.raw):
            raise ValueError("a range ends before it begins")
        return found


def input_chain(partition: int) -> Chain:
    """The empty chain over a partition's spans."""
    return Chain(f"{INPUT_DOMAIN} partition {partition}")


def file_name(kind: str, partition: int) -> str:
    """Name of a partition's file without its ending."""
    return f"{kind}-{partition:05}"


def finish(writer: RecordFileWriter, name: str, layout: Layout) -> FileFacts:
    """Finish a file and say what it holds."""
    return facts_of(name, layout, writer.finish())


def facts_of(name: str, layout: Layout, spans: Sequence[Span]) -> FileFacts:
    """What a file of these spans holds."""
    chain = input_chain(layout.partition)
    for span in spans:
        chain.add(span.span, span.digest)
    return FileFacts(
        name=name,
        topic=layout.topic,
        partition=layout.partition,
        records=sum(span.records for span in spans),
        chain=chain.head,
        spans=lines_digest(spans),
    )


class Archive:
    """A finished archive, opened for reading; a `ReplaySource`. May be given to another process."""

    def __init__(self, folder: Path) -> None:
        """Read `archive.json`. Raises DocumentError."""
        self.folder = folder
        path = folder / ARCHIVE_FILE
        if not path.exists() and (folder / RECORDING_FILE).exists():
            raise DocumentError(f"{folder}: its recording was not finished; run the same `callstream record` again")
        document = documents.read(path)
        self.digest: str = document[documents.DIGEST]
        try:
            signature = attestation.check(path, documents.encode(document), None)
        except SignatureError as error:
            raise DocumentError(f"{path}: {error}") from None
        self.is_signed = signature is not None
        try:
            self.contents = Contents.of_document(document)
        except (KeyError, ValueError) as error:
            raise DocumentError(f"{path}: is not an archive of format {FORMAT}: {what_is_wrong(error)}") from None

    @property
    def topic(self) -> str:
        """Full name of the raw topic."""
        return self.contents.topic

    def ranges(self) -> tuple[OffsetRange, ...]:
        """The recorded range of each partition."""
        return tuple(part.range for part in self.contents.raw)

    def state_from(self, partition: int) -> int:
        """The raw offset from which loader events were read for the start state."""
        return self._part(partition).state_from

    def start_rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows of module state that the first event of the partition sees. Raises DamagedError."""
        for batch in self.all_batches(self._part(partition).state):
            yield from ((row.key or b"", row.value or b"") for row in batch)

    def batches(self, partition: int, first: int, last: int, max_records: int) -> Iterator[list[Recorded]]:
        """Raw records with offsets `first` to `last`, none of two spans in one list. Raises DamagedError."""
        return self.open_file(self._part(partition).file).batches(first, last, max_records)

    def open_file(self, facts: FileFacts) -> RecordFile:
        """One of the archive's files. Raises DamagedError."""
        layout = Layout(facts.topic, facts.partition, self.contents.codec, self.contents.level)
        return RecordFile(self.folder / f"{facts.name}.avro", layout, facts.spans)

    def all_batches(self, facts: FileFacts, max_records: int = 1_000) -> Iterator[list[Recorded]]:
        """All records of one of the archive's files. Raises DamagedError."""
        file = self.open_file(facts)
        last = file.spans[-1].last if file.spans else -1
        yield from file.batches(0, last, max_records)

    def _part(self, partition: int) -> RawPart:
        return next(part for part in self.contents.raw if part.range.partition == partition)

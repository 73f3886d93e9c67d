"""What the live stages published for a range of raw records: copies of calls, and audit records.

They come from an archive that has kept them, or from the live topics.

A call carries its raw position in its last two fields. They can be read from the end of a value without decoding it,
because only the last byte of a number has its high bit clear. A value under another schema is decoded. Nothing is left
out: what cannot be read counts as strange.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import fastavro

from app.evidence.archive import Archive, FileFacts
from app.evidence.audit_record import AuditRecord
from app.evidence.configuration import call_schema_fingerprint
from app.evidence.documents import DocumentError
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.replay.sources import ReplaySource
from app.settings import Settings
from schemas import avro_wire, records, topics
from schemas.avro_wire import SchemaHeaderError

_CONTINUED: Final = 0x80
_READ_ERRORS: Final = (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError)

SchemaText = Callable[[int], str]
"""Gives the text of a schema by the registry's id. Raises KeyError, and what reading from a registry raises."""

_SLACK_MS: Final = 300_000
"""Receipt times of neighbouring raw records may go back a little, and never by this much."""


@dataclass(slots=True)
class Schemas:
    """Schemas by id, each read once. `texts` has those that were read."""

    ask: SchemaText
    texts: dict[str, str] = field(default_factory=dict)
    _parsed: dict[int, Any] = field(default_factory=dict)
    _ours: dict[int, bool] = field(default_factory=dict)

    def parsed(self, schema_id: int) -> Any:
        """The schema in fastavro's form."""
        if schema_id not in self._parsed:
            text = self.ask(schema_id)
            self.texts[str(schema_id)] = text
            self._parsed[schema_id] = fastavro.parse_schema(json.loads(text))
        return self._parsed[schema_id]

    def is_our_call(self, schema_id: int) -> bool:
        """Whether values with this id have our schema."""
        if schema_id not in self._ours:
            self._ours[schema_id] = _fingerprint(self.parsed(schema_id)) == call_schema_fingerprint()
        return self._ours[schema_id]

    @classmethod
    def of_texts(cls, texts: Mapping[str, str]) -> "Schemas":
        """Schemas from texts that an archive has kept."""
        return cls(lambda schema_id: texts[str(schema_id)])


def _fingerprint(schema: Any) -> str:
    return str(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "SHA-256"))


def raw_position(value: bytes | None, schemas: Schemas) -> tuple[int, int] | None:
    """Partition and offset of the raw record of a call with its schema header; None if the value is not a call."""
    try:
        schema_id = avro_wire.schema_id_of(value or b"")
        assert value is not None
        if schemas.is_our_call(schema_id):
            offset, end = _long_before(value, len(value))
            partition, _ = _long_before(value, end)
            return partition, offset
        call = decode_call(value, schemas)
    except (SchemaHeaderError, *_READ_ERRORS):
        return None
    return call["source"]["partition"], call["source"]["offset"]


def decode_call(value: bytes, schemas: Schemas) -> dict[str, Any]:
    """A call with its schema header, in our schema's terms, whatever schema it was written with. Raises ValueError."""
    try:
        schema_id = avro_wire.schema_id_of(value)
        body, ours = io.BytesIO(value[avro_wire.SCHEMA_HEADER_BYTES :]), records.parsed_schema(records.CALL)
        found = fastavro.schemaless_reader(body, schemas.parsed(schema_id), ours)
    except _READ_ERRORS as error:
        raise ValueError(f"no call ({type(error).__name__})") from None
    assert isinstance(found, dict)
    return found


def _long_before(value: bytes, end: int) -> tuple[int, int]:
    """The Avro long that ends before `end`, and the position of its first byte. Raises IndexError."""
    begin = end - 1
    if value[begin] >= _CONTINUED:
        raise IndexError
    while value[begin - 1] >= _CONTINUED:
        begin -= 1
    number = 0
    for byte in reversed(value[begin:end]):
        number = number << 7 | byte & 0x7F
    return number >> 1 ^ -(number & 1), begin


def audit_record(record: Recorded, schemas: Schemas) -> AuditRecord | None:
    """The audit record in a topic's record; None if it cannot be read, because it then proves nothing."""
    if record.value is None:
        return None
    try:
        schema = schemas.parsed(avro_wire.schema_id_of(record.value))
        return AuditRecord.decode(record.value, schema)
    except _READ_ERRORS:
        return None


def belongs(position: tuple[int, int] | None, part: OffsetRange) -> bool:
    """Whether a copy is of the range; one that cannot be read counts too, because somebody must look at it."""
    return position is None or (position[0] == part.partition and part.first <= position[1] < part.next)


def speaks_of(record: AuditRecord | None, part: OffsetRange) -> bool:
    """Whether an audit record has runs in the range."""
    if record is None or record.partition != part.partition:
        return False
    return any(run.raw_first < part.next and run.raw_last >= part.first for run in record.runs)


class CopySource(Protocol):
    """Gives copies of calls."""

    @property
    def schemas(self) -> Schemas:
        """Schemas of their values."""

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Copies of calls for raw records of the range, and what cannot be read."""


class PublishedSource(CopySource, Protocol):
    """Gives copies of calls, and audit records."""

    def audit(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Audit records that speak of the range."""


class ArchivePublished:
    """What an archive has kept; a `PublishedSource`."""

    def __init__(self, archive: Archive) -> None:
        """Raises DocumentError if the archive has kept nothing that was published."""
        if archive.contents.published is None:
            raise DocumentError(f"{archive.folder}: was recorded without what was published (--with-published)")
        self._archive = archive
        self._published = archive.contents.published
        self.schemas = Schemas.of_texts(self._published.schemas)

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """As `PublishedSource`. Raises DamagedError."""
        return self._archive.all_batches(_of(self._published.calls, part))

    def audit(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """As `PublishedSource`. Raises DamagedError."""
        return self._archive.all_batches(_of(self._published.audit, part))


def _of(files: Iterable[FileFacts], part: OffsetRange) -> FileFacts:
    return next(one for one in files if one.partition == part.partition)


class LivePublished:
    """What is in the live topics that the settings name; a `PublishedSource`. It joins no consumer group.

    A copy of a call has its raw record's timestamp, so reading begins a little before that of the range's first record.
    A copy may come late, so reading goes on to the topic's present end.
    """

    def __init__(
        self,
        settings: Settings,
        reader: TopicReader,
        registry: SchemaRegistry,
        report: Callable[[int], None] = lambda _records: None,
        source: ReplaySource | None = None,
    ) -> None:
        """`report` gets how many more records were read; `source` has the raw records if the topic may not."""
        self._raw = settings.name(topics.RAW)
        self._calls = settings.name(topics.CALLS)
        self._audit = settings.name(topics.AUDIT)
        self._reader = reader
        self._source = source
        self._report = report
        self.schemas = Schemas(lambda schema_id: known_schema(registry, schema_id))

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """As `PublishedSource`. Raises what reading the topics and the registry raises."""
        first = self._first_timestamp(part)
        if first is None:
            return
        begin = self._reader.offset_at(self._calls, part.partition, max(0, first - _SLACK_MS))
        for taken in self._all(self._calls, part.partition, begin):
            yield [record for record in taken if belongs(raw_position(record.value, self.schemas), part)]

    def audit(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """As `PublishedSource`. Raises what reading the topics and the registry raises."""
        begin = self._reader.ends(self._audit, part.partition).first
        for taken in self._all(self._audit, part.partition, begin):
            yield [record for record in taken if speaks_of(audit_record(record, self.schemas), part)]

    def _all(self, topic: str, partition: int, begin: int) -> Iterator[list[Recorded]]:
        last = self._reader.ends(topic, partition).next - 1
        for taken in self._reader.read(topic, partition, begin, last):
            self._report(len(taken))
            yield taken

    def _first_timestamp(self, part: OffsetRange) -> int | None:
        if self._source is not None:
            runs = self._source.batches(part.partition, part.first, part.next - 1, 1)
        else:
            runs = self._reader.read(self._raw, part.partition, part.first, part.next - 1)
        for taken in runs:
            return taken[0].timestamp
        return None


def known_schema(registry: SchemaRegistry, schema_id: int) -> str:
    """Text of a schema in the registry. Raises KeyError if it has none, RegistryError if it does not answer."""
    try:
        return json.dumps(json.loads(registry.schema(schema_id)))
    except RegistryError as error:
        if error.fault is Fault.NOT_FOUND:
            raise KeyError(schema_id) from None
        raise


def open_published(settings: Settings, source: ReplaySource, stack: ExitStack, progress: Progress) -> PublishedSource:
    """What an archive has kept of what was published, or else the live topics; `stack` closes them.

    Raises what reaching Kafka and the registry raises.
    """
    if isinstance(source, Archive) and source.contents.published is not None:
        return ArchivePublished(source)
    reader = stack.enter_context(TopicReader(settings))
    registry = stack.enter_context(SchemaRegistry.from_settings(settings))
    return LivePublished(settings, reader, registry, progress.count("published records read").add, source)

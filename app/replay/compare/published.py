"""What the live stages published for a range of raw records: copies of calls, and audit records.

They come from an archive that has kept them, or from the live topics.

A call carries its raw position in its last two fields. They can be read from the end of a value without decoding it,
because only the last byte of a number has its high bit clear. A value under another schema is decoded. Nothing is left
out: what cannot be read counts as strange.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol

import fastavro

from app.evidence.archive import Archive, FileFacts, Published
from app.evidence.audit_record import AuditRecord
from app.evidence.configuration import call_schema_fingerprint, fingerprint
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import AskTexts, Clock, SchemaCache, SchemaRefusal, SubjectTexts
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.replay.sources import ReplaySource
from app.settings import Settings
from schemas import avro_wire, records, topics
from schemas.avro_wire import SchemaHeaderError

_CONTINUED: Final = 0x80
_READ_ERRORS: Final = (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError)

RECEIPT_SLACK_MS: Final = 300_000
"""Receipt times of neighbouring raw records may go back a little, and never by this much."""


@dataclass(frozen=True, slots=True)
class PublishedSchema:
    """A schema of published records: its text, its form for fastavro, and whether it is our present call's."""

    text: str
    parsed: Any
    is_our_call: bool


class PublishedSchemas:
    """Schemas of published calls and audit records, by the registry's id."""

    def __init__(self, calls: AskTexts, audit: AskTexts, clock: Clock = time.monotonic) -> None:
        self.calls = SchemaCache(calls, records.CALL, _published_schema, clock)
        self.audit = SchemaCache(audit, records.AUDIT_RECORD, _published_schema, clock)

    @classmethod
    def of_topics(
        cls, registry: SchemaRegistry, calls: str, audit: str, *, follows: bool = False, clock: Clock = time.monotonic
    ) -> "PublishedSchemas":
        """Versions of these topics' own subjects, names given with prefix; `follows` as in `RecordDecoder`."""

        def texts(topic: str) -> AskTexts:
            return SubjectTexts(lambda: registry, topics.subject(topic), follows=follows)

        return cls(texts(calls), texts(audit), clock)

    @classmethod
    def of_texts(cls, texts: Mapping[str, str]) -> "PublishedSchemas":
        """Schemas from texts that an archive has kept."""

        def ask(schema_ids: Collection[int]) -> Mapping[int, str]:
            return {one: texts[str(one)] for one in schema_ids if str(one) in texts}

        return cls(ask, ask)

    def is_our_call(self, schema_id: int) -> bool:
        """Whether calls with this id have our present schema. Raises RegistryError if the registry does not answer."""
        schema = self.calls.find(schema_id)
        return isinstance(schema, PublishedSchema) and schema.is_our_call

    def texts(self) -> dict[str, str]:
        """Texts of the schemas that were found, by id."""
        found = {**self.calls.known(), **self.audit.known()}
        return {str(schema_id): one.text for schema_id, one in found.items()}


def _published_schema(_schema_id: int, schema: Mapping[str, Any]) -> PublishedSchema:
    parsed = fastavro.parse_schema(dict(schema))
    return PublishedSchema(json.dumps(schema), parsed, fingerprint(parsed) == call_schema_fingerprint())


def raw_position(value: bytes | None, schemas: PublishedSchemas) -> tuple[int, int] | None:
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


def decode_call(value: bytes, schemas: PublishedSchemas) -> dict[str, Any]:
    """A call with its schema header, in our schema's terms, whatever schema it was written with. Raises ValueError."""
    schema = schemas.calls.find(avro_wire.schema_id_of(value))
    if isinstance(schema, SchemaRefusal):
        raise ValueError(f"not a call ({schema.reason})")  # noqa: TRY004 - of a record's content, as below
    try:
        return records.decode(records.CALL, value, schema.parsed)
    except _READ_ERRORS as error:
        raise ValueError(f"not a call ({type(error).__name__})") from None


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


def audit_record(record: Recorded, schemas: PublishedSchemas) -> AuditRecord | None:
    """The audit record in a topic's record; None if it cannot be read, because it then proves nothing."""
    if record.value is None:
        return None
    try:
        schema = schemas.audit.find(avro_wire.schema_id_of(record.value))
        return None if isinstance(schema, SchemaRefusal) else AuditRecord.decode(record.value, schema.parsed)
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
    def schemas(self) -> PublishedSchemas:
        """Schemas of their values."""

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Copies of calls for raw records of the range, and what cannot be read."""


class PublishedSource(CopySource, Protocol):
    """Gives copies of calls, and audit records."""

    def audit(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Audit records that speak of the range."""


class ArchivePublished:
    """What an archive has kept; a `PublishedSource`."""

    def __init__(self, archive: Archive, published: Published) -> None:
        self._archive = archive
        self._published = published
        self.schemas = PublishedSchemas.of_texts(published.schemas)

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
        self.schemas = PublishedSchemas.of_topics(registry, self._calls, self._audit, follows=True)

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """As `PublishedSource`. Raises what reading the topics and the registry raises."""
        first = self._first_timestamp(part)
        if first is None:
            return
        begin = self._reader.offset_at(self._calls, part.partition, max(0, first - RECEIPT_SLACK_MS))
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


def open_published(settings: Settings, source: ReplaySource, stack: ExitStack, progress: Progress) -> PublishedSource:
    """What an archive has kept of what was published, or else the live topics; `stack` closes them.

    Raises what reaching Kafka and the registry raises.
    """
    if isinstance(source, Archive) and source.contents.published is not None:
        return ArchivePublished(source, source.contents.published)
    reader = stack.enter_context(TopicReader(settings))
    registry = stack.enter_context(SchemaRegistry.from_settings(settings))
    return LivePublished(settings, reader, registry, progress.count("published records read").add, source)

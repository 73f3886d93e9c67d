"""What the live stages had published for a range of raw records: copies of calls, and audit records.

Calls carry their raw position in their last two fields, which can be read from the end of a value without decoding it:
of a number's bytes only the last has its high bit clear. Where a value was written under another schema it is decoded.

Rules: nothing is left out in silence; what cannot be read counts as strange. This module refuses to know where copies
are kept.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import fastavro

from app.evidence.archive import Archive, FileFacts
from app.evidence.audit_record import AuditRecord
from app.evidence.configuration import call_schema_fingerprint
from app.evidence.documents import DocumentError
from app.kafka.records import OffsetRange, Recorded
from schemas import avro_wire, records
from schemas.avro_wire import SchemaHeaderError

_CONTINUED: Final = 0x80
_READ_ERRORS: Final = (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError)

SchemaText = Callable[[int], str]
"""Gives the text of a schema by the registry's id; raises what asking a registry raises, or KeyError."""


@dataclass(slots=True)
class Schemas:
    """Schemas by id, asked for once. `texts` has those that were."""

    ask: SchemaText
    texts: dict[str, str] = field(default_factory=dict)
    _parsed: dict[int, Any] = field(default_factory=dict)
    _ours: dict[int, bool] = field(default_factory=dict)

    def parsed(self, schema_id: int) -> Any:
        """The schema as fastavro wants it."""
        if schema_id not in self._parsed:
            text = self.ask(schema_id)
            self.texts[str(schema_id)] = text
            self._parsed[schema_id] = fastavro.parse_schema(json.loads(text))
        return self._parsed[schema_id]

    def is_our_call(self, schema_id: int) -> bool:
        """Whether values with this id are laid out as ours."""
        if schema_id not in self._ours:
            self._ours[schema_id] = _fingerprint(self.parsed(schema_id)) == call_schema_fingerprint()
        return self._ours[schema_id]

    @classmethod
    def of_texts(cls, texts: Mapping[str, str]) -> "Schemas":
        """Schemas that were kept."""
        return cls(lambda schema_id: texts[str(schema_id)])


def _fingerprint(schema: Any) -> str:
    return str(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "SHA-256"))


def raw_position(value: bytes | None, schemas: Schemas) -> tuple[int, int] | None:
    """Partition and offset of the raw record of a framed call; None where the value is no call."""
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
    """A framed call in our schema's terms, whatever schema it was written with. Raises ValueError."""
    try:
        schema_id = avro_wire.schema_id_of(value)
        body, ours = io.BytesIO(value[avro_wire.SCHEMA_HEADER_BYTES :]), records.parsed_schema(records.CALL)
        found = fastavro.schemaless_reader(body, schemas.parsed(schema_id), ours)
    except _READ_ERRORS as error:
        raise ValueError(f"no call ({type(error).__name__})") from None
    assert isinstance(found, dict)
    return found


def _long_before(value: bytes, end: int) -> tuple[int, int]:
    """The Avro long that ends before `end`, and where it begins. Raises IndexError where there is none."""
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
    """The audit record in a topic's record; None where there is none, for what cannot be read proves nothing."""
    if record.value is None:
        return None
    try:
        schema = schemas.parsed(avro_wire.schema_id_of(record.value))
        return AuditRecord.decode(record.value, schema)
    except _READ_ERRORS:
        return None


def belongs(position: tuple[int, int] | None, part: OffsetRange) -> bool:
    """Whether a copy is of the range; one that cannot be read is too, for somebody has to look at it."""
    return position is None or (position[0] == part.partition and part.first <= position[1] < part.next)


def speaks_of(record: AuditRecord | None, part: OffsetRange) -> bool:
    """Whether an audit record has runs in the range."""
    if record is None or record.partition != part.partition:
        return False
    return any(run.raw_first < part.next and run.raw_last >= part.first for run in record.runs)


class CopySource(Protocol):
    """Where copies of calls are had from."""

    @property
    def schemas(self) -> Schemas:
        """Schemas of their values."""

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Copies of calls for raw records of the range, and what cannot be read."""


class PublishedSource(CopySource, Protocol):
    """Where copies of calls and audit records are had from."""

    def audit(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Audit records that speak of the range."""


class ArchivePublished:
    """What an archive has kept; a `PublishedSource`."""

    def __init__(self, archive: Archive) -> None:
        """Raises DocumentError where the archive has kept nothing."""
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

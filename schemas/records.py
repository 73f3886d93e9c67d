"""The published Avro schemas, and whole records to and from bytes with fastavro.

For records that are few (dead letters, gaps, hot symbols) and for reading anything; the privacy stage lays out its
calls from remembered parts instead. Schemas are the packaged .avsc files and nothing else; a reader may resolve what
another schema wrote.
"""

import io
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from schemas import avro_wire

CALL: Final = "runtime_call_event"
HOT_SYMBOL: Final = "hot_symbol"
COVERAGE_GAP: Final = "coverage_gap"
DEAD_LETTER: Final = "dead_letter"
AUDIT_RECORD: Final = "audit_record"
WATCH: Final = "watch"
WATCHED_SYMBOL: Final = "watched_symbol"
PROBE_WINDOW: Final = "probe_window"
FILE_PLACEMENT: Final = "file_placement"

NAMES: Final = (
    CALL,
    HOT_SYMBOL,
    COVERAGE_GAP,
    DEAD_LETTER,
    AUDIT_RECORD,
    WATCH,
    WATCHED_SYMBOL,
    PROBE_WINDOW,
    FILE_PLACEMENT,
)
"""Names of the packaged schemas of topics: files of schemas/avro without their ending."""

RECORDED_RECORD: Final = "recorded_record"
"""Packaged too, and on no topic: the records of an archive's files."""


@cache
def schema_text(name: str) -> str:
    """The .avsc file as JSON without white space, which is what the registry gets."""
    content = files("schemas").joinpath("avro", f"{name}.avsc").read_bytes()
    try:
        return json.dumps(json.loads(content), separators=(",", ":"), ensure_ascii=False)
    except ValueError as error:
        raise ValueError(f"schemas/avro/{name}.avsc was changed: {error}") from None


@cache
def parsed_schema(name: str) -> Any:
    """The schema as fastavro wants it."""
    try:
        return fastavro.parse_schema(json.loads(schema_text(name)))
    except (SchemaParseException, UnknownType, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"schemas/avro/{name}.avsc was changed: {error!r}") from None


def encode(name: str, schema_id: int, record: Mapping[str, Any]) -> bytes:
    """A record with its schema header. Raises ValueError or TypeError where the record does not fit the schema."""
    out = io.BytesIO()
    out.write(avro_wire.schema_header(schema_id))
    fastavro.schemaless_writer(out, parsed_schema(name), record)
    return out.getvalue()


def decode(name: str, value: bytes, writer_schema: Any = None) -> dict[str, Any]:
    """A record with its schema header as a dictionary, resolved from the writer's schema (ours where None is given).

    Raises SchemaHeaderError, or what fastavro raises, where the bytes are not such a record.
    """
    avro_wire.schema_id_of(value)
    body = io.BytesIO(value[avro_wire.SCHEMA_HEADER_BYTES :])
    reader_schema = parsed_schema(name)
    found = fastavro.schemaless_reader(body, writer_schema or reader_schema, reader_schema)
    assert isinstance(found, dict)
    return found

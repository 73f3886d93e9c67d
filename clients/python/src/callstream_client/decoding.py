"""The topics that this package reads, and records of them from bytes."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Generic, TypeVar

import fastavro

from callstream_client.connection import Connection
from callstream_client.records import (
    CoverageGap,
    FilePlacement,
    HotSymbol,
    ProbeWindow,
    RuntimeCallEvent,
    WatchedSymbol,
)
from callstream_client.registry import SubjectVersions

RecordT = TypeVar("RecordT")

_HEADER_BYTES: Final = 5
"""A zero, and the schema's id in four bytes: Confluent's wire format."""


@dataclass(frozen=True, slots=True)
class TopicKind(Generic[RecordT]):
    """A topic without prefix, the schema of its records, and how they become a type."""

    topic: str
    schema: str
    make: Callable[[Mapping[str, Any]], RecordT]


CALLS: Final = TopicKind("runtime.calls", "runtime_call_event", RuntimeCallEvent.of)
HOT_SYMBOLS: Final = TopicKind("runtime.hot-symbols", "hot_symbol", HotSymbol.of)
COVERAGE: Final = TopicKind("runtime.coverage", "coverage_gap", CoverageGap.of)
PROBES: Final = TopicKind("runtime.probes", "probe_window", ProbeWindow.of)
PLACEMENTS: Final = TopicKind("runtime.placements", "file_placement", FilePlacement.of)
WATCHED: Final = TopicKind("runtime.watched", "watched_symbol", WatchedSymbol.of)


@cache
def packaged_schema(name: str) -> Any:
    """A schema of this package as fastavro has it: the one that records are read with."""
    text = files("callstream_client").joinpath("schemas", f"{name}.avsc").read_text(encoding="utf-8")
    return fastavro.parse_schema(json.loads(text))


class Decoder(Generic[RecordT]):
    """Decodes the records of one topic, whichever version of its schema wrote them."""

    def __init__(self, connection: Connection, kind: TopicKind[RecordT]) -> None:
        self._make = kind.make
        self._schema = packaged_schema(kind.schema)
        self._versions = SubjectVersions(connection, f"{connection.topic(kind.topic)}-value", self._schema["name"])

    def decode(self, value: bytes) -> RecordT | str:
        """The record, or in one sentence why it is none. Raises RegistryError if the registry does not answer."""
        if len(value) < _HEADER_BYTES or value[0]:
            return "it has no schema header"
        schema_id = int.from_bytes(value[1:_HEADER_BYTES], "big")
        written_with = self._versions.schema(schema_id)
        if written_with is None:
            return f"its schema {schema_id} is not one of this topic's subject"
        try:
            body = io.BytesIO(value[_HEADER_BYTES:])
            found: Any = fastavro.schemaless_reader(body, written_with, self._schema)
            return self._make(found)
        except Exception as error:  # noqa: BLE001 - fastavro raises what Python raises on bytes that are something else
            return f"it cannot be decoded with schema {schema_id}: {type(error).__name__}"

    def close(self) -> None:
        """Close the connections to the registry."""
        self._versions.close()

"""Reading calls for what counts: raw offset, time, evidence and place.

Regular calls are recognized part by part (regular_calls.py); all others, and those of other schema versions that begin
otherwise, are decoded as a whole. Both ways say the same.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from agents.contract import UNREADABLE_BATCH, SourceRecord
from agents.hot_symbols.reading.gathering import Gathered, Unreadable
from agents.hot_symbols.reading.meaning import Meaning, Observation
from agents.hot_symbols.reading.regular_calls import GatherRegular, gather_none, regular_gatherer
from agents.hot_symbols.reading.times import event_id_of, time_of
from schemas import avro_wire
from schemas.call_layout import CallLayout, MalformedCallError

LayoutOf = Callable[[int], CallLayout | None]
"""The layout of a schema id, with PLACE_FIELDS wanted; None where the registry has no such schema."""

MAX_SCHEMAS: Final = 64
"""Schema versions with a reader of their own; a subject has a handful."""


class CallReader:
    """Reads calls of any schema version; its memory is bounded, and no eviction changes a result.

    `meaning` says what a call means; readers with other questions than the stage pass their own.
    """

    def __init__(self, layout_of: LayoutOf, meaning: Meaning | None = None) -> None:
        self._layout_of = layout_of
        self._meaning = meaning or Meaning()
        self._readers: dict[int, _SchemaReader] = {}
        self._gather_regular: GatherRegular = gather_none

    def gather(self, records: Sequence[SourceRecord], gathered: Gathered) -> None:
        """Take a batch of one partition, in offset order."""
        at = self._gather_regular(records, 0, gathered)
        while at < len(records):
            reader = self._reader_of(records[at].value)
            if isinstance(reader, _SchemaReader) and reader.gather_regular is not self._gather_regular:
                self._gather_regular = reader.gather_regular
            else:
                gathered.note(records[at], self._read(records[at].value, reader))
                at += 1
            at = self._gather_regular(records, at, gathered)

    def _reader_of(self, value: bytes | None) -> "_SchemaReader | Unreadable":
        if not value:
            return Unreadable.EMPTY
        try:
            schema_id = avro_wire.schema_id_of(value)
        except avro_wire.SchemaHeaderError:
            return Unreadable.BATCH_TOO_LARGE if value is UNREADABLE_BATCH else Unreadable.NOT_FRAMED
        return self._readers.get(schema_id) or self._meet(schema_id)

    def _read(self, value: bytes | None, reader: "_SchemaReader | Unreadable") -> Observation | Unreadable:
        """Decode one record as a whole, or say why it cannot be read."""
        if isinstance(reader, Unreadable):
            return reader
        assert value is not None
        try:
            return self._meaning.observation(reader.layout.decode(value))
        except MalformedCallError:
            return Unreadable.MALFORMED

    def _meet(self, schema_id: int) -> "_SchemaReader | Unreadable":
        layout = self._layout_of(schema_id)
        if layout is None:
            return Unreadable.UNKNOWN_SCHEMA
        if len(self._readers) >= MAX_SCHEMAS:
            self._readers.clear()
        reader = self._readers[schema_id] = _SchemaReader(layout, self._meaning)
        return reader


Observe = Callable[[bytes | None], Observation | Unreadable]
"""Reads one record's value."""


class CallObserver:
    """Reads calls one by one, for who needs each of them; the stage gathers batches, at half the cost."""

    def __init__(self, layout_of: LayoutOf, meaning: Meaning | None = None) -> None:
        self._reader = CallReader(layout_of, meaning)

    def __call__(self, value: bytes | None) -> Observation | Unreadable:
        """The observation of one record, or why there is none."""
        found = Gathered(None)
        self._reader.gather((_Lone(value),), found)
        if found.refusals:
            return found.refusals[0].reason
        [((evidence, place), sightings)] = found.kinds.items()
        [moment] = sightings.moments
        return sightings.offsets[0], time_of(moment), event_id_of(moment), evidence, place


class _Lone(NamedTuple):
    """A record of which only the value matters."""

    value: bytes | None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None


class _SchemaReader:
    """The layout of one schema's calls, and the function that gathers the regular ones."""

    def __init__(self, layout: CallLayout, meaning: Meaning) -> None:
        self.layout: Final = layout
        self.gather_regular: Final = regular_gatherer(layout, meaning)

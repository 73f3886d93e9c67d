"""Reading a call for what counts: raw offset, time, evidence and place.

Regular calls are recognized part by part (regular_calls.py); all others, and those of other schema versions that begin
otherwise, are decoded as a whole. Both ways say the same. This module refuses to know what is counted.
"""

import enum
from collections.abc import Callable
from typing import Final

from agents.hot_symbols.meaning import Meaning, Observation
from agents.hot_symbols.regular_calls import NOT_REGULAR, refuse, regular_reader
from schemas import avro_wire
from schemas.call_layout import CallLayout, MalformedCallError


class Unreadable(enum.Enum):
    """Why a record is no call; values are dead-letter reasons."""

    EMPTY = "empty"
    NOT_FRAMED = "not_framed"
    UNKNOWN_SCHEMA = "unknown_schema"  # the registry has no schema of the id in the frame
    MALFORMED = "malformed_call"
    NO_RAW_POSITION = "no_raw_position"  # so nobody could tell whether it came again


Observe = Callable[[bytes | None], Observation | Unreadable]
"""Reads one record's value."""

LayoutOf = Callable[[int], CallLayout | None]
"""The layout of a schema id, with PLACE_FIELDS wanted; None where there is no such schema."""

MAX_SCHEMAS: Final = 64
"""Schema versions with a reader of their own; a subject has a handful."""


class CallObserver:
    """Reads calls of any schema version; its memory is bounded, and no eviction changes a result.

    What a call says is the business of `meaning`; for readers with other questions than the stage.
    """

    def __init__(self, layout_of: LayoutOf, meaning: Meaning | None = None) -> None:
        self._layout_of = layout_of
        self._meaning = meaning or Meaning()
        self._readers: dict[int, _SchemaReader] = {}
        self._read_regular: Callable[[bytes], Observation] = refuse

    def __call__(self, value: bytes | None) -> Observation | Unreadable:
        """The observation of one record, or why there is none."""
        if not value:
            return Unreadable.EMPTY
        try:
            return self._read_regular(value)
        except NOT_REGULAR:
            return self._read_any(value)

    def _read_any(self, value: bytes) -> Observation | Unreadable:
        """Read a record that is no regular call of the schema that the last regular call had."""
        try:
            schema_id = avro_wire.framed_schema_id(value)
        except avro_wire.FramingError:
            return Unreadable.NOT_FRAMED
        reader = self._readers.get(schema_id) or self._meet(schema_id)
        if reader is None:
            return Unreadable.UNKNOWN_SCHEMA
        if reader.read_regular is not self._read_regular:
            self._read_regular = reader.read_regular
            try:
                return self._read_regular(value)
            except NOT_REGULAR:
                pass
        try:
            return self._meaning.observation(reader.layout.decode(value))
        except MalformedCallError:
            return Unreadable.MALFORMED

    def _meet(self, schema_id: int) -> "_SchemaReader | None":
        layout = self._layout_of(schema_id)
        if layout is None:
            return None
        if len(self._readers) >= MAX_SCHEMAS:
            self._readers.clear()
        reader = self._readers[schema_id] = _SchemaReader(layout, self._meaning)
        return reader


class _SchemaReader:
    """The layout of one schema's calls, and the function that reads the regular ones."""

    def __init__(self, layout: CallLayout, meaning: Meaning) -> None:
        self.layout: Final = layout
        self.read_regular: Final = regular_reader(layout, meaning)

"""What raw events become by the stages' own steps in one process, up to the rows of the table and watches on them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.stage import CanonicalizeStep
from agents.contract import OutRecord, StepResult
from agents.hot_symbols.counting.symbol_counter import SymbolCounter
from agents.hot_symbols.reading.meaning import PLACE_FIELDS
from agents.hot_symbols.reading.observations import CallReader
from agents.hot_symbols.table.merging import SymbolMerger
from agents.hot_symbols.table.published import module_in, published_value
from agents.hot_symbols.watch.watch_board import WatchBoard
from app.settings import Settings
from app.steps import privacy_step
from app.symbols.store import SymbolStore
from schemas import records
from schemas.call_layout import CallLayout
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.calls import call_schema
from tests.support.hot_world import Stored

SCHEMA_ID: Final = 7
"""Of all values."""


class EventSteps:
    """Raw events to calls, with one symbol store. It keeps what it has learned, as a process that runs for long."""

    def __init__(self, store: SymbolStore) -> None:
        self.snapshot = store.digest
        self._canonicalize = CanonicalizeStep(Canonicalizer({}, store, store.digest))
        self._privacy = privacy_step(Settings(), SCHEMA_ID)

    def __call__(self, partition: int, events: Sequence[bytes], received_ms: int) -> tuple[StepResult, StepResult]:
        """Canonical events and calls, for the first events of a partition."""
        raw = [Stored("raw", partition, at, received_ms, b"k", value) for at, value in enumerate(events)]
        canonical = self._canonicalize(raw)
        return canonical, self._privacy(_stored(canonical.outputs, partition))


def user_probes(path: str, build_id: str, offsets: Iterable[int]) -> list[bytes]:
    """A process that maps a file, and probes that fire in it at these file offsets."""
    loading = GetEventsResponse(node_name="n")
    loading.process_loader.process.exec_id = "n:1:2"
    loading.process_loader.path, loading.process_loader.buildid = path, bytes.fromhex(build_id)
    events = [loading]
    for number, offset in enumerate(offsets):
        event = GetEventsResponse(node_name="n")
        event.process_uprobe.process.exec_id = "n:1:2"
        event.process_uprobe.path, event.process_uprobe.offset = path, offset
        event.time.seconds = 1_767_787_200 + number
        events.append(event)
    return [event.SerializeToString() for event in events]


def rows_of(calls: Mapping[int, Sequence[OutRecord]]) -> list[OutRecord]:
    """The published rows that calls by partition make, none of which has been counted before."""
    counter = SymbolCounter(CallReader(_layout_of).gather, 1)
    merger = SymbolMerger(lambda symbol, tally: published_value(SCHEMA_ID, symbol, tally))
    for partition, sent in calls.items():
        counter.absorb(partition, _stored(sent, partition))
        for partials in counter.flush(partition, _no_rows).partials.values():
            merger.absorb(0, _stored(partials, partition))
    return [row for at in merger.unwritten() for row in merger.flush(at, _no_rows).published]


def empty_board() -> WatchBoard:
    """A board that reads such rows."""
    return WatchBoard(
        lambda value: records.decode(records.HOT_SYMBOL, value), lambda value: module_in(value, SCHEMA_ID), None
    )


def _no_rows(keys: Sequence[bytes]) -> list[bytes | None]:
    return [None] * len(keys)


def _stored(sent: Iterable[OutRecord], partition: int) -> list[Stored]:
    return [Stored("t", partition, at, one.timestamp_ms, one.key, one.value) for at, one in enumerate(sent)]


@cache
def _layout_of(schema_id: int) -> CallLayout:
    return CallLayout(schema_id, call_schema(), PLACE_FIELDS)

"""The symbols of a window of calls, as rows like those of the hot-symbol table, and the containers they ran in.

The counting is the stage's own (agents/hot_symbols/counting/symbol_counter.py), over a table in memory that ends with
the window. So a row of a window means what a row of the table means. Memory is bounded by `MAX_ROWS`; a window with
more rows is refused and not cut, because a scanner takes a missing symbol for one that never ran.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agents.hot_symbols.counting.recent import Recent
from agents.hot_symbols.counting.symbol_counter import INCLUDED_KEY, SymbolCounter
from agents.hot_symbols.reading.evidence import EventEvidence
from agents.hot_symbols.reading.gathering import Unreadable, one_by_one
from agents.hot_symbols.reading.meaning import Observation
from agents.hot_symbols.reading.observations import Observe
from agents.hot_symbols.table.published import published_record
from agents.hot_symbols.table.symbol_row import SymbolRow
from app.export.call_stacks import ContainerPlace
from app.export.repeats import Repeats
from app.export.window import ExportBooks
from app.export.window_stacks import IsWanted
from app.kafka.records import Recorded
from app.operators.errors import OperatorError

MAX_ROWS: Final = 1_000_000
"""Rows by symbol and partition, of some 700 bytes: 700 MB."""

_WAITING_KINDS: Final = 20_000
"""Kinds of call that wait to be counted, at some 1 kB with their times."""

_NOTHING: Final = EventEvidence(())


class TooManySymbolsError(OperatorError):
    """A window has more symbols than memory is meant for."""


class SymbolGatherer:
    """Counts the symbols of a window."""

    def __init__(
        self,
        observe: Observe,
        wanted: IsWanted,
        partitions: int,
        repeats: Repeats,
        *,
        max_rows: int = MAX_ROWS,
        books: ExportBooks | None = None,
    ) -> None:
        """`observe` reads calls with a `ContainerMeaning`; `partitions` is the topic's number of them.

        Several may share their books.
        """
        self.books = ExportBooks() if books is None else books
        self._read_call = observe
        self._wanted = wanted
        self._max_rows = max_rows
        self._counter = SymbolCounter(one_by_one(self._observe), partitions)
        self._rows: dict[int, dict[bytes, bytes]] = {}
        self._containers: dict[str, Recent] = {}
        self._seen: dict[tuple[EventEvidence, str], int] = {}
        self._partition = self._highest = -1
        self._repeats = repeats

    def gather(self, runs: Iterable[tuple[int, Sequence[Recorded]]]) -> None:
        """Take all records; those of one partition follow each other.

        Raises TooManySymbolsError.
        """
        for number, records in runs:
            if number != self._partition:
                self._settle(self._partition)
                self._partition, self._highest = number, -1
            self._counter.absorb(number, records)
            self.books.records += len(records)
            if self._counter.waiting_kinds >= _WAITING_KINDS:
                self._settle(number)
        self._settle(self._partition)

    def rows(self) -> Iterator[tuple[Mapping[str, Any], Recent]]:
        """Rows as they would be published, by symbol id, each with the containers it ran in."""
        for key in sorted(set().union(*self._rows.values())):
            row = SymbolRow({number: rows[key] for number, rows in self._rows.items() if key in rows})
            symbol = key.decode()
            yield published_record(symbol, row.tally()), self._containers.get(symbol, Recent())

    @property
    def row_count(self) -> int:
        """Rows by symbol and partition, which are what takes memory."""
        return sum(map(len, self._rows.values()))

    def _observe(self, value: bytes | None) -> Observation | Unreadable:
        """Read a call for the counter: one that is not wanted is evidence of nothing."""
        seen = self._read_call(value)
        if isinstance(seen, Unreadable):
            return seen
        offset, time_ns, event_id, evidence, place = seen
        assert isinstance(place, ContainerPlace)
        is_new, self._highest = offset > self._highest, max(offset, self._highest)
        if is_new and self._repeats(self._partition, offset):
            self.books.repeated += 1
            return offset, time_ns, event_id, _NOTHING, place
        if not self._wanted(place):
            self.books.not_asked_for += is_new
            return offset, time_ns, event_id, _NOTHING, place
        if is_new and not evidence.touches:
            self.books.without_stack += 1
        elif is_new:
            self.books.calls += 1
            self.books.include_times(time_ns, time_ns)
            if place.container_id:
                key = (evidence, place.container_id)
                self._seen[key] = max(time_ns, self._seen.get(key, time_ns))
        return seen

    def _settle(self, partition: int) -> None:
        """Count what waits."""
        if partition not in self._counter.unwritten():
            return
        rows = self._rows.setdefault(partition, {})
        flush = self._counter.flush(partition, lambda keys: [rows.get(key) for key in keys])
        rows.update(flush.rows)
        rows.pop(INCLUDED_KEY, None)
        self._counter.acknowledged(flush)
        self.books.repeated += flush.repeated
        for refused in flush.refusals:
            self.books.refuse(refused.reason.value, partition, refused.offset)
        self._note_containers()
        if self.row_count > self._max_rows:
            raise TooManySymbolsError(f"the window has more than {self._max_rows:,} symbols; take a shorter one")

    def _note_containers(self) -> None:
        for (evidence, container), when_ns in self._seen.items():
            for touch in evidence.touches:
                self._containers.setdefault(touch.symbol_id, Recent()).note((container,), when_ns)
        for touched in {touch.symbol_id for evidence, _ in self._seen for touch in evidence.touches}:
            self._containers[touched].settle()
        self._seen.clear()

"""The call tree of a window of calls.

Calls wait in memory, counted by stack, binary and place, and go into the tree together when there are many kinds of
them. So an event costs one look-up.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from agents.hot_symbols.reading.evidence import EventPlace
from agents.hot_symbols.reading.gathering import Unreadable
from agents.hot_symbols.reading.observations import Observe
from agents.hot_symbols.table.query import Query
from agents.memo import Memo
from app.export.call_stacks import Stack, StackPlace
from app.export.call_tree import TreeBuilder
from app.export.repeats import Repeats
from app.export.window import ExportBooks
from app.kafka.records import Recorded

_WAITING_KINDS: Final = 65_536
"""Stacks, binaries and places that wait, at some 200 bytes each beside what they share."""

_KNOWN_PLACES: Final = 16_384
"""In each of two generations, at some 100 bytes."""

BinaryOf = Callable[[bytes], str]
"""Path of a call's binary; see `call_stacks.binary_reader`."""

IsWanted = Callable[[EventPlace], bool]
"""Whether calls of a place are wanted."""

IsOnPath = Callable[[Recorded, Stack, str], bool]
"""Whether a call of a wanted place is wanted for its stack and its binary."""


def wanted(query: Query) -> IsWanted:
    """A function that says whether calls of a place meet the conditions on places; it remembers its answers."""
    if query.namespace is None and query.image is None:
        return lambda _place: True

    def is_meant(place: EventPlace) -> bool:
        images = [] if place.image is None else [(place.image[1], place.image[0])]
        return query.means_place(place.namespace or (), images)

    return Memo[EventPlace, bool](is_meant, _KNOWN_PLACES).__getitem__


class StackGatherer:
    """Gathers the stacks of a window."""

    def __init__(
        self,
        observe: Observe,
        binary_of: BinaryOf,
        wanted: IsWanted,
        repeats: Repeats,
        *,
        is_on_path: IsOnPath | None = None,
        builder: TreeBuilder | None = None,
    ) -> None:
        """`observe` reads calls with a `StackMeaning`. Without `is_on_path`, all stacks are wanted.

        Without a `builder`, the tree may be as large as an export may be.
        """
        self.builder = builder or TreeBuilder()
        self.books = ExportBooks()
        self._observe = observe
        self._binary_of = binary_of
        self._wanted = wanted
        self._repeats = repeats
        self._is_on_path = is_on_path
        self._waiting: dict[tuple[Stack, str, StackPlace], int] = {}

    def gather(self, runs: Iterable[tuple[int, Sequence[Recorded]]]) -> None:
        """Take all records; those of one partition follow each other."""
        partition, highest = -1, -1
        for number, records in runs:
            if number != partition:
                partition, highest = number, -1
            highest = self._take(number, records, highest)
            if len(self._waiting) >= _WAITING_KINDS:
                self._settle()
        self._settle()

    def _take(self, partition: int, records: Sequence[Recorded], highest: int) -> int:
        """Take records of one partition; returns the highest raw offset of it."""
        books, waiting, observe = self.books, self._waiting, self._observe
        times: list[int] = []
        for record in records:
            seen = observe(record.value)
            if isinstance(seen, Unreadable):
                books.refuse(seen.value, record.partition, record.offset)
                continue
            offset, time_ns, _, stack, place = seen
            if offset <= highest:
                if offset < 0:
                    books.refuse(Unreadable.NO_RAW_POSITION.value, record.partition, record.offset)
                else:
                    books.repeated += 1
                continue
            highest = offset
            assert isinstance(stack, Stack)
            assert isinstance(place, StackPlace)
            if self._repeats(partition, offset):
                books.repeated += 1
            elif not self._wanted(place):
                books.not_asked_for += 1
            elif not stack.frames:
                books.without_stack += 1
            else:
                binary = self._binary_of(record.value or b"")
                if self._is_on_path is not None and not self._is_on_path(record, stack, binary):
                    books.not_asked_for += 1
                    continue
                key = stack, binary, place
                waiting[key] = waiting.get(key, 0) + 1
                times.append(time_ns)
        books.records += len(records)
        books.calls += len(times)
        if times:
            books.include_times(min(times), max(times))
        return highest

    def _settle(self) -> None:
        for (stack, binary, place), events in self._waiting.items():
            self.builder.add(binary, stack.frames, events, place.of_tree)
        self._waiting.clear()

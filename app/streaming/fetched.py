"""The records that aiokafka hands out, made of less: the six fields of a `SourceRecord` instead of eleven.

How a fetched batch is read stays aiokafka's own, but a batch that would be too large when it is inflated is not read:
for each of its offsets there is a record with the value `UNREADABLE_BATCH`. This replaces a private class of aiokafka;
tests/unit/app/streaming/test_faust_pins.py fails when that class changes.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, cast

from aiokafka.consumer import fetcher

from agents.contract import UNREADABLE_BATCH
from app.streaming import inflating

log = logging.getLogger(__name__)

LARGE_BATCH_BYTES: Final = 4 << 20
"""Inflated. A fetch may have some fifty compressed batches, and all would be in memory at once."""


class FetchedRecord(NamedTuple):
    """A record as it was fetched; see `SourceRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


_new: Final[Any] = tuple.__new__  # a third of what the class's own constructor costs, for every record


class FetchedRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """What a fetch brought of one partition. Faust passes no deserializers."""

    def __init__(self, tp: Any, records: Any, *others: Any, **more: Any) -> None:
        super().__init__(tp, _Batches(records, tp), *others, **more)

    def __iter__(self) -> Iterator[Any]:
        """The records, without a call of `__next__` for each."""
        records: Iterator[Any] = self._records_iterator
        return records

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return _new(FetchedRecord, (tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value))


def install() -> None:
    """Make aiokafka's fetchers hand out ours."""
    inflating.install()
    fetcher.PartitionRecords = FetchedRecords


class _Batches:
    """Batches of one fetch. After a large one the rest is left for the next fetch, which begins behind it."""

    def __init__(self, batches: Any, tp: Any) -> None:
        self._batches = batches
        self._tp = tp
        self._was_large = False

    def has_next(self) -> bool:
        return not self._was_large and bool(self._batches.has_next())

    def next_batch(self) -> "_Batch":
        return _Batch(self._batches.next_batch(), self._tp, self._note_size)

    def _note_size(self, inflated_bytes: int) -> None:
        self._was_large = self._was_large or inflated_bytes > LARGE_BATCH_BYTES


class _Batch:
    """One of aiokafka's batches, or what stands for its records where it cannot be inflated."""

    def __init__(self, batch: Any, tp: Any, note_size: Callable[[int], None]) -> None:
        self._batch = batch
        self._tp = tp
        self._note_size = note_size

    def __getattr__(self, name: str) -> Any:
        """Whatever aiokafka asks of a batch besides its records."""
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        before = inflating.inflated_bytes()
        try:
            records = iter(self._batch)
        except inflating.BatchTooLargeError:
            return self._unreadable()
        self._note_size(inflating.inflated_bytes() - before)
        return cast("Iterator[Any]", records)

    def _unreadable(self) -> Iterator[FetchedRecord]:
        first, following, timestamp = self._batch.base_offset, self._batch.next_offset, self._batch.max_timestamp
        facts = {"topic": self._tp.topic, "partition": self._tp.partition, "first": first, "next": following}
        log.warning("a batch is damaged or too large when inflated; its records are refused", extra={"facts": facts})
        for offset in range(first, following):
            yield FetchedRecord(self._tp.topic, self._tp.partition, offset, timestamp, None, UNREADABLE_BATCH)

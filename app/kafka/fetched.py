"""The records that aiokafka hands out, made of less: the six fields of a `SourceRecord` instead of eleven.

How a fetched batch is read stays aiokafka's own, but a batch that would be too large when it is inflated is not read:
for each of its offsets there is a record with the value `UNREADABLE_BATCH`. This replaces a private class of aiokafka;
tests/unit/app/streaming/test_faust_pins.py fails when that class changes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.structs import TopicPartition

from agents.contract import UNREADABLE_BATCH
from app.kafka import inflating
from app.kafka.records import Partition, Recorded

log = logging.getLogger(__name__)

LARGE_FETCH_BYTES: Final = 16 << 20
"""Inflated, of one partition. A fetch of 4 MiB may hold a thousand batches of 4 MB, and all would be in memory at once.
Events shrink to a fifth when they are compressed, so that the rest of a usual fetch is hardly ever dropped."""


class DamagedBatchError(CorruptRecordException):  # type: ignore[misc]  # aiokafka is untyped
    """A batch does not match its checksum or is not what it says; what comes before it was handed out."""

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.topic, self.partition, self.offset, self.reason = topic, partition, offset, reason


CLOSE: Final = fetcher.Fetcher.close
"""aiokafka's own."""

_new: Final[Any] = tuple.__new__  # a third of what the class's own constructor costs, for every record


class FetchedRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """What a fetch brought of one partition. Faust passes no deserializers."""

    def __init__(self, tp: Any, records: Any, *others: Any, **more: Any) -> None:
        self.next_fetch_offset = 0
        self._batches = _Batches(records, tp)
        super().__init__(tp, self._batches, *others, **more)
        self._records_iterator: Iterator[Any] = self._until_damage(self._records_iterator)

    def __iter__(self) -> Iterator[Any]:
        """The records, without a call of `__next__` for each."""
        return self._records_iterator

    def _until_damage(self, records: Iterator[Any]) -> Iterator[Any]:
        """The records before a damaged batch; the error comes when the next fetch begins with it.

        A batch that matches its checksum was written so: then each of its other records is one that cannot be read.
        """
        first = self.next_fetch_offset
        try:
            yield from records
        except (CorruptRecordException, UnsupportedCodecError) as error:
            batch = self._batches.current
            if batch is not None and batch.matches_its_checksum:
                for record in batch.unreadable(self.next_fetch_offset):
                    self.next_fetch_offset = record.offset + 1
                    yield record
                self.next_fetch_offset = batch.next_offset
            elif self.next_fetch_offset == first:
                tp = self._tp
                raise DamagedBatchError(tp.topic, tp.partition, first, str(error)) from None

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return _new(Recorded, (tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value))


async def _close(fetching: Any) -> None:
    """Close a fetcher, also one whose fetches fail because no broker answers.

    aiokafka cancels a fetch that waits to be tried again, takes the cancellation for its own, and leaves the rest open:
    the connections, and the thread in which it lives.
    """
    fetching._closed = True  # noqa: SLF001 - as aiokafka's own `close`, which comes last
    waiting = [fetching._fetch_task, *fetching._pending_tasks]  # noqa: SLF001 - see above
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    fetching._pending_tasks.clear()  # noqa: SLF001 - see above
    await CLOSE(fetching)


def install() -> None:
    """Make aiokafka's fetchers hand out ours."""
    inflating.install()
    fetcher.PartitionRecords = FetchedRecords
    fetcher.Fetcher.close = _close


def position_of(consumer: Any, place: Partition) -> int | None:
    """The offset that an aiokafka consumer hands out next; None where it has not the partition, or no position yet."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - `consumer.position` would wait for one
    assignment = None if subscription is None else subscription.assignment
    state = None if assignment is None else assignment.state_value(TopicPartition(*place))
    return state.position if state is not None and state.has_valid_position else None


class _Batches:
    """Batches of one fetch. After some that are large the rest is left for the next fetch, which begins behind them."""

    def __init__(self, batches: Any, tp: Any) -> None:
        self._batches = batches
        self._tp = tp
        self._inflated_bytes = 0
        self.current: _Batch | None = None
        """The batch that was handed out last."""

    def has_next(self) -> bool:
        return self._inflated_bytes <= LARGE_FETCH_BYTES and bool(self._batches.has_next())

    def next_batch(self) -> "_Batch":
        self.current = _Batch(self._batches.next_batch(), self._tp, self._note_size)
        return self.current

    def _note_size(self, inflated_bytes: int) -> None:
        self._inflated_bytes += inflated_bytes


class _Batch:
    """One of aiokafka's batches, or what stands for its records where it cannot be inflated."""

    def __init__(self, batch: Any, tp: Any, note_size: Callable[[int], None]) -> None:
        self._batch = batch
        self._tp = tp
        self._note_size = note_size
        self.matches_its_checksum = False
        """Known after `validate_crc`."""

    def __getattr__(self, name: str) -> Any:
        """Whatever aiokafka asks of a batch besides its records."""
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """Whether it matches its checksum."""
        self.matches_its_checksum = bool(self._batch.validate_crc())
        return self.matches_its_checksum

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        before = inflating.inflated_bytes()
        try:
            records = iter(self._batch)
        except inflating.BatchTooLargeError:
            return self.unreadable(self._batch.base_offset)
        self._note_size(inflating.inflated_bytes() - before)
        return cast("Iterator[Any]", records)

    def unreadable(self, first: int) -> Iterator[Recorded]:
        """What stands for its records from an offset on."""
        following, timestamp = self._batch.next_offset, self._batch.max_timestamp
        facts = {"topic": self._tp.topic, "partition": self._tp.partition, "first": first, "next": following}
        log.warning("a batch is damaged or too large when inflated; its records are refused", extra={"facts": facts})
        for offset in range(first, following):
            yield Recorded(self._tp.topic, self._tp.partition, offset, timestamp, None, UNREADABLE_BATCH)

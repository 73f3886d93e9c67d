"""A batch of source records: what the transport hands to an agent as one message.

All records are of one topic and partition, in offset order. A batch holds at most `MAX_BATCH_RECORDS` records and
`MAX_BATCH_BYTES` bytes of keys and values, unless a single record is larger. Whoever takes a batch calls
`start` of its hand-out, and `finish` when everything that follows from it has been acknowledged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.contract import SourceRecord
from app.streaming.ledger import FetchLink, HandOut

MAX_BATCH_RECORDS = 1_000
"""A step over a thousand events holds the event loop for some 20 ms: health checks and timers still answer in time.
Fewer would spread Faust's 50 µs a message over fewer events; more would not be cheaper by a measurable amount."""

MAX_BATCH_BYTES = 4 << 20
"""Batches wait in Faust's queue and in the delivery window: at most 24 of them, so some 100 MB of source records.
Events have 2 kB on average, so that this limit matters only for floods of very large events."""


@dataclass(frozen=True, slots=True, eq=False)
class FetchedBatch:
    """Records as they left the consumer thread, with their place in the chain of fetches.

    They are all that can be read of the offsets `first` to `last`, both included; there may be none.
    """

    records: Sequence[SourceRecord]
    link: FetchLink
    first: int
    last: int
    deleted_until_ms: int | None = None
    """Where the records of these offsets were deleted before they were read: the time of the first that is left."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordBatch:
    """Records as they reach an agent."""

    topic: str
    partition: int
    records: Sequence[SourceRecord]
    hand_out: HandOut


def size_bytes(record: SourceRecord) -> int:
    """Bytes of key and value."""
    return len(record.key or b"") + len(record.value or b"")


def cut(records: Sequence[SourceRecord], max_records: int, max_bytes: int) -> Iterator[Sequence[SourceRecord]]:
    """Cut records into runs within both limits; a record that is larger alone makes a run of its own."""
    for start in range(0, len(records), max_records):
        run = records[start : start + max_records]
        # A comprehension, because this runs for every record and a call costs three times as much.
        if sum([len(record.key or b"") + len(record.value or b"") for record in run]) <= max_bytes:
            yield run
        else:
            yield from _cut_by_size(run, max_bytes)


def _cut_by_size(records: Sequence[SourceRecord], max_bytes: int) -> Iterator[Sequence[SourceRecord]]:
    begin = total = 0
    for index, record in enumerate(records):
        size = size_bytes(record)
        if index > begin and total + size > max_bytes:
            yield records[begin:index]
            begin, total = index, 0
        total += size
    yield records[begin:]

"""The newest calls, read for one question, such as which call has an id.

Each question reads a limited number of records and says how many: `runtime.calls` is never read as a whole.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from app.kafka.records import Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics

MOST_RECORDS: Final = 200_000
"""Of all partitions together; they come at some 200,000 a second."""

MOST_SECONDS: Final = 10.0
"""For one question."""


@dataclass(slots=True)
class CallReading:
    """How much was looked through. `newest_first` readings begin with the newest records of each partition."""

    records: int = 0
    first_ms: int = 0
    is_cut: bool = False
    """Whether there are older records that were not read."""

    def document(self) -> dict[str, Any]:
        """For the page."""
        return {"records": self.records, "since_ms": self.first_ms, "is_cut": self.is_cut}


def newest_calls(settings: Settings, reading: CallReading, most: int = MOST_RECORDS) -> Iterator[Recorded]:
    """The newest records of `runtime.calls`. Raises what `TopicReader` raises."""
    name, deadline = settings.name(topics.CALLS), time.monotonic() + MOST_SECONDS
    with TopicReader(settings) as reader:
        ends = reader.all_ends(name)
        share = max(1, most // max(1, len(ends)))
        starts = {number: max(there.first, there.next - share) for number, there in ends.items()}
        reading.is_cut = any(starts[number] > there.first for number, there in ends.items())
        for record in reader.records(name, starts):
            reading.records += 1
            reading.first_ms = min(reading.first_ms or record.timestamp, record.timestamp)
            yield record
            if not reading.records % 1_000 and time.monotonic() > deadline:
                reading.is_cut = True
                return


def decoded_calls(
    settings: Settings, reading: CallReading, needle: bytes = b"", most: int = MOST_RECORDS
) -> Iterator[tuple[Recorded, dict[str, Any]]]:
    """The newest calls that hold the bytes `needle`, decoded; what is not a call is passed over.

    Raises what `TopicReader` raises, and RegistryError.
    """
    with SchemaRegistry.from_settings(settings) as registry:
        decoder = RecordDecoder(settings, registry, topics.CALLS)
        for record in newest_calls(settings, reading, most):
            if needle in (record.value or b""):
                call = decoder.decode(record.value)
                if not isinstance(call, RecordFault):
                    yield record, call


def call_with_id(settings: Settings, event_id: str) -> dict[str, Any]:
    """The call with this event id among the newest ones, or that there is none among them."""
    reading = CallReading()
    for record, call in decoded_calls(settings, reading, event_id.encode()):
        if call["event_id"] == event_id:
            place = {"partition": record.partition, "offset": record.offset}
            return {"call": call, **place, "read": reading.document()}
    return {"call": None, "read": reading.document()}

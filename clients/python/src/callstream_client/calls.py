"""Calls, each once.

A call follows from one raw record and is on the partition of that record. Raw positions rise within a partition, so a
call whose raw offset is not above the highest one came before. One number for each partition is all that is kept.
"""

from collections.abc import Iterator
from dataclasses import replace

from callstream_client.connection import Connection
from callstream_client.decoding import CALLS
from callstream_client.records import RuntimeCallEvent
from callstream_client.stream import Batch, Received, RecordStream


class SeenSources:
    """The highest raw offset of each partition. Keep it with your results if you store positions yourself."""

    def __init__(self) -> None:
        self.highest: dict[int, int] = {}

    def is_new(self, call: RuntimeCallEvent) -> bool:
        """Whether the call has not come before, and note that it came. A call without a raw position is always new."""
        partition, offset = call.source.partition, call.source.offset
        if offset < 0:
            return True
        if offset <= self.highest.get(partition, -1):
            return False
        self.highest[partition] = offset
        return True


class CallStream(RecordStream[RuntimeCallEvent]):
    """Reads `runtime.calls` as a member of a group, and leaves out calls that came before."""

    def __init__(
        self, connection: Connection, *, group: str, from_newest: bool = False, max_records: int = 1_000
    ) -> None:
        """As `RecordStream`."""
        self._seen = SeenSources()
        super().__init__(connection, CALLS, group=group, from_newest=from_newest, max_records=max_records)

    def batches(self, *, idle_s: float | None = None) -> Iterator[Batch[RuntimeCallEvent]]:
        """As `RecordStream.batches`, without repetitions; each batch counts its own."""
        for batch in super().batches(idle_s=idle_s):
            kept: list[Received[RuntimeCallEvent]] = [one for one in batch.records if self._seen.is_new(one.record)]
            marks = {number: f"raw={self._seen.highest.get(number, -1)}" for number in batch.nexts}
            repeated = len(batch.records) - len(kept)
            yield replace(batch, records=tuple(kept), repeated=repeated, marks=marks)

    def _resumed(self, partition: int, mark: str | None) -> None:
        self._seen.highest.pop(partition, None)
        word, _, number = (mark or "").partition("=")
        if word == "raw" and number.isdecimal():
            self._seen.highest[partition] = int(number)

    def _passed_over(self, partition: int, *, was_made_again: bool) -> None:
        if was_made_again:
            self._seen.highest.pop(partition, None)

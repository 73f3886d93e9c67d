"""What the steps of the hot-symbol stage have in common: the record of work between two flushes."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from agents.contract import SourceRecord, StepResult
from app.streaming.batch import RecordBatch
from app.streaming.metering import StageObserver

Taken = TypeVar("Taken")


class AbsorbedWork:
    """Records taken into memory since the last flush, and the time that they took."""

    def __init__(self, observer: StageObserver, topic: str) -> None:
        """`topic` is the full name of the topic that they are from."""
        self._observer = observer
        self._topic = topic
        self._records = 0
        self._seconds = 0.0

    def take(self, batch: RecordBatch, absorb: Callable[[int, Sequence[SourceRecord]], Taken]) -> Taken:
        """Have a batch absorbed, by partition and records; returns what `absorb` does."""
        self._observer.taken(batch.topic, len(batch.records))
        self._records += len(batch.records)
        with self.timed():
            return absorb(batch.partition, batch.records)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time that the context takes."""
        began = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - began

    def book(self, result: StepResult) -> None:
        """Count the records as finished."""
        if self._records:
            self._observer.done(self._topic, self._records, result, self._seconds)
        self._records, self._seconds = 0, 0.0

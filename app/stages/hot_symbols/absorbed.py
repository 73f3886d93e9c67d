"""What the steps of the hot-symbol stage have in common: their tables, and the record of work between two flushes."""

import time
from collections.abc import Callable

from agents.contract import StepResult
from app.streaming.stage_process import StageRuntime
from app.streaming.table import StrictTable


class AbsorbedWork:
    """Records taken into memory since the last flush, and the time that they took."""

    def __init__(self) -> None:
        self._records = 0
        self._seconds = 0.0

    def timed(self, records: int = 0) -> "_Stopwatch":
        """Add the time that its context takes, and these records."""
        self._records += records
        return _Stopwatch(self._add)

    def _add(self, seconds: float) -> None:
        self._seconds += seconds

    def book(self, runtime: StageRuntime, topic: str, result: StepResult) -> None:
        """Count the records as finished."""
        if self._records:
            runtime.observer.done(topic, self._records, result, self._seconds)
        self._records, self._seconds = 0, 0.0


class _Stopwatch:
    def __init__(self, add: Callable[[float], None]) -> None:
        self._add = add
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._add(time.perf_counter() - self._began)


def stage_table(runtime: StageRuntime, name: str, source: str) -> StrictTable:
    """A table of the stage whose partitions go with those of the topic `source`."""
    return StrictTable(
        runtime.app,
        name=name,
        partitions=runtime.partitions,
        source_topic=source,
        delivery=runtime.delivery,
        admin=runtime.admin,
    )

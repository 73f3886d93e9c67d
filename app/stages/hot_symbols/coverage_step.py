"""The coverage step around its pure part: rows of the table `node-coverage`, one a node.

Rules: a record is finished when the row that includes it is in the table. This module refuses to know what a row says.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

from agents.contract import StepResult
from agents.coverage.covering import CoverageFolder
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder
from app.settings import Settings
from app.streaming.batch import RecordBatch
from app.streaming.stage_process import StageRuntime
from app.streaming.table import StrictTable, TableWrite
from schemas import records, topics
from schemas.coverage import CoverageGap, from_record


class Covering:
    """Step three: coverage records to rows by node."""

    def __init__(self, runtime: StageRuntime, folder: CoverageFolder, *, source: str) -> None:
        self._runtime = runtime
        self._folder = folder
        self._source = source
        self._records = 0
        self._seconds = 0.0
        self._table = StrictTable(
            runtime.app,
            name=topics.NODE_COVERAGE_TABLE,
            partitions=runtime.partitions,
            source_topic=source,
            delivery=runtime.delivery,
            admin=runtime.admin,
        )

    def absorb(self, batch: RecordBatch) -> None:
        """Take records into memory."""
        self._runtime.observer.taken(batch.topic, len(batch.records))
        began = time.perf_counter()
        self._folder.absorb(batch.partition, batch.records)
        self._records += len(batch.records)
        self._seconds += time.perf_counter() - began

    async def flush(self, positions: Mapping[int, int]) -> None:
        """Write everything that waits. Raises DeliveryFailedError."""
        await self._table.write(
            [
                TableWrite(number, self._folder.flush(number, partial(self._table.read, number)), positions[number])
                for number in self._folder.unwritten()
            ]
        )
        if self._records:
            self._runtime.observer.done(self._source, self._records, StepResult(), self._seconds)
        self._records, self._seconds = 0, 0.0


def coverage_decoder(settings: Settings) -> Callable[[bytes | None], CoverageGap | None]:
    """Reads records of runtime.coverage, whichever version of the schema wrote them; it may raise RegistryError."""
    schemas = RecordDecoder(SchemaRegistry.from_settings(settings), records.COVERAGE_GAP)

    def decode(value: bytes | None) -> CoverageGap | None:
        found = schemas.decode(value)
        return None if found is None else from_record(found)

    return decode

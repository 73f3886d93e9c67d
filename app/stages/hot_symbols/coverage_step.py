"""Step three around its pure part: coverage records to rows of the table `node-coverage`, one for each node.

A record is finished when the row that includes it is in the table.
"""

from collections.abc import Callable, Mapping
from functools import partial

from agents.contract import StepResult
from agents.coverage.covering import CoverageFolder
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder
from app.settings import Settings
from app.stages.hot_symbols.absorbed import AbsorbedWork
from app.streaming.batch import RecordBatch
from app.streaming.stage_process import StageRuntime
from app.streaming.table import TableWrite
from schemas import records, topics
from schemas.coverage import CoverageGap, from_record


class CoverageStep:
    """Step three: coverage records to rows by node."""

    def __init__(self, runtime: StageRuntime, folder: CoverageFolder) -> None:
        self._folder = folder
        source = runtime.settings.name(topics.COVERAGE)
        self._table = runtime.table(topics.NODE_COVERAGE_TABLE, source_topic=source)
        self._absorbed = AbsorbedWork(runtime.observer, source)

    def absorb(self, batch: RecordBatch) -> None:
        """Take records into memory."""
        self._absorbed.take(batch, self._folder.absorb)

    async def flush(self, positions: Mapping[int, int]) -> None:
        """Write everything that waits. Raises DeliveryFailedError."""
        await self._table.write(
            [
                TableWrite(number, self._folder.flush(number, partial(self._table.read, number)), positions[number])
                for number in self._folder.unwritten()
            ]
        )
        self._absorbed.book(StepResult())


def coverage_decoder(settings: Settings) -> Callable[[bytes | None], CoverageGap | None]:
    """Reads records of runtime.coverage, whichever version of the schema wrote them; it may raise RegistryError."""
    schemas = RecordDecoder(SchemaRegistry.from_settings(settings), records.COVERAGE_GAP)

    def decode(value: bytes | None) -> CoverageGap | None:
        found = schemas.decode(value)
        return None if found is None else from_record(found)

    return decode

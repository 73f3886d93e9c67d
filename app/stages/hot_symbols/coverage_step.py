"""Step three around its pure part: coverage records to rows of the table `node-coverage`, one for each node.

A record is finished when the row that includes it is in the table.
"""

from collections.abc import Callable, Mapping
from functools import partial

from agents.contract import StepResult
from agents.coverage.covering import CoverageFolder
from app.kafka.refused import RecordRefusal
from app.kafka.schemas import RecordDecoder, RecordFault
from app.stages.hot_symbols.absorbed import AbsorbedWork
from app.stages.hot_symbols.refusing import refused_records
from app.streaming.batch import RecordBatch
from app.streaming.stage_process import StageRuntime
from app.streaming.table import TableWrite
from schemas import topics
from schemas.coverage import CoverageGap, from_record


class CoverageStep:
    """Step three: coverage records to rows by node."""

    def __init__(self, runtime: StageRuntime, schemas: RecordDecoder) -> None:
        self._folder = CoverageFolder(gap_decoder(schemas))
        self._refused = refused_records(runtime)
        source = runtime.settings.name(topics.COVERAGE)
        self._table = runtime.table(topics.NODE_COVERAGE_TABLE, source_topic=source)
        self._absorbed = AbsorbedWork(runtime.observer, source)

    def absorb(self, batch: RecordBatch) -> None:
        """Take records into memory."""
        for one in self._absorbed.take(batch, self._folder.absorb):
            self._refused.note(RecordRefusal(batch.topic, batch.partition, one.offset, RecordFault(one.reason)))

    async def flush(self, positions: Mapping[int, int]) -> None:
        """Write everything that waits. Raises DeliveryFailedError."""
        await self._table.write(
            [
                TableWrite(number, self._folder.flush(number, partial(self._table.read, number)), positions[number])
                for number in self._folder.unwritten()
            ]
        )
        self._absorbed.book(StepResult())


def gap_decoder(schemas: RecordDecoder) -> Callable[[bytes | None], CoverageGap | RecordFault]:
    """Reads values of runtime.coverage, whichever version of the schema wrote them; it may raise RegistryError."""

    def decode(value: bytes | None) -> CoverageGap | RecordFault:
        found = schemas.decode(value)
        return found if isinstance(found, RecordFault) else from_record(found)

    return decode

"""Step three around its pure part: coverage records to rows of the table `node-coverage`, one for each node.

A record is finished when the row that includes it is in the table.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from agents.contract import StepResult
from agents.coverage.covering import CoverageFolder
from agents.coverage.interval import Interval
from app.kafka.refused import RecordRefusal
from app.kafka.schemas import RecordDecoder, RecordFault
from app.stages.hot_symbols.absorbed import AbsorbedWork
from app.stages.hot_symbols.refusing import refused_records
from app.streaming.batch import RecordBatch
from app.streaming.stage_process import StageRuntime
from app.streaming.table import TableWrite
from app.telemetry import metrics
from schemas import topics
from schemas.coverage import CoverageGap, from_record
from schemas.node import NodeId

log = logging.getLogger(__name__)

_MAX_TOLD: Final = 10_000
"""Nodes whose stretch is remembered, so that it is told once; a fleet has fewer."""


class CoverageStep:
    """Step three: coverage records to rows by node."""

    def __init__(self, runtime: StageRuntime, schemas: RecordDecoder) -> None:
        self._folder = CoverageFolder(gap_decoder(schemas))
        self._refused = refused_records(runtime)
        source = runtime.settings.name(topics.COVERAGE)
        self._table = runtime.table(topics.NODE_COVERAGE_TABLE, source_topic=source)
        self._absorbed = AbsorbedWork(runtime.observer, source)
        self._meter = runtime.meter
        self._told: dict[NodeId, int] = {}
        self._twice_until_ns = 0

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
        self._tell(self._folder.take_vouched_twice())

    def _tell(self, twice: Mapping[NodeId, Interval]) -> None:
        """Say once of each node and stretch of time that two ingests vouch for it; the metric follows its end."""
        if len(self._told) > _MAX_TOLD:
            self._told.clear()
        for node, stretch in twice.items():
            self._twice_until_ns = max(self._twice_until_ns, stretch.to_ns)
            if self._told.get(node) != stretch.from_ns:
                self._told[node] = stretch.from_ns
                log.warning(
                    "two ingests vouch for the node %s at once: its events may be counted twice, or two agents have "
                    "its name",
                    node,
                    extra={"facts": {"from_ns": stretch.from_ns, "to_ns": stretch.to_ns}},
                )
        if twice:
            self._meter.set(metrics.VOUCHED_TWICE_UNTIL, self._twice_until_ns / 1e9)


def gap_decoder(schemas: RecordDecoder) -> Callable[[bytes | None], CoverageGap | RecordFault]:
    """Reads values of runtime.coverage, whichever version of the schema wrote them; it may raise RegistryError."""

    def decode(value: bytes | None) -> CoverageGap | RecordFault:
        found = schemas.decode(value)
        return found if isinstance(found, RecordFault) else from_record(found)

    return decode

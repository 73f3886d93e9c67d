"""Step two around its pure part: partials to rows of the table `hot-symbols` and published rows.

A row is in the table before it is published. A flush gives the event loop a turn after every partition.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial

from agents.contract import StepResult
from agents.hot_symbols.table.merging import SymbolMerger
from app.stages.hot_symbols.absorbed import AbsorbedWork
from app.streaming.batch import RecordBatch
from app.streaming.delivery import Parcel
from app.streaming.stage_process import StageRuntime
from app.streaming.table import TableWrite
from app.telemetry import metrics
from schemas import topics
from schemas.units import NS_PER_MS

MAX_WAITING_SYMBOLS = 10_000
"""A flush of as many takes half a second; they wait at some 500 bytes each."""


class MergeStep:
    """Step two: partial counts to published rows."""

    def __init__(self, runtime: StageRuntime, merger: SymbolMerger) -> None:
        self._runtime = runtime
        self._merger = merger
        source = runtime.settings.name(topics.HOT_PARTIALS)
        self.table = runtime.table(topics.HOT_SYMBOLS_TABLE, source_topic=source)
        self._absorbed = AbsorbedWork(runtime.observer, source)

    def absorb(self, batch: RecordBatch) -> None:
        """Take partials into memory."""
        self._absorbed.take(batch, self._merger.absorb)

    def is_full(self) -> bool:
        """Whether more symbols wait than a flush should have."""
        return self._merger.waiting_symbols >= MAX_WAITING_SYMBOLS

    async def expire(self, partition: int, keys: Sequence[bytes], before_ns: int) -> int:
        """Remove those of the rows that were last hit before a time; returns how many. Raises DeliveryFailedError."""
        name, now_ms = self._runtime.settings.name, time.time_ns() // NS_PER_MS
        gone = self._merger.expire(partition, keys, before_ns, partial(self.table.read, partition), now_ms=now_ms)
        if gone.rows:
            # The table comes last: what was removed there would not be looked at again after a crash.
            await self._runtime.delivery.deliver(
                [
                    Parcel(name(topics.HOT_SYMBOLS), partition, gone.published),
                    Parcel(name(topics.HOT_PARTIALS), partition, gone.partials),
                ]
            )
            await self.table.write([TableWrite(partition, gone.rows, self.table.position(partition))])
        self._runtime.meter.add(metrics.HOT_EXPIRED, len(gone.rows))
        return len(gone.rows)

    async def flush(self, positions: Mapping[int, int]) -> None:
        """Write everything that waits. Raises DeliveryFailedError."""
        topic = self._runtime.settings.name(topics.HOT_SYMBOLS)
        writes: list[TableWrite] = []
        parcels: list[Parcel] = []
        for partition in self._merger.unwritten():
            with self._absorbed.timed():
                flush = self._merger.flush(partition, partial(self.table.read, partition))
            writes.append(TableWrite(partition, flush.rows, positions[partition]))
            parcels.append(Parcel(topic, partition, flush.published))
            await asyncio.sleep(0)
        # One after the other: a published row that the table might lose could be followed by one with fewer hits.
        await self.table.write(writes)
        await self._runtime.delivery.deliver(parcels)
        published = sum(len(parcel.records) for parcel in parcels)
        meter = self._runtime.meter
        with meter.together():
            self._absorbed.book(StepResult())
            meter.add(metrics.HOT_PUBLISHED, published)
            meter.add(metrics.WRITTEN, published, topics.HOT_SYMBOLS)

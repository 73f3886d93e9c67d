"""The hot-symbol stage around its two pure steps: rows to tables, partials and published rows to topics, the books.

Rules: nothing is finished before everything that follows from it is acknowledged, and a row is in the table before it
is published. A flush gives the event loop a turn after every partition. This module refuses to know how symbols are
counted.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from agents import agent
from agents.contract import DeadLetter, OutRecord, StepResult
from agents.coverage.covering import CoverageFolder
from agents.hot_symbols.counting.symbol_counter import CountFlush, SymbolCounter
from agents.hot_symbols.reading.meaning import PLACE_FIELDS
from agents.hot_symbols.reading.observations import CallReader
from agents.hot_symbols.table.merging import SymbolMerger
from agents.hot_symbols.table.published import published_value
from app.kafka.schemas import call_layouts
from app.processes.process_end import ExitCode
from app.settings import Settings
from app.stages.hot_symbols import endpoint
from app.stages.hot_symbols.coverage_step import Covering, coverage_decoder
from app.stages.hot_symbols.endpoint import Endpoint
from app.stages.hot_symbols.expiry import Expiry
from app.stages.hot_symbols.ownership import Ownership
from app.stages.hot_symbols.pace import MIN_PAUSE_SECONDS, PacedRunner
from app.stages.hot_symbols.watching import WatchTask
from app.streaming.batch import RecordBatch
from app.streaming.dead_letter_limits import DeadLetterGuard, limits_of
from app.streaming.delivery import Parcel
from app.streaming.stage_process import Attach, StageRuntime
from app.streaming.table import StrictTable, TableWrite
from app.telemetry import metrics
from schemas import topics
from schemas.topics import Stage
from schemas.units import NS_PER_MS

MAX_WAITING_KINDS = 10_000
"""Kinds of event, of some ten symbols each: a flush of as many takes a quarter of a second and some 30 MB."""

MAX_WAITING_SYMBOLS = 10_000
"""A flush of as many takes half a second; they wait at some 500 bytes each."""

FETCH_MAX_WAIT_MS = 250
FETCH_MIN_BYTES = 1 << 20
"""Rows follow a second later anyway, so a fetch may wait: four a second instead of fifty at 20,000 events a second, and
a fetch with its way through two threads costs some milliseconds."""

EncodeDeadLetter = Callable[[DeadLetter], OutRecord]


def attacher(
    settings: Settings, *, published_schema_id: int, watched_schema_id: int, encode_dead_letter: EncodeDeadLetter
) -> Attach:
    """A function that attaches all steps to an app; the ids are the registry's for HotSymbol and WatchedSymbol."""
    calls = CallReader(call_layouts(settings, PLACE_FIELDS))
    decode_coverage = coverage_decoder(settings)

    def attach(runtime: StageRuntime) -> None:
        name = settings.name
        consumer = runtime.app.batch_consumer
        consumer.fetch_max_wait_ms, consumer.fetch_min_bytes = FETCH_MAX_WAIT_MS, FETCH_MIN_BYTES
        counting = Counting(
            runtime, SymbolCounter(calls.gather, runtime.partitions), encode_dead_letter, source=name(topics.CALLS)
        )
        merging = Merging(
            runtime, SymbolMerger(partial(published_value, published_schema_id)), source=name(topics.HOT_PARTIALS)
        )
        count = PacedRunner(counting.absorb, counting.flush, counting.is_full)
        merge = PacedRunner(merging.absorb, merging.flush, merging.is_full, apart_seconds=MIN_PAUSE_SECONDS)
        covering = Covering(runtime, CoverageFolder(decode_coverage), source=name(topics.COVERAGE))
        fold = PacedRunner(covering.absorb, covering.flush, lambda: False)
        runtime.intervals.extend((count, merge, fold))
        # One app, so that a worker that owns a partition owns it of every topic and table.
        agent.attach(runtime.app, name(topics.CALLS), "count", count)
        agent.attach(runtime.app, name(topics.HOT_PARTIALS), "merge", merge)
        agent.attach(runtime.app, name(topics.COVERAGE), "fold", fold)
        watching = WatchTask(runtime, hot_symbol_schema_id=published_schema_id, watched_schema_id=watched_schema_id)
        expiry = Expiry(runtime, counting, count, merging, merge, keeps=watching.keeps)
        ownership = Ownership(runtime)
        runtime.tasks.extend((watching.run, expiry.run, ownership.run))
        runtime.routes[endpoint.PATH] = Endpoint(merging.table, ownership, runtime.partitions, watching.answers)

    return attach


class Counting:
    """Step one: calls to partial counts."""

    def __init__(
        self, runtime: StageRuntime, counter: SymbolCounter, encode_dead_letter: EncodeDeadLetter, *, source: str
    ) -> None:
        self._runtime = runtime
        self._counter = counter
        self._encode_dead_letter = encode_dead_letter
        self._source = source
        self.table = _table(runtime, topics.PARTIAL_COUNTS_TABLE, source)
        self._absorbed = _Absorbed()
        self._limits = DeadLetterGuard(limits_of(runtime.settings))

    def absorb(self, batch: RecordBatch) -> None:
        """Take calls into memory."""
        self._runtime.observer.taken(batch.topic, len(batch.records))
        with self._absorbed.timed(len(batch.records)):
            self._counter.absorb(batch.partition, batch.records)

    def is_full(self) -> bool:
        """Whether more kinds of event wait than a flush should have."""
        return self._counter.waiting_kinds >= MAX_WAITING_KINDS

    async def expire(self, partition: int, old: Mapping[bytes, int]) -> int:
        """Remove partials, by key with the raw offset that each includes. Raises DeliveryFailedError.

        Returns how many it removed.
        """
        rows = self._counter.expire(partition, old, partial(self.table.read, partition))
        if rows:
            await self.table.write([TableWrite(partition, rows, self.table.position(partition))])
        return sum(value is None for value in rows.values())

    async def flush(self, positions: Mapping[int, int]) -> None:
        """Write everything that waits. Raises DeliveryFailedError."""
        flushes: list[CountFlush] = []
        for partition in self._counter.unwritten():
            with self._absorbed.timed():
                flushes.append(self._counter.flush(partition, partial(self.table.read, partition)))
            await asyncio.sleep(0)
        letters = [letter for flush in flushes for letter in self._dead_letters(flush)]
        records = sum(flush.counted + flush.repeated for flush in flushes) + len(letters)
        exceeded = self._limits.share_exceeded(records, len(letters))
        if exceeded is not None:
            self._runtime.app.fail(ExitCode.TOO_MANY_REFUSED, f"{self._source}: {exceeded}")
        writes = [TableWrite(flush.partition, flush.rows, positions[flush.partition]) for flush in flushes]
        await self.table.write(writes, [*self._parcels(flushes), *self._letter_parcels(letters)])
        for flush in flushes:
            self._counter.acknowledged(flush)
        self._book(flushes, letters)

    def _parcels(self, flushes: list[CountFlush]) -> list[Parcel]:
        topic = self._runtime.settings.name(topics.HOT_PARTIALS)
        return [Parcel(topic, to, records) for flush in flushes for to, records in flush.partials.items()]

    def _letter_parcels(self, letters: list[DeadLetter]) -> list[Parcel]:
        topic = self._runtime.settings.name(topics.DEAD_LETTERS)
        return [Parcel(topic, letter.partition, [self._encode_dead_letter(letter)]) for letter in letters]

    def _dead_letters(self, flush: CountFlush) -> list[DeadLetter]:
        return [
            DeadLetter(
                topic=self._source,
                partition=flush.partition,
                offset=refused.offset,
                stage=Stage.HOT_SYMBOLS.value,
                reason=refused.reason.value,
                error_class=None,
                raw_partition=flush.partition,
                raw_offset=-1,
                timestamp_ms=refused.timestamp_ms,
            )
            for refused in flush.refused
        ]

    def _book(self, flushes: list[CountFlush], letters: list[DeadLetter]) -> None:
        meter = self._runtime.meter
        with meter.together():
            self._absorbed.book(self._runtime, self._source, StepResult(dead_letters=letters))
            meter.add(metrics.CONVERTED, sum(flush.counted for flush in flushes))
            meter.add(metrics.DUPLICATES, sum(flush.repeated for flush in flushes), Stage.HOT_SYMBOLS.value)
            partials = sum(len(records) for flush in flushes for records in flush.partials.values())
            meter.add(metrics.WRITTEN, partials, topics.HOT_PARTIALS)


class Merging:
    """Step two: partial counts to published rows."""

    def __init__(self, runtime: StageRuntime, merger: SymbolMerger, *, source: str) -> None:
        self._runtime = runtime
        self._merger = merger
        self._source = source
        self.table = _table(runtime, topics.HOT_SYMBOLS_TABLE, source)
        self._absorbed = _Absorbed()

    def absorb(self, batch: RecordBatch) -> None:
        """Take partials into memory."""
        self._runtime.observer.taken(batch.topic, len(batch.records))
        with self._absorbed.timed(len(batch.records)):
            self._merger.absorb(batch.partition, batch.records)

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
            self._absorbed.book(self._runtime, self._source, StepResult())
            meter.add(metrics.HOT_PUBLISHED, published)
            meter.add(metrics.WRITTEN, published, topics.HOT_SYMBOLS)


class _Absorbed:
    """Records taken into memory since the last flush, and the time that they took."""

    def __init__(self) -> None:
        self._records = 0
        self._seconds = 0.0

    def timed(self, records: int = 0) -> "_Stopwatch":
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


def _table(runtime: StageRuntime, name: str, source: str) -> StrictTable:
    return StrictTable(
        runtime.app,
        name=name,
        partitions=runtime.partitions,
        source_topic=source,
        delivery=runtime.delivery,
        admin=runtime.admin,
    )

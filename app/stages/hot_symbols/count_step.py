"""Step one around its pure part: calls to rows of the table `partial-counts` and partials on the internal topic.

A call is finished when everything that follows from it is acknowledged. A flush gives the event loop a turn after every
partition.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial

from agents.contract import DeadLetter, OutRecord, StepResult
from agents.dead_letters import RecordPosition, dead_letter
from agents.hot_symbols.counting.symbol_counter import CountFlush, SymbolCounter
from app.processes.process_end import ExitCode
from app.stages.hot_symbols.absorbed import AbsorbedWork
from app.streaming.batch import RecordBatch
from app.streaming.dead_letter_limits import DeadLetterGuard, limits_of
from app.streaming.delivery import Parcel
from app.streaming.runner import LAST_COMMIT_SECONDS
from app.streaming.stage_process import StageRuntime
from app.streaming.table import TableWrite
from app.telemetry import metrics
from app.telemetry.event_lines import EventLines
from schemas import topics
from schemas.topics import Stage

MAX_WAITING_KINDS = 10_000
"""Kinds of event, of some ten symbols each: a flush of as many takes a quarter of a second and some 30 MB."""

MAX_WAITING_TOUCHES = 20_000
"""Different things that are said about symbols. A kind of event may say hundreds that no other one says. A flush of ten
thousand such kinds takes minutes, and after one the watchdog ends the worker, at each start again."""

EncodeDeadLetter = Callable[[DeadLetter], OutRecord]


class CountStep:
    """Step one: calls to partial counts."""

    def __init__(self, runtime: StageRuntime, counter: SymbolCounter, encode_dead_letter: EncodeDeadLetter) -> None:
        self._runtime = runtime
        self._counter = counter
        self._encode_dead_letter = encode_dead_letter
        self._lines = EventLines("a call is refused")
        self._source = runtime.settings.name(topics.CALLS)
        self.table = runtime.table(topics.PARTIAL_COUNTS_TABLE, source_topic=self._source)
        self._absorbed = AbsorbedWork(runtime.observer, self._source)
        self._limits = DeadLetterGuard(limits_of(runtime.settings))

    def absorb(self, batch: RecordBatch) -> None:
        """Take calls into memory."""
        self._absorbed.take(batch, self._counter.absorb)

    def is_full(self) -> bool:
        """Whether more waits than a flush should have."""
        counter = self._counter
        return counter.waiting_kinds >= MAX_WAITING_KINDS or (
            counter.may_have_touches(MAX_WAITING_TOUCHES) and counter.waiting_touches >= MAX_WAITING_TOUCHES
        )

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
        for letter in letters:
            self._lines.say_refused(letter)
        records = sum(flush.counted + flush.repeated for flush in flushes) + len(letters)
        exceeded = self._limits.share_exceeded(records, len(letters))
        if exceeded is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_COMMIT_SECONDS):
                    await self._runtime.app.batch_consumer.commit_finished()
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
            dead_letter(
                RecordPosition(self._source, flush.partition, one.offset, one.timestamp_ms),
                Stage.HOT_SYMBOLS,
                one.reason.value,
                raw_partition=flush.partition,
            )
            for one in flush.refusals
        ]

    def _book(self, flushes: list[CountFlush], letters: list[DeadLetter]) -> None:
        meter = self._runtime.meter
        with meter.together():
            self._absorbed.book(StepResult(dead_letters=letters))
            meter.add(metrics.CONVERTED, sum(flush.counted for flush in flushes))
            meter.add(metrics.DUPLICATES, sum(flush.repeated for flush in flushes), Stage.HOT_SYMBOLS.value)
            partials = sum(len(records) for flush in flushes for records in flush.partials.values())
            meter.add(metrics.WRITTEN, partials, topics.HOT_PARTIALS)

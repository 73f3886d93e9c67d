"""How often a stage that gathers in memory writes: once a second, and less often where a write is much work.

A flush costs by the rows that it touches, not by the events, so under load a longer pause is cheaper and only adds to
the delay. The pause is at least `MIN_PAUSE_SECONDS` and at most `MAX_PAUSE_SECONDS`. Where enough waits for a write,
it comes at once, unless writes are to be `apart_seconds`: then nothing more is taken until the time has come. So a
symbol is published at most once a second; once more only where a worker gives its partitions up.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from app.processes.process_end import ExitCode, Fail, end_process
from app.streaming.batch import RecordBatch
from app.streaming.delivery import delivered_or_ended
from app.streaming.ledger import HandOut

MAX_PENDING_BATCHES = 256
"""Batches that may be gathered before they are written, whatever the time: a quarter million events."""

MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 5.0

PAUSE_RATIO = 199.0
"""Pause by the processor time of the flush before it: flushes may take half a hundredth of a core. That is a quarter of
a microsecond an event at 20,000 events a second, and 25 at 200, where three kinds of flush are most of the stage."""

Prepare = Callable[[RecordBatch], Awaitable[None]]


class PacedRunner:
    """Gathers batches in memory and writes what follows from them with pauses; finishes them after the write.

    `absorb` takes a batch's records into memory. `flush` delivers everything absorbed and returns when it is
    acknowledged; it is given, by partition, the source position after the last record absorbed (as `TableWrite` wants
    it). Call `flush_now` before partitions are given up, and `run` as a background task. One instance serves one agent.
    """

    def __init__(
        self,
        absorb: Callable[[RecordBatch], None],
        flush: Callable[[Mapping[int, int]], Awaitable[None]],
        is_full: Callable[[], bool] = lambda: False,
        *,
        prepare: Prepare | None = None,
        apart_seconds: float = 0.0,
        min_pause_seconds: float = MIN_PAUSE_SECONDS,
        fail: Fail = end_process,
    ) -> None:
        """`is_full` says that what waits is enough for one flush, whatever the time; tests shorten the pause.

        `prepare` is awaited before a batch is absorbed, for what `absorb` must not wait for on the event loop.
        """
        self._prepare = prepare
        self._absorb = absorb
        self._flush = flush
        self._is_full = is_full
        self._apart_seconds = apart_seconds
        self._min_pause_seconds = min_pause_seconds
        self._fail = fail
        self._pending = list[HandOut]()
        self._positions = dict[int, int]()
        self._flushing = asyncio.Lock()
        self._flushed = -math.inf

    async def __call__(self, batch: RecordBatch) -> None:
        """Absorb one batch; writes before it when enough waits."""
        if self._enough_waits():
            await asyncio.sleep(max(0.0, self._flushed + self._apart_seconds - time.monotonic()))
            if self._enough_waits():  # no other write came in between
                await self.flush_now()
        if self._prepare is not None:
            await self._prepare(batch)
        async with self._flushing:
            if batch.hand_out.start():
                self._absorb(batch)
                self._pending.append(batch.hand_out)
                self._positions[batch.partition] = batch.hand_out.last + 1

    async def run(self) -> None:
        """Flush with pauses, until cancelled."""
        pause_seconds = self._min_pause_seconds
        while True:
            await asyncio.sleep(pause_seconds)
            before = time.thread_time()
            await self.flush_now()
            pause_seconds = next_pause(time.thread_time() - before, self._min_pause_seconds)

    def held(self) -> AbstractAsyncContextManager[None]:
        """Keep batches and flushes out, for other work on the rows that they are written to."""
        return self._flushing

    async def flush_now(self) -> None:
        """Write what is in memory, whatever the time, and finish the batches that it came from."""
        async with self._flushing:
            if self._pending:
                await self._write()
        self._flushed = time.monotonic()

    async def _write(self) -> None:
        if not all(hand_out.current for hand_out in self._pending):
            # A drain flushes before partitions are given up, so this state holds counts that another worker has.
            self._fail(ExitCode.DRAIN_OVERDUE, "a partition was lost with unwritten work in memory")
        with delivered_or_ended(self._fail):
            await self._flush(self._positions)
        for hand_out in self._pending:
            hand_out.finish()
        self._pending.clear()
        self._positions.clear()

    def _enough_waits(self) -> bool:
        return self._is_full() or len(self._pending) >= MAX_PENDING_BATCHES


def next_pause(flush_seconds: float, least_seconds: float = MIN_PAUSE_SECONDS) -> float:
    """Seconds to wait after a flush that took so much processor time."""
    return min(MAX_PAUSE_SECONDS, max(least_seconds, flush_seconds * PAUSE_RATIO))

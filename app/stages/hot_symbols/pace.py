"""How often the hot-symbol stage writes: once a second, and less often where a write is much work.

A flush costs by the symbols that it touches, not by the events, so under load a longer pause is cheaper and only adds
to the delay. The pause is at least `MIN_PAUSE_SECONDS` and at most `MAX_PAUSE_SECONDS`. Where enough waits for a write,
it comes at once, unless writes are to be `apart_seconds`: then nothing more is taken until the time has come. So a
symbol is published at most once a second; once more only where a worker gives its partitions up.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping

from app.processes.process_end import Fail, end_process
from app.streaming.batch import RecordBatch
from app.streaming.runner import MAX_PENDING_BATCHES, IntervalRunner

MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 5.0

PAUSE_RATIO = 99.0
"""Pause by the processor time of the flush before it: flushes may take a hundredth of a core, half a microsecond an
event at 20,000 events a second."""


class PacedRunner(IntervalRunner):
    """An interval runner whose pause follows the work."""

    def __init__(
        self,
        absorb: Callable[[RecordBatch], None],
        flush: Callable[[Mapping[int, int]], Awaitable[None]],
        is_full: Callable[[], bool],
        *,
        apart_seconds: float = 0.0,
        fail: Fail = end_process,
    ) -> None:
        """`is_full` says that what waits is enough for one flush, whatever the time."""
        super().__init__(absorb, flush, interval_seconds=MIN_PAUSE_SECONDS, fail=fail)
        self._is_full = is_full
        self._apart_seconds = apart_seconds
        self._flushed = -math.inf

    async def __call__(self, batch: RecordBatch) -> None:
        """Absorb one batch; writes before it when enough waits."""
        if self._enough_waits():
            await asyncio.sleep(max(0.0, self._flushed + self._apart_seconds - time.monotonic()))
            if self._enough_waits():  # no other write came in between
                await self.flush_now()
        await super().__call__(batch)

    def _enough_waits(self) -> bool:
        return self._is_full() or self.pending_batches >= MAX_PENDING_BATCHES

    async def flush_now(self) -> None:
        """Write what is in memory, whatever the time."""
        await super().flush_now()
        self._flushed = time.monotonic()

    async def run(self) -> None:
        """Flush with pauses, until the process ends."""
        pause = MIN_PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            before = time.thread_time()
            await self.flush_now()
            pause = next_pause(time.thread_time() - before)


def next_pause(flush_seconds: float) -> float:
    """Seconds to wait after a flush that took so much processor time."""
    return min(MAX_PAUSE_SECONDS, max(MIN_PAUSE_SECONDS, flush_seconds * PAUSE_RATIO))

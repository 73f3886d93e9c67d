"""How often the hot-symbol stage writes: once a second, and less often where a write is much work.

A flush costs by the symbols that it touches, not by the events, so under load a longer pause is cheaper and only adds
to the delay. Rules: the pause is at least `MIN_PAUSE_SECONDS`, so a symbol is published at most once a second, and at
most `MAX_PAUSE_SECONDS`. This module refuses to know what is written.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from app.streaming.batch import RecordBatch
from app.streaming.process_end import Fail, end_process
from app.streaming.runner import IntervalRunner

MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 5.0

PAUSE_RATIO = 49.0
"""Pause by the processor time of the flush before it: flushes may take a fiftieth of a core, 1 µs an event at 20,000
events a second."""


class PacedRunner(IntervalRunner):
    """An interval runner whose pause follows the work."""

    def __init__(
        self,
        absorb: Callable[[RecordBatch], None],
        flush: Callable[[Mapping[int, int]], Awaitable[None]],
        is_full: Callable[[], bool],
        *,
        fail: Fail = end_process,
    ) -> None:
        """`is_full` says that what waits is enough for one flush, whatever the time."""
        super().__init__(absorb, flush, interval_seconds=MIN_PAUSE_SECONDS, fail=fail)
        self._is_full = is_full

    async def __call__(self, batch: RecordBatch) -> None:
        """Absorb one batch; writes at once when enough waits."""
        if self._is_full():
            await self.flush_now()
        await super().__call__(batch)

    async def run(self) -> None:
        """Flush for ever, with pauses."""
        pause = MIN_PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            before = time.thread_time()
            await self.flush_now()
            pause = next_pause(time.thread_time() - before)


def next_pause(flush_seconds: float) -> float:
    """Seconds to wait after a flush that took so much processor time."""
    return min(MAX_PAUSE_SECONDS, max(MIN_PAUSE_SECONDS, flush_seconds * PAUSE_RATIO))

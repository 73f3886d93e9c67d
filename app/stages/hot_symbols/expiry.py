"""Removes symbols that have not been hit for long: their partials first and, a day later, their rows.

docs/decisions/two-step-expiry.md says why there are two steps, and what must hold before each of them. Age counts from
the newest hit in the same partition, and never from a time in the future. Tables are searched in a thread, and changed
while no batch and no flush runs.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from confluent_kafka import KafkaException

from agents.hot_symbols.counting import partial
from agents.hot_symbols.table.symbol_row import SymbolRow
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.stages.hot_symbols.count_step import CountStep
from app.stages.hot_symbols.horizon import Horizon
from app.stages.hot_symbols.merge_step import MergeStep
from app.stages.hot_symbols.row_age import DAY_NS, row_age_ns
from app.stages.hot_symbols.table_scan import PartitionGoneError, rows_while
from app.streaming.paced_runner import PacedRunner
from app.streaming.stage_process import StageRuntime
from app.streaming.table import StrictTable
from schemas import topics
from schemas.topics import Stage

SWEEP_SECONDS: Final = 3_600.0
"""Pause between two sweeps: a million rows take some seconds of one core."""

FIRST_SWEEP_SECONDS: Final = 300.0
"""Before the first sweep: a worker that is started again each hour sweeps too, and one that starts has time to."""

READ_SECONDS: Final = 60.0
"""How long a sweep waits for each of the two steps; the next one tries again."""

_AT_ONCE: Final = 1_000
_ROW_MARGIN_NS: Final = DAY_NS

_Item = TypeVar("_Item")


class Expiry:
    """Sweeps the tables of one worker."""

    def __init__(
        self,
        runtime: StageRuntime,
        partials: CountStep,
        count: PacedRunner,
        rows: MergeStep,
        merge: PacedRunner,
        *,
        keeps: Callable[[bytes], bool | None],
    ) -> None:
        """`keeps` says whether a row must stay; None while that is not known."""
        self._runtime = runtime
        self._age_ns = row_age_ns(runtime.settings)
        self._partials, self._count = partials, count
        self._rows, self._merge = rows, merge
        self._keeps = keeps
        self._horizon = Horizon(runtime.settings, runtime.admin, runtime.partitions)

    async def run(self) -> None:
        """Sweep soon after the start and then once an hour; returns at once where rows never expire."""
        pause = FIRST_SWEEP_SECONDS
        while self._age_ns is not None:
            await asyncio.sleep(min(pause, SWEEP_SECONDS))
            pause = SWEEP_SECONDS
            with contextlib.suppress(PartitionGoneError):
                for partition in sorted(self._owned()):
                    await self._sweep_partials(partition, self._age_ns)
                    await self._sweep_rows(partition, self._age_ns + _ROW_MARGIN_NS)

    async def _sweep_partials(self, partition: int, age_ns: int) -> None:
        old = await asyncio.to_thread(self._old_partials, partition, age_ns)
        # Calls first: a worker that died may have sent a partial with calls that are not counted again yet. If the
        # partial's row went now, those calls would begin a new partial, and step two would take it for the sent one.
        if not old or not await self._is_read_to_its_end(topics.CALLS):
            return
        if not await self._is_read_to_its_end(topics.HOT_PARTIALS):
            return
        for chunk in _chunks(old.items()):
            async with self._count.held():
                if partition in self._owned():
                    await self._partials.expire(partition, dict(chunk))

    async def _sweep_rows(self, partition: int, age_ns: int) -> None:
        before_ns, keys = await asyncio.to_thread(self._old_rows, partition, age_ns)
        for chunk in _chunks(keys):
            async with self._merge.held():
                if partition in self._owned():
                    gone = [key for key in chunk if self._keeps(key) is False]
                    await self._rows.expire(partition, gone, before_ns)

    def _owned(self) -> frozenset[int]:
        return self._runtime.app.serving(self._runtime.settings.name(topics.HOT_PARTIALS))

    def _old_partials(self, partition: int, age_ns: int) -> dict[bytes, int]:
        """Partials without a hit for so long, with the raw offset that each includes."""
        _, old = self._old(self._partials.table, partition, age_ns, partial.last_seen_ns)
        return {key: partial.offsets(row)[1] for key, row in old}

    def _old_rows(self, partition: int, age_ns: int) -> tuple[int, list[bytes]]:
        """The time before which a row is too old, and the keys of those that are."""
        before_ns, old = self._old(
            self._rows.table, partition, age_ns, lambda row: SymbolRow.from_bytes(row).last_seen_ns
        )
        return before_ns, [key for key, _ in old]

    def _old(
        self, table: StrictTable, partition: int, age_ns: int, last_seen_ns: Callable[[bytes], int]
    ) -> tuple[int, Iterator[tuple[bytes, bytes]]]:
        """The time that is `age_ns` before the newest hit, and the rows that were last hit before it."""
        times_ns = (last_seen_ns(row) for _, row in rows_while(self._owned, table, partition))
        before_ns = min(max(times_ns, default=0), time.time_ns()) - age_ns
        rows = rows_while(self._owned, table, partition)
        return before_ns, ((key, row) for key, row in rows if last_seen_ns(row) < before_ns)

    async def _is_read_to_its_end(self, topic: str) -> bool:
        """Wait until the stage has committed all that a topic holds now; whether it has, in time."""
        try:
            ends = await asyncio.to_thread(self._horizon.ends_of, topic)
        except KafkaException:
            return False
        deadline = time.monotonic() + READ_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(KafkaUnreachableError, KafkaUnusableError):
                if await asyncio.to_thread(self._horizon.is_done, Stage.HOT_SYMBOLS, topic, ends):
                    return True
            await asyncio.sleep(1.0)
        return False


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    left = iter(items)
    while chunk := list(islice(left, _AT_ONCE)):
        yield chunk

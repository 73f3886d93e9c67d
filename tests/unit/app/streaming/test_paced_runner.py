"""How often a stage that gathers in memory writes."""

import asyncio
import time
from collections.abc import Mapping
from itertools import count, pairwise
from typing import Any

import pytest

from app.streaming.batch import RecordBatch
from app.streaming.ledger import FetchLink, Ledger
from app.streaming.paced_runner import MAX_PAUSE_SECONDS, MIN_PAUSE_SECONDS, PacedRunner, next_pause
from tests.support.fake_kafka import SOURCE, Ended, batch_of_two, fail
from tests.support.hot_world import Stored

TP = (SOURCE, 0)


@pytest.mark.parametrize(
    ("flush_seconds", "pause"), [(0.0, MIN_PAUSE_SECONDS), (0.004, 1.0), (0.01, 1.99), (30.0, MAX_PAUSE_SECONDS)]
)
def test_the_pause_follows_the_work(flush_seconds: float, pause: float) -> None:
    """At most once a second, at most a hundredth of the time while that is in time, and never long after the event."""
    assert next_pause(flush_seconds) == pytest.approx(pause)


def test_a_batch_is_absorbed_after_a_write_when_enough_waits() -> None:
    """What is in memory is bounded by what it is, not only by how long it waits."""
    happened: list[str] = []

    async def flush(positions: Mapping[int, int]) -> None:
        happened.append(f"flush {dict(positions)}")

    run = PacedRunner(
        lambda batch: happened.append(f"absorb {batch.hand_out.first}"), flush, lambda: len(happened) >= 2
    )
    asyncio.run(hand_out_to(run, 3))

    assert happened == ["absorb 0", "absorb 1", "flush {0: 2}", "absorb 2"]


def test_writes_stay_apart_although_enough_waits() -> None:
    """A symbol that is hit all the time is not published more often than its reader wants."""
    flushed: list[float] = []

    async def flush(positions: Mapping[int, int]) -> None:
        del positions
        flushed.append(time.monotonic())

    waiting: list[int] = []
    run = PacedRunner(
        lambda batch: waiting.append(batch.hand_out.first),
        flush,
        lambda: len(waiting) > len(flushed),
        apart_seconds=0.05,
    )
    asyncio.run(hand_out_to(run, 4))

    assert waiting == [0, 1, 2, 3]
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(flushed))
    assert len(flushed) == 3


async def hand_out_to(run: PacedRunner, batches: int) -> None:
    """Batches of one record each."""
    ledger = Ledger()
    ledger.open(("calls", 0), 0, seek=1)
    for number in range(batches):
        hand_out = ledger.admit(("calls", 0), number, number, FetchLink(1, number))
        await run(RecordBatch("calls", 0, [Stored("calls", 0, number, 0, None, b"")], hand_out))  # type: ignore[arg-type]


class _Interval:
    """An interval runner whose flush the test controls."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.open(TP, 0, seek=1)
        self._numbers = count()
        self.absorbed: list[int] = []
        self.flushed: list[tuple[list[int], dict[int, int]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.runner = PacedRunner(self._absorb, self._flush, min_pause_seconds=0.02, fail=fail)

    def batch(self) -> RecordBatch:
        """The next two records of the partition."""
        return batch_of_two(self.ledger, TP, next(self._numbers))

    def _absorb(self, batch: RecordBatch) -> None:
        self.absorbed += [r.offset for r in batch.records]

    async def _flush(self, positions: Any) -> None:
        await self.gate.wait()
        self.flushed.append((self.absorbed, dict(positions)))
        self.absorbed = []


def test_gathered_batches_are_finished_after_the_flush_that_holds_them() -> None:
    """All of them, with the position that the flush includes."""

    async def scenario() -> None:
        interval = _Interval()
        for _ in range(3):
            await interval.runner(interval.batch())
        assert interval.ledger.committable() == {}
        await interval.runner.flush_now()
        assert interval.flushed == [([0, 1, 2, 3, 4, 5], {0: 6})]
        assert interval.ledger.committable() == {TP: 6}

    asyncio.run(scenario())


def test_a_batch_that_comes_during_a_flush_belongs_to_the_next() -> None:
    """It is neither in the flush nor finished by it."""

    async def scenario() -> None:
        interval = _Interval()
        await interval.runner(interval.batch())
        interval.gate.clear()
        flushing = asyncio.create_task(interval.runner.flush_now())
        await asyncio.sleep(0)
        coming = asyncio.create_task(interval.runner(interval.batch()))
        await asyncio.sleep(0.01)
        interval.gate.set()
        await asyncio.gather(flushing, coming)
        assert interval.ledger.committable() == {TP: 2}
        await interval.runner.flush_now()
        assert [offsets for offsets, _ in interval.flushed] == [[0, 1], [2, 3]]

    asyncio.run(scenario())


def test_a_flush_without_batches_writes_nothing() -> None:
    """A quiet topic costs nothing."""

    async def scenario() -> None:
        interval = _Interval()
        await interval.runner.flush_now()
        assert interval.flushed == []

    asyncio.run(scenario())


def test_the_background_task_flushes_at_intervals() -> None:
    """Without any further batch."""

    async def scenario() -> None:
        interval = _Interval()
        running = asyncio.create_task(interval.runner.run())
        await interval.runner(interval.batch())
        async with asyncio.timeout(5):
            while not interval.flushed:  # noqa: ASYNC110 - the test has nothing else to wait for
                await asyncio.sleep(0.005)
        running.cancel()
        assert interval.ledger.committable() == {TP: 2}

    asyncio.run(scenario())


def test_memory_that_holds_a_lost_partitions_work_ends_the_process_unwritten() -> None:
    """Its counts would be written beside those of the partition's next owner."""

    async def scenario() -> None:
        interval = _Interval()
        await interval.runner(interval.batch())
        interval.ledger.close([TP])
        with pytest.raises(Ended):
            await interval.runner.flush_now()
        assert interval.flushed == []

    asyncio.run(scenario())

"""How often a stage that gathers in memory writes."""

import asyncio
import time
from collections.abc import Mapping
from itertools import pairwise

import pytest

from app.streaming.batch import RecordBatch
from app.streaming.ledger import FetchLink, Ledger
from app.streaming.paced_runner import MAX_PAUSE_SECONDS, MIN_PAUSE_SECONDS, PacedRunner, next_pause
from tests.support.hot_world import Stored


@pytest.mark.parametrize(
    ("flush_seconds", "pause"), [(0.0, MIN_PAUSE_SECONDS), (0.01, 1.0), (0.03, 2.97), (30.0, MAX_PAUSE_SECONDS)]
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

"""How often the hot-symbol stage writes."""

import asyncio
from collections.abc import Mapping

import pytest

from app.hot_symbols.pace import MAX_PAUSE_SECONDS, MIN_PAUSE_SECONDS, PacedRunner, next_pause
from app.streaming.batch import RecordBatch
from app.streaming.ledger import Ledger, Link
from tests.support.hot_world import Stored


@pytest.mark.parametrize(
    ("flush_seconds", "pause"), [(0.0, MIN_PAUSE_SECONDS), (0.01, 1.0), (0.06, 2.94), (30.0, MAX_PAUSE_SECONDS)]
)
def test_the_pause_follows_the_work(flush_seconds: float, pause: float) -> None:
    """At most once a second, at most a fiftieth of the time while that is in time, and never long after the event."""
    assert next_pause(flush_seconds) == pytest.approx(pause)


def test_a_batch_is_absorbed_after_a_write_when_enough_waits() -> None:
    """What is in memory is bounded by what it is, not only by how long it waits."""
    happened: list[str] = []

    async def flush(positions: Mapping[int, int]) -> None:
        happened.append(f"flush {dict(positions)}")

    async def scenario() -> None:
        ledger = Ledger()
        ledger.open(("calls", 0), 0, seek=1)
        run = PacedRunner(
            lambda batch: happened.append(f"absorb {batch.hand_out.first}"), flush, lambda: len(happened) >= 2
        )
        for number in range(3):
            hand_out = ledger.admit(("calls", 0), number, number, Link(1, number))
            await run(RecordBatch("calls", 0, [Stored("calls", 0, number, 0, None, b"")], hand_out))  # type: ignore[arg-type]

    asyncio.run(scenario())

    assert happened == ["absorb 0", "absorb 1", "flush {0: 2}", "absorb 2"]

"""app/streaming/fetch_pace.py and fetched.keep_pace: when a stage asks Kafka for more."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from app.kafka import fetched
from app.streaming.fetch_pace import EMPTY_FETCHES, RESTING_WAIT_MS, WAIT_MS, FetchPace, FetchPauses

PAUSES = FetchPauses(usual_ms=90, burst_ms=15, burst_bytes=1_000, full_bytes=50_000)


def test_after_a_fetch_of_some_records_the_next_one_waits_until_more_have_gathered() -> None:
    """The pause counts from the answer on, so work in between makes it shorter."""
    pace = FetchPace(PAUSES)
    pace.note(2_000, 7.0)
    assert pace.pause_seconds(7.0) == pytest.approx(0.090)
    assert pace.pause_seconds(7.05) == pytest.approx(0.040)
    assert pace.pause_seconds(8.0) == 0


def test_after_a_small_fetch_the_pause_is_that_for_bursts() -> None:
    """The first records of a burst are followed by the others soon."""
    pace = FetchPace(PAUSES)
    pace.note(999, 7.0)
    assert pace.pause_seconds(7.0) == pytest.approx(0.015)


@pytest.mark.parametrize("fetched_bytes", [0, 50_000])
def test_after_an_empty_or_a_full_fetch_there_is_no_pause(fetched_bytes: int) -> None:
    """Where nothing came the broker has waited already, and where much came there is more."""
    pace = FetchPace(PAUSES)
    pace.note(fetched_bytes, 7.0)
    assert pace.pause_seconds(7.0) == 0


def test_a_broker_holds_fetches_longer_once_nothing_has_come_for_a_while() -> None:
    """One record makes the wait short again."""
    pace = FetchPace(PAUSES)
    for _ in range(EMPTY_FETCHES):
        assert pace.wait_ms == WAIT_MS
        pace.note(0, 7.0)
    assert pace.wait_ms == RESTING_WAIT_MS
    pace.note(1, 7.0)
    assert pace.wait_ms == WAIT_MS


class _Fetching:
    """Stands for aiokafka's fetcher, where a fetch finds `size` bytes in the partition."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._records: dict[TopicPartition, Any] = {}

    def fetch(self, _assignment: Any, _node: int, request: Any) -> Any:
        async def answer() -> bool:
            records = SimpleNamespace(stored_bytes=self.size)
            self._records = {TopicPartition("raw", 0): SimpleNamespace(_partition_records=records)} if self.size else {}
            assert request._max_wait_ms in {WAIT_MS, RESTING_WAIT_MS}
            return self.size > 0

        return answer()


async def _seconds_of_fetches(monkeypatch: pytest.MonkeyPatch, size: int, assignments: list[object]) -> list[float]:
    fetching, waited = _Fetching(size), [0.0]
    monkeypatch.setattr(fetched, "FETCH", lambda own, *rest: own.fetch(*rest))
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited[-1] = seconds
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    fetched.keep_pace(SimpleNamespace(_fetcher=fetching), lambda: FetchPace(PAUSES))
    fetch: Any = fetching
    for assignment in assignments:
        waited.append(0.0)
        request = SimpleNamespace(topics=[("raw", [(0, 5, 1 << 20)])], _max_wait_ms=-1)
        assert await fetch._proc_fetch_request(assignment, 1, request) is (size > 0)
    return waited[1:]


def test_a_consumer_that_keeps_pace_pauses_by_what_the_last_fetch_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is that of the records which aiokafka has just put aside."""
    same = object()
    waited = asyncio.run(_seconds_of_fetches(monkeypatch, 2_000, [same, same]))
    assert waited[0] == 0
    assert 0.05 < waited[1] <= 0.090


def test_a_new_assignment_begins_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came of other partitions says nothing about these."""
    assert asyncio.run(_seconds_of_fetches(monkeypatch, 2_000, [object(), object()])) == [0, 0]


def test_a_fetch_that_is_cancelled_in_its_pause_ends_as_aiokafkas_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fetch that is done is asked whether it brought something; a cancellation would end its loop."""
    fetching, same = _Fetching(2_000), object()
    monkeypatch.setattr(fetched, "FETCH", lambda own, *rest: own.fetch(*rest))
    fetched.keep_pace(SimpleNamespace(_fetcher=fetching), lambda: FetchPace(PAUSES))

    async def cancelled() -> bool:
        fetch: Any = fetching
        request = SimpleNamespace(topics=[("raw", [(0, 5, 1 << 20)])], _max_wait_ms=-1)
        await fetch._proc_fetch_request(same, 1, request)
        second = asyncio.ensure_future(fetch._proc_fetch_request(same, 1, request))
        await asyncio.sleep(0)
        second.cancel()
        return bool(await second)

    assert asyncio.run(cancelled()) is False

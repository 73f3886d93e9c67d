"""The ways in which Faust commits past unfinished work, each shown on Faust's own consumer and closed in ours.

Where a test says what stock Faust does and that changes, a hole was repaired upstream: good news, and a reason to look
again at what we override.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from app.processes.process_end import ExitCode
from app.settings import Settings
from app.streaming import consumer_thread
from app.streaming.ledger import FetchLink, HandOutRefusal
from app.streaming.stage_app import StageApp, make_app
from tests.support.fake_kafka import PARTITION, Ended, FakeKafka, Harness, fail, harness, log_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BOTH = pytest.mark.parametrize("strict", [False, True], ids=["stock", "ours"])


def run(scenario: Any) -> None:
    """Run a coroutine to its end."""
    asyncio.run(scenario)


async def _raise_in_iteration(running: Harness, *, take: bool) -> None:
    """Iterate as an agent does and fail on the first event or list of events."""
    events: Any = running.stream.take(2, within=1) if take else running.stream.events()
    with contextlib.suppress(RuntimeError):
        async for _ in events:
            raise RuntimeError
    await events.aclose()


@BOTH
def test_an_event_whose_agent_raised_is_not_committed(strict: bool) -> None:
    """Stock Faust acknowledges the failing event when the generator is closed, and commits past it."""

    async def scenario() -> None:
        async with harness(FakeKafka(logs=log_of(*range(8))), strict=strict) as running:
            await asyncio.wait_for(_raise_in_iteration(running, take=False), 5)
            assert await running.commit() == ({} if strict else {PARTITION: 1})

    run(scenario())


@BOTH
def test_events_of_a_take_whose_agent_raised_are_not_committed(strict: bool) -> None:
    """Stock Faust acknowledges all events of a failing `take`."""

    async def scenario() -> None:
        async with harness(FakeKafka(logs=log_of(*range(8)), fetch_size=1), strict=strict) as running:
            await asyncio.wait_for(_raise_in_iteration(running, take=True), 5)
            assert await running.commit() == ({} if strict else {PARTITION: 2})

    run(scenario())


@BOTH
def test_work_after_an_unfinished_event_is_not_committed_at_offset_zero(strict: bool) -> None:
    """Stock Faust does not look for a hole before the first acknowledged offset where nothing is committed yet."""

    async def scenario() -> None:
        async with harness(FakeKafka(logs=log_of(*range(4)), fetch_size=1), strict=strict) as running:
            first, second, third = await running.events(3)
            for event in (second, third):
                event.value.hand_out.finish() if strict else event.message.ack(running.consumer)
            assert await running.commit() == ({} if strict else {PARTITION: 3})
            assert not first.message.acked

    run(scenario())


@BOTH
def test_work_after_an_unfinished_event_is_not_committed_behind_a_committed_offset(strict: bool) -> None:
    """Stock Faust is off by one: with 10 committed and 10 in progress, it commits past finished 11 to 13."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(10, 18)), committed_offsets={PARTITION: 10}, fetch_size=1)
        async with harness(kafka, strict=strict) as running:
            events = await running.events(4)
            for event in events[1:]:
                event.value.hand_out.finish() if strict else event.message.ack(running.consumer)
            assert await running.commit() == {PARTITION: 10 if strict else 14}
            if strict:
                events[0].value.hand_out.finish()
                assert await running.commit() == {PARTITION: 14}

    run(scenario())


@BOTH
def test_an_event_left_unacknowledged_by_a_crashed_agent_is_never_jumped(strict: bool) -> None:
    """Stock Faust's next actor goes on, and its acknowledgements commit past the event of the crashed one."""

    async def scenario() -> None:
        async with harness(FakeKafka(logs=log_of(*range(6)), fetch_size=1), strict=strict) as running:
            events = await running.events(5)
            del events[1]  # the crashed actor's event, and with it the last reference
            for event in events:
                event.value.hand_out.finish() if strict else event.message.ack(running.consumer)
            await running.commit()
            assert await running.commit() == {PARTITION: 1 if strict else 5}

    run(scenario())


@BOTH
def test_an_event_that_cannot_be_decoded_is_not_committed(strict: bool) -> None:
    """Stock Faust acknowledges what it cannot decode; our schema has nothing that could fail."""

    async def scenario() -> None:
        running = Harness(FakeKafka(logs=log_of(0, 1), fetch_size=1), strict=strict)
        broken = running.topic.derive(value_serializer="json", value_type=int)
        running.stream = running.app.stream(broken)
        await running.start()
        try:
            await asyncio.sleep(0.05)
            assert await running.commit() == ({} if strict else {PARTITION: 2})
            if strict:
                (event, _) = await running.events(2)
                assert event.value.records[0].value == b"v"
        finally:
            await running.stop()

    run(scenario())


@BOTH
def test_a_delivered_record_after_a_gap_is_not_part_of_the_gap(strict: bool) -> None:
    """Stock Faust marks the record after a compaction gap as done, so a later one commits past it."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(5, 10, 11, 12), committed_offsets={PARTITION: 5}, fetch_size=1)
        async with harness(kafka, strict=strict) as running:
            five, ten, eleven, twelve = await running.events(4)
            for event in (five, eleven, twelve):
                event.value.hand_out.finish() if strict else event.message.ack(running.consumer)
            await running.commit()
            assert await running.commit() == {PARTITION: 6 if strict else 13}
            assert not ten.message.acked

    run(scenario())


@BOTH
def test_records_fetched_while_the_flow_is_suspended_come_again_before_the_first_commit(strict: bool) -> None:
    """Stock Faust drops them and relies on a seek that aiokafka does not make where nothing was committed."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), fetch_size=4)
        async with harness(kafka, strict=strict) as running:
            running.suspend()
            running.kafka.positions[PARTITION] = 4  # the fetch of 0..3 was answered just then
            await running.consumer.perform_seek()
            running.resume()
            (first, *_) = await running.events(1)
            assert first.message.offset == (0 if strict else 4)

    run(scenario())


@BOTH
def test_a_refused_commit_is_tried_again_without_new_work(strict: bool) -> None:
    """Stock Faust takes a commit that a rebalance refused for done, and waits for new traffic."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(0, 1), fetch_size=2, refuse_commits=1)
        async with harness(kafka, strict=strict) as running:
            for event in await running.events(1 if strict else 2):
                event.value.hand_out.finish() if strict else event.message.ack(running.consumer)
            assert await running.commit() == {}
            assert await running.commit() == ({PARTITION: 2} if strict else {})

    run(scenario())


def test_a_batch_lost_between_fetch_and_agent_is_fetched_again_and_work_in_progress_keeps_counting() -> None:
    """The chain of fetches shows the loss; the consumer seeks back to where the ledger is."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(12)), fetch_size=4)
        async with harness(kafka, strict=True) as running:
            (first,) = await running.events(1)
            fetched = await running.consumer._getmany({PARTITION}, 0.1)  # somebody fetches, and drops it
            assert fetched
            seen = [first, *await running.events(2)]
            offsets = [event.message.offset for event in seen]
            assert offsets == sorted(set(offsets)) == [0, 4, 8]
            for event in seen:
                event.value.hand_out.finish()
            assert await running.commit() == {PARTITION: 12}

    run(scenario())


def test_a_batch_fetched_before_a_seek_is_not_handed_out_after_it() -> None:
    """What was fetched for an older position is stale, whatever its offsets."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), fetch_size=4)
        running = Harness(kafka, strict=True)
        await running.consumer.perform_seek()
        stale = (await running.consumer._getmany(None, 0.1))[PARTITION][0]
        await running.consumer.perform_seek()
        assert await running.consumer._hand_out(PARTITION, stale) is None
        fresh = (await running.consumer._getmany(None, 0.1))[PARTITION][0]
        assert (await running.consumer._hand_out(PARTITION, fresh)).offset == 0

    run(scenario())


def test_work_that_ends_after_its_partition_was_revoked_commits_nothing() -> None:
    """A late finish must not count for the next owner's, or our own next, time with the partition."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), fetch_size=4)
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            running.suspend()
            running.consumer.ledger.close({PARTITION})
            await running.consumer.perform_seek()
            event.value.hand_out.finish()
            assert not event.value.hand_out.current
            assert not event.value.hand_out.start()
            assert await running.commit() == {}

    run(scenario())


def test_a_group_whose_offsets_lie_beyond_the_topic_ends_the_process() -> None:
    """A topic that was deleted and created again is reported, and not read from wherever it now begins."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(3)), committed_offsets={PARTITION: 100})
        running = Harness(kafka, strict=True)
        running.consumer.sleep = _no_sleep
        with pytest.raises(Ended) as ended:
            await running.consumer.perform_seek()
        assert ended.value.code is ExitCode.WRONG_STATE
        assert "source[0]" in ended.value.reason

    run(scenario())


def test_a_topic_made_anew_with_as_many_records_ends_the_process() -> None:
    """The committed offset is there, and belongs to other records; only the topic's id tells."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), fetch_size=4)
        running = Harness(kafka, strict=True)
        running.consumer.topic_ids = lambda names: dict.fromkeys(names, "first")
        await running.consumer.perform_seek()
        kafka.committed_offsets[PARTITION] = 4
        kafka.notes[PARTITION] = running.consumer.ledger.account(PARTITION).note()
        await running.consumer.perform_seek()
        running.consumer.topic_ids = lambda _names: {}
        await running.consumer.perform_seek()  # the broker did not answer: no reason to end
        running.consumer.topic_ids = lambda names: dict.fromkeys(names, "second")
        with pytest.raises(Ended) as ended:
            await running.consumer.perform_seek()
        assert ended.value.code is ExitCode.WRONG_STATE
        assert "source was deleted and created again" in ended.value.reason

    run(scenario())


async def _fetch(running: Harness, times: int) -> None:
    for _ in range(times):
        await running.consumer._getmany(None, 0.1)


def test_a_topic_that_ends_before_what_was_read_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that was created again counts its offsets from zero; what is read of it would be counted twice."""
    monkeypatch.setattr(consumer_thread, "POSITION_RETRY_SECONDS", 0.0)

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), fetch_size=4, resets_nothing=True)
        running = Harness(kafka, strict=True)
        await running.consumer.perform_seek()
        running.resume()
        first = (await running.consumer._getmany(None, 0.1))[PARTITION][0]
        assert await running.consumer._hand_out(PARTITION, first) is not None
        kafka.logs = log_of(0, 1)
        with pytest.raises(Ended) as ended:
            await _fetch(running, consumer_thread.POSITION_RETRIES + 1)
        assert ended.value.code is ExitCode.WRONG_STATE

    run(scenario())


async def _no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def stage_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageApp:
    """App of a stage whose end can be caught."""
    monkeypatch.setattr(StageApp, "fail", staticmethod(fail))
    return make_app(Settings(data_dir=tmp_path), "callstream-canonicalize", index=3, partitions=4)


def test_the_app_starts_no_producer_and_no_web_server(stage_app: StageApp) -> None:
    """Faust's producers hide failed batches from the commit, so there is none that could be used by mistake."""
    services = {type(service).__name__ for service in stage_app.boot_strategy.server()}
    assert not services & {"Producer", "ThreadedProducer", "Web"}
    assert not stage_app.conf.producer_threaded
    assert not stage_app.conf.web_enabled
    assert not stage_app.conf.web_tables_enabled
    assert not stage_app.conf.web_router_enabled


def test_links_of_two_partitions_do_not_mix() -> None:
    """Each partition has a chain of its own."""

    async def scenario() -> None:
        other = TP("source", 1)
        kafka = FakeKafka(logs=log_of(*range(4)) | log_of(*range(4), tp=other), fetch_size=2)
        running = Harness(kafka, strict=True)
        await running.consumer.perform_seek()
        fetched = await running.consumer._getmany(None, 0.1)
        assert fetched[PARTITION][0].link.number == fetched[other][0].link.number == 0
        assert fetched[PARTITION][0].link.seek != fetched[other][0].link.seek
        ledger = running.consumer.ledger
        assert ledger.admit(other, 0, 1, FetchLink(fetched[PARTITION][0].link.seek, 0)) is HandOutRefusal.STALE

    run(scenario())

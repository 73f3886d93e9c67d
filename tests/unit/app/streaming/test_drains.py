"""A consumer that gives up its partitions finishes and commits begun work first, within a limit."""

import asyncio
from collections.abc import Mapping

import pytest

from app.processes.process_end import ExitCode
from app.streaming.batch import RecordBatch
from app.streaming.paced_runner import PacedRunner
from tests.support.fake_kafka import PARTITION, Ended, FakeKafka, fail, harness, log_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_faust_waits_for_ever_for_an_event_that_nobody_finishes() -> None:
    """Stock Faust: neither time nor cancellation ends `wait_empty`."""

    async def scenario() -> None:
        async with harness(FakeKafka(logs=log_of(0)), strict=False) as running:
            events = await running.events(1)
            waiting = asyncio.create_task(running.consumer.wait_empty())
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.sleep(0.05)
            assert not waiting.done()
            events[0].message.ack(running.consumer)
            await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())


def test_a_drain_ends_the_process_when_work_does_not_end() -> None:
    """Past its deadline, waiting for work in progress ends the process with a code of its own."""

    async def scenario() -> None:
        async with harness(FakeKafka(logs=log_of(0)), strict=True) as running:
            running.consumer.drain_limit_seconds = 0.05
            (event,) = await running.events(1)
            assert event.value.hand_out.start()
            with pytest.raises(Ended) as ended:
                await running.consumer.wait_empty()
            assert ended.value.code is ExitCode.DRAIN_OVERDUE

    asyncio.run(scenario())


def test_a_drain_ends_the_process_when_the_last_commit_hangs() -> None:
    """A broker that does not answer a commit cannot hold a shutdown."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(0), commits_block=True)
        async with harness(kafka, strict=True) as running:
            running.consumer.drain_limit_seconds = 0.05
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            with pytest.raises(Ended) as ended:
                await running.consumer.wait_empty()
            assert ended.value.code is ExitCode.DRAIN_OVERDUE

    asyncio.run(scenario())


def test_a_drain_waits_for_begun_work_only_and_commits_it() -> None:
    """Batches that no agent has taken yet do not hold a rebalance; begun ones are finished and committed in it."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), fetch_size=4)
        async with harness(kafka, strict=True) as running:
            begun, _waiting = await running.events(2)
            assert begun.value.hand_out.start()
            asyncio.get_running_loop().call_later(0.03, begun.value.hand_out.finish)
            await asyncio.wait_for(running.consumer.wait_empty(), 1)
            assert kafka.committed_offsets == {PARTITION: 4}

    asyncio.run(scenario())


def test_a_drain_first_writes_what_is_only_in_memory() -> None:
    """Callbacks run before the wait, so that work gathered for an interval ends now."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(0), fetch_size=1)
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            assert event.value.hand_out.start()

            async def flush() -> None:
                event.value.hand_out.finish()

            running.consumer.drain_callbacks.append(flush)
            await asyncio.wait_for(running.consumer.wait_empty(), 1)
            assert kafka.committed_offsets == {PARTITION: 1}

    asyncio.run(scenario())


def test_a_batch_in_an_agents_hand_is_not_taken_into_memory_once_a_drain_has_begun() -> None:
    """It waits for the registry, say. Taken later, it would be unwritten when its partition is given up."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), fetch_size=4)
        async with harness(kafka, strict=True) as running:
            first, second = await running.events(2)
            answered, absorbed = asyncio.Event(), list[int]()

            async def prepare(batch: RecordBatch) -> None:
                if batch.hand_out.first:
                    await answered.wait()

            async def flush(_positions: Mapping[int, int]) -> None:
                await asyncio.sleep(0)

            runner = PacedRunner(lambda one: absorbed.append(one.hand_out.first), flush, prepare=prepare, fail=fail)
            running.consumer.drain_callbacks.append(runner.flush_now)
            await runner(first.value)
            late = asyncio.create_task(runner(second.value))
            await asyncio.wait_for(running.consumer.wait_empty(), 1)
            answered.set()
            await late
            running.consumer.ledger.close_all()
            await runner.flush_now()
            assert absorbed == [0]
            assert kafka.committed_offsets == {PARTITION: 4}

    asyncio.run(scenario())

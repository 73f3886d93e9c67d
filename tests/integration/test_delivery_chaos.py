"""Nothing is lost whatever happens to workers and broker: real processes, real signals, a real broker."""

import random
import signal
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.breakable_broker import BreakableBroker
from tests.support.delivery_run import DeliveryRun, assert_nothing_lost, delivery_run
from tests.support.run_size import run_size

pytestmark = [pytest.mark.integration, pytest.mark.proof]

RATE_PER_S = min(5_000, 1_500 * run_size())
"""So the loads of `make prove` are three times as dense; what happens to them is the same in both."""

MOST_SECONDS = 240
"""Of a load, which ends when all has happened to it that is to happen, however slow the machine is."""

BEGIN_SECONDS = 60
"""For workers to start on a busy machine."""

SIGTERM_SECONDS = 10
"""A supervisor's patience; a drain that takes longer would end in a SIGKILL."""

STALL_SECONDS = 45
"""No new record for this long means that the pipe has stopped for good."""


def _delivery_run(
    broker: BreakableBroker, prefix: str, folder: Path, *, workers: int
) -> AbstractContextManager[DeliveryRun]:
    """A load and its workers."""
    total = MOST_SECONDS * RATE_PER_S
    return delivery_run(broker.bootstrap_servers, prefix, folder, total=total, rate=RATE_PER_S, workers=workers)


def test_no_event_is_lost_when_workers_are_killed_and_stopped_under_load(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Five SIGKILLs and two SIGTERMs at random times: all events arrive, in order after deduplication."""
    chance = random.Random(20_261)
    signals = [signal.SIGKILL] * 5 + [signal.SIGTERM] * 2
    chance.shuffle(signals)
    with _delivery_run(embedded, topic_prefix, tmp_path, workers=2) as run:
        run.read_until_begun(BEGIN_SECONDS)
        for number in signals:
            victim = chance.choice(run.workers)
            while number == signal.SIGTERM and not victim.serves:  # until then the interpreter ends without us
                run.reader.read(0.2)
            assert not run.load.done, "the load ended before the last signal"
            code = victim.end(number, within_seconds=SIGTERM_SECONDS)
            assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0), victim.log_tail()
            # Now and then the group has to notice that the member is gone, instead of getting it back.
            run.reader.read(chance.choice([0.0, 1.0, 8.0]))
            victim.start()
            run.reader.read(chance.uniform(1, 6))
        run.end_load()
        run.read_until_complete(STALL_SECONDS)
        assert_nothing_lost(run)
        assert run.reader.repeated > 0, "no kill hit work in progress: the test has proved nothing"


def test_no_event_is_lost_when_the_broker_is_killed_and_paused_under_load(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """A broker that is killed and started again, and one that is silent for longer than a session, lose nothing."""
    with _delivery_run(embedded, topic_prefix, tmp_path, workers=2) as run:
        run.read_until_begun(BEGIN_SECONDS)
        embedded.kill_kafka()
        time.sleep(3)
        embedded.restart_kafka()
        run.reader.read(5)
        embedded.pause_kafka()
        time.sleep(9)
        embedded.resume_kafka()
        run.reader.read(3)
        run.end_load()
        run.read_until_complete(STALL_SECONDS)
        assert_nothing_lost(run)


def test_no_event_is_lost_when_workers_join_and_leave_under_load(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Every rebalance hands the partitions over between two batches, and a frozen worker's late work does no harm."""
    with _delivery_run(embedded, topic_prefix, tmp_path, workers=1) as run:
        run.read_until_begun(BEGIN_SECONDS)
        second = run.add_worker()
        run.reader.read(6)
        third = run.add_worker()
        run.reader.read(6)
        second.signal(signal.SIGSTOP)
        run.reader.read(9)
        second.signal(signal.SIGCONT)
        run.reader.read(3)
        assert third.end(signal.SIGTERM, within_seconds=SIGTERM_SECONDS) == 0, third.log_tail()
        run.end_load()
        run.read_until_complete(STALL_SECONDS)
        assert_nothing_lost(run)

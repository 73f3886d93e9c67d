"""Nothing is lost whatever happens to workers and broker: real processes, real signals, a real broker."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.breakable_broker import BreakableBroker
from tests.support.delivery_run import assert_nothing_lost, delivery_run

pytestmark = pytest.mark.integration

SIGTERM_SECONDS = 10
"""A supervisor's patience; a drain that takes longer would end in a SIGKILL."""

STALL_SECONDS = 45
"""No new record for this long means that the pipe has stopped for good."""


def test_no_event_is_lost_when_workers_are_killed_and_stopped_under_load(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Five SIGKILLs and two SIGTERMs at random times: all 300,000 events arrive, in order after deduplication."""
    chance = random.Random(20_261)
    signals = [signal.SIGKILL] * 5 + [signal.SIGTERM] * 2
    chance.shuffle(signals)
    with delivery_run(embedded.bootstrap_servers, topic_prefix, tmp_path, total=300_000, rate=5_000, workers=2) as run:
        run.reader.read(8)
        assert run.reader.distinct > 0, run.logs()
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
        run.read_until_complete(STALL_SECONDS)
        assert_nothing_lost(run)
        assert run.reader.repeated > 0, "no kill hit work in progress: the test has proved nothing"


def test_no_event_is_lost_when_the_broker_is_killed_and_paused_under_load(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """A broker that is killed and started again, and one that is silent for longer than a session, lose nothing."""
    with delivery_run(embedded.bootstrap_servers, topic_prefix, tmp_path, total=80_000, rate=3_000, workers=2) as run:
        run.reader.read(6)
        embedded.kill_kafka()
        time.sleep(3)
        embedded.restart_kafka()
        run.reader.read(5)
        embedded.pause_kafka()
        time.sleep(9)
        embedded.resume_kafka()
        run.read_until_complete(STALL_SECONDS)
        assert_nothing_lost(run)


def test_no_event_is_lost_when_workers_join_and_leave_under_load(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Every rebalance hands the partitions over between two batches, and a frozen worker's late work does no harm."""
    with delivery_run(embedded.bootstrap_servers, topic_prefix, tmp_path, total=100_000, rate=3_000, workers=1) as run:
        run.reader.read(5)
        second = run.add_worker()
        run.reader.read(6)
        third = run.add_worker()
        run.reader.read(6)
        second.signal(signal.SIGSTOP)
        run.reader.read(9)
        second.signal(signal.SIGCONT)
        run.reader.read(3)
        assert third.end(signal.SIGTERM, within_seconds=SIGTERM_SECONDS) == 0, third.log_tail()
        run.read_until_complete(STALL_SECONDS)
        assert_nothing_lost(run)

"""A worker as its operator sees it: health, metrics, membership, and an end when it makes no progress."""

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.embedded.broker import EmbeddedBroker
from app.processes.process_end import ExitCode
from tests.support.delivery_run import Worker, assert_nothing_lost, delivery_run

pytestmark = pytest.mark.integration

LAG = 'runtime_consumer_lag_records{partition="0",topic="tetragon.raw"}'


def _await(condition: Callable[[], bool], seconds: float, worker: Worker) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, worker.log_tail()
        time.sleep(0.1)


def _lag(worker: Worker) -> float | None:
    """Lag of partition 0, or None while the worker does not show it yet."""
    if "serving" not in worker.log_tail() or LAG not in worker.get("/metrics")[1]:
        return None
    return worker.metric(LAG)


def _has_partitions(worker: Worker, count: int) -> bool:
    """Whether it shows the lag of so many partitions."""
    if "serving" not in worker.log_tail():
        return False
    return worker.get("/metrics")[1].count("runtime_consumer_lag_records{") == count


def test_a_worker_says_when_it_does_its_job_and_what_its_lag_is(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Ready with its partitions assigned and lag known; the books balance when all is done."""
    with delivery_run(embedded.bootstrap_servers, topic_prefix, tmp_path, total=8_000, rate=4_000, workers=1) as run:
        (worker,) = run.workers
        _await(lambda: "serving" in worker.log_tail(), 60, worker)
        _await(lambda: worker.get("/readyz")[0] == 200, 30, worker)
        assert worker.get("/healthz")[0] == 200
        run.read_until_complete(30)
        assert_nothing_lost(run)
        _await(lambda: _lag(worker) == 0, 15, worker)
        assert worker.metric('runtime_records_consumed_total{topic="tetragon.raw"}') == run.total
        assert worker.metric('runtime_records_written_total{topic="runtime.canonical"}') == run.total
        assert worker.metric("runtime_events_converted_total") == run.total
        assert worker.metric("runtime_records_in_flight") == 0
        assert worker.metric("runtime_commits_total") > 0


def test_a_worker_that_makes_no_progress_shows_its_lag_and_then_ends(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The lag comes from the broker's own ends, so it is true while the stage is stuck."""
    with delivery_run(
        embedded.bootstrap_servers, topic_prefix, tmp_path, total=4_000, rate=4_000, workers=1, mode="stuck"
    ) as run:
        (worker,) = run.workers
        _await(lambda: _lag(worker) == 1_000, 20, worker)
        _await(lambda: worker.exit_code is not None, 20, worker)
        assert worker.exit_code == ExitCode.NO_PROGRESS
        assert "has committed nothing" in worker.log_tail()


def test_a_quick_restart_moves_no_partition(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    """A worker that comes back within its session gets its partitions back, and the other does not notice."""
    with delivery_run(
        embedded.bootstrap_servers, topic_prefix, tmp_path, total=60_000, rate=3_000, workers=2, mode="real"
    ) as run:
        stays, restarts = run.workers
        for worker in run.workers:
            _await(partial(_has_partitions, worker, 2), 60, worker)
        before = stays.metric("runtime_rebalances_total")
        restarts.end(signal.SIGKILL, within_seconds=5)
        restarts.start()
        run.read_until_complete(30)
        assert_nothing_lost(run)
        assert stays.metric("runtime_rebalances_total") == before


def test_a_killed_worker_is_replaced_within_fifteen_seconds(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """With the group times of production, the surviving worker reads all partitions by then."""
    with delivery_run(
        embedded.bootstrap_servers, topic_prefix, tmp_path, total=120_000, rate=2_000, workers=2, mode="real"
    ) as run:
        survivor, victim = run.workers
        run.reader.read(10)
        assert all(account.received for account in run.reader.accounts), run.logs()
        victim.end(signal.SIGKILL, within_seconds=5)
        highest = [account.highest for account in run.reader.accounts]
        run.reader.read(15)
        assert all(account.highest > old for account, old in zip(run.reader.accounts, highest, strict=True)), (
            survivor.log_tail()
        )

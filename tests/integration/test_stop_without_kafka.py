"""A worker that is told to stop while Kafka is away: it says so, and what it could not finish is done again."""

import signal
from pathlib import Path

import pytest

from app.processes.process_end import ExitCode
from tests.support.breakable_broker import BreakableBroker
from tests.support.pipeline_run import pipeline_run

pytestmark = pytest.mark.integration


def test_a_worker_that_stops_while_kafka_is_away_names_kafka_and_no_fault_of_its_own(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The last line has the code for servers that are away, and nobody reads a traceback."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        run.start("privacy-0")
        run.start("hot-symbols-0")
        run.await_ready()
        embedded.kill_kafka()
        try:
            stopping = {name: run.processes[name] for name in sorted(run.wanted)}
            run.wanted.clear()
            for worker in stopping.values():
                worker.signal(signal.SIGTERM)
            codes = {name: worker.wait(within_seconds=60) for name, worker in stopping.items()}
        finally:
            embedded.restart_kafka()
        for name, code in codes.items():
            log = (tmp_path / f"{name}.log").read_text()
            assert code in {0, ExitCode.UNAVAILABLE}, log
            assert "Traceback" not in log
            assert "ended on an unexpected error" not in log

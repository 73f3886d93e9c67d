"""Everything that breaks, under load: no raw event is lost, and each loss before the topic is a gap.

In `make prove` all faults in five and a half minutes; in `make test` one of each kind, by the seed of the run.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.coverage.node_window import Trust
from app.__main__ import cli
from app.commands.coverage import EXIT_CODES
from app.operators.times import time_text
from app.processes.process_end import ExitCode
from app.simulator.workload.fleet import cluster_fields
from tests.support.breakable_broker import BreakableBroker
from tests.support.fault_proof import call_account, gaps_of, loss_account, raw_account
from tests.support.fault_run import DRAIN_SECONDS, FAILOVER_SECONDS, LIFE_SECONDS, FaultRun, LiveAgents
from tests.support.live_agent import NODE
from tests.support.pipeline_run import INGEST, PipelineRun, pipeline_run
from tests.support.run_size import run_size

pytestmark = [pytest.mark.integration, pytest.mark.proof]

log = logging.getLogger(__name__)

LOAD_SECONDS = 330 if run_size() > 1 else None
RATE_PER_S = min(3_000, 1_000 * run_size())
"""So the load of `make prove` is three times as dense."""
REST_SECONDS = 600
"""For what waits at the end of the load: some seconds, and minutes on a machine that is busy with other things."""
HEARTBEATS_BEHIND_SECONDS = 85
"""A heartbeat vouches up to a minute ago, and comes every ten seconds."""
VOUCHED_SECONDS = 20
"""At least, of the second half of a short run on a fast machine."""


def _trust(run: PipelineRun, from_ns: int, to_ns: int) -> int:
    """Exit code of `callstream coverage` for whole seconds inside a window."""
    window = ["--from", time_text(from_ns + 10**9), "--to", time_text(to_ns)]
    node = ["--node", NODE, "--cluster", cluster_fields().cluster_name]
    return CliRunner().invoke(cli, ["coverage", *node, *window], env=run.environ).exit_code


def _at_rest(run: PipelineRun) -> bool:
    """Every process does its job, the books balance, and nothing waits anywhere."""
    return all(run.not_ready(name) is None for name in run.wanted) and run.books("--settled").exit_code == 0


def test_nothing_is_lost_behind_the_raw_topic_and_nothing_before_it_in_silence(
    topic_prefix: str, tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Ingest, agent, stages, broker and registry killed, stopped, paused: ids, gaps, books and lag say what is so."""
    with (
        BreakableBroker(tmp_path / "broker") as broker,
        pipeline_run(broker, topic_prefix, tmp_path) as run,
    ):
        run.start_stages()
        run.await_ready()
        agents = LiveAgents(tmp_path, rate_per_s=RATE_PER_S, until_s=int(time.time()) + LIFE_SECONDS)
        try:
            agents.start()
            run.start(INGEST, agents.settings)
            run.await_ready()
            began_ns = time.time_ns()
            faults = FaultRun(run, broker, agents, seed=seed, load_seconds=LOAD_SECONDS)
            faults.run()
            load_seconds = faults.load_seconds
            try:
                seconds_to_rest = run.wait(lambda: _at_rest(run), REST_SECONDS, "lag to be zero")
            except AssertionError as error:
                raise AssertionError(f"{run.books('--settled').output}\n{error}") from None
            behind_ns = time.time_ns() - HEARTBEATS_BEHIND_SECONDS * 10**9
            seen_again_ns = faults.blinded[-1][1]
            vouched_ns = max(behind_ns, seen_again_ns + VOUCHED_SECONDS * 10**9)
            run.wait(
                lambda: _trust(run, seen_again_ns, vouched_ns) == EXIT_CODES[Trust.TRUSTED],
                HEARTBEATS_BEHIND_SECONDS,
                "heartbeats to vouch for the second half",
            )
        finally:
            agents.close()

        raw = raw_account(run)
        calls = call_account(run)
        gaps = gaps_of(run)
        losses = loss_account(agents.lives, raw, gaps, began_ns)
        log.info("%s", "\n".join(faults.story))
        log.info("drained in %s s, failed over in %s s", faults.drain_seconds, faults.failover_seconds)
        log.info("at rest after %.1f s; ended by themselves: %s", seconds_to_rest, run.ended)
        log.info("%d happened, %d missing in raw, in %d gaps", losses.happened, losses.missing, len(gaps))
        record_property("events", losses.happened)
        record_property("missing in raw, all in gaps", losses.missing)
        log.info("%d raw, %d to be calls, %d records of calls", raw.records, len(raw.calls), calls.records)

        assert raw.refused == 0
        assert not raw.calls - calls.ids, "events of the raw topic that never became calls"
        assert not calls.ids - raw.calls, "calls that no raw event stands for"
        assert losses.missing > 0, "no fault hit ingest with events in hand: the test has proved nothing"
        assert not losses.uncovered, f"{len(losses.uncovered)} of {losses.missing} missing events are in no gap"
        assert losses.happened > RATE_PER_S * load_seconds * 0.8
        assert {one.code for one in run.ended} <= {ExitCode.UNAVAILABLE}, "\n".join(map(str, run.ended))
        assert max(faults.drain_seconds) < DRAIN_SECONDS  # at least of the worker that joins and leaves
        assert max(faults.failover_seconds) < FAILOVER_SECONDS
        for blind_from_ns, blind_to_ns in faults.blinded:
            assert _trust(run, blind_from_ns, blind_to_ns + 10**9) == EXIT_CODES[Trust.NOT_TRUSTED]

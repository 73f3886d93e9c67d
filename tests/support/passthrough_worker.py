"""A stage process that copies its records: the whole transport, and no work of a stage.

Run as a program: `python -m tests.support.passthrough_worker INDEX [MODE]`, with settings in the environment. INDEX is
a number, or `free` for one that nobody has. It reads `tetragon.raw`, writes `runtime.canonical`, and is killed and
stopped by the delivery tests. MODE is `quick` (short group times, the default), `real` (those of production) or `stuck`
(takes batches and never finishes them).
"""

import logging
import os
import sys
from collections.abc import Sequence

from agents.agent import attach as attach_agent
from agents.contract import DeadLetter, OutRecord, SourceRecord, StepResult
from app.settings import load
from app.streaming.batch import RecordBatch
from app.streaming.membership import IndexTakenError
from app.streaming.runner import StepRunner
from app.streaming.stage_app import GroupTimes
from app.streaming.stage_process import StagePlan, StageRuntime, run_stage
from app.streaming.standstill import StallLimits
from app.telemetry.logs import configure
from schemas import topics
from schemas.topics import Stage

QUICK = GroupTimes(session=6.0, heartbeat=1.0, commit_interval=0.5)
IMPATIENT = StallLimits(commit=4.0)


def copy_step(records: Sequence[SourceRecord]) -> StepResult:
    """Every record comes out as it went in."""
    return StepResult(outputs=[OutRecord(r.key, r.value, r.timestamp) for r in records])


def attach(runtime: StageRuntime) -> None:
    """Attach the copying agent."""
    name = runtime.settings.name

    def no_dead_letters(letter: DeadLetter) -> OutRecord:
        raise AssertionError(letter.reason)

    run = StepRunner(
        copy_step,
        runtime.delivery,
        output_topic=name(topics.CANONICAL),
        dead_letter_topic=name(topics.DEAD_LETTERS),
        encode_dead_letter=no_dead_letters,
        observer=runtime.observer,
    )
    attach_agent(runtime.app, name(topics.RAW), "canonicalize", run)


def attach_stuck(runtime: StageRuntime) -> None:
    """Attach an agent that begins work and never ends it."""

    async def run(batch: RecordBatch) -> None:
        batch.hand_out.start()

    attach_agent(runtime.app, runtime.settings.name(topics.RAW), "canonicalize", run)


def main(index: str, mode: str = "quick") -> None:
    """Run until a signal stops it."""
    settings = load(os.environ)
    configure(settings.log_format, settings.log_level)
    plan = StagePlan(
        stage=Stage.CANONICALIZE,
        group=Stage.CANONICALIZE.group,
        attach=attach_stuck if mode == "stuck" else attach,
        topics=(settings.name(topics.RAW), settings.name(topics.CANONICAL)),
        output_topic=topics.CANONICAL,
        index=None if index == "free" else int(index),
        http_port=0,
        times=GroupTimes() if mode == "real" else QUICK,
        limits=IMPATIENT if mode == "stuck" else StallLimits(),
        sample_seconds=1.0,
    )
    try:
        run_stage(settings, plan)
    except IndexTakenError as error:
        logging.getLogger(__name__).critical("%s", error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])

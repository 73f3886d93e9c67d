"""A stage process that copies its records: the whole transport, and no work of a stage.

Run as a program: `python -m tests.support.passthrough_worker INDEX`, with settings in the environment. It reads
`tetragon.raw`, writes `runtime.canonical`, and is killed and stopped by the delivery tests.
"""

import os
import sys
from collections.abc import Sequence

from agents.canonicalize.agent import attach as attach_agent
from agents.contract import DeadLetter, OutRecord, SourceRecord, StepResult
from app.settings import load
from app.streaming.runner import StepRunner
from app.streaming.stage_app import GroupTimes
from app.streaming.stage_process import StagePlan, StageRuntime, run_stage
from app.telemetry.logs import configure
from schemas import topics
from schemas.topics import Stage

TIMES = GroupTimes(session=6.0, heartbeat=1.0, commit_interval=0.5)


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
    attach_agent(runtime.app, name(topics.RAW), run)


def main() -> None:
    """Run until told to stop."""
    settings = load(os.environ)
    configure(settings.log_format, settings.log_level)
    plan = StagePlan(
        stage=Stage.CANONICALIZE,
        attach=attach,
        topics=(settings.name(topics.RAW), settings.name(topics.CANONICAL)),
        output_topic=topics.CANONICAL,
        index=int(sys.argv[1]),
        http_port=0,
        times=TIMES,
    )
    run_stage(settings, plan)


if __name__ == "__main__":
    main()

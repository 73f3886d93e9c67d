"""`callstream worker`: the stages, each in a process of its own."""

import logging
import os
import sys

import click

from app import settings as settings_module
from app.operators.errors import OperatorError, ServerError
from app.processes.process_end import ExitCode
from app.settings import Settings
from app.stages.worker import run_all, stage_plan
from app.streaming.stage_process import run_stage
from app.telemetry import logs
from schemas.topics import Stage

log = logging.getLogger(__name__)


@click.command(short_help="Run the stages: canonicalize, privacy, hot symbols")
@click.option("--stage", type=click.Choice([stage.value for stage in Stage]), help="Run this one, in this process.")
@click.option(
    "--index",
    type=click.IntRange(0, 4096),
    help="Tells workers of the same stage on one host apart; CALLSTREAM_WORKER_INDEX where not given.",
)
@click.option("--tied", is_flag=True, hidden=True, help="Stop when standard input ends.")
def command(stage: str | None, index: int | None, tied: bool) -> None:
    """Read, convert and write events until stopped.

    Without --stage one process runs per stage, on CALLSTREAM_HTTP_PORT and the two ports after it; a stage that dies is
    started again. SIGTERM drains: work in progress is delivered and committed first. SIGHUP reloads the privacy policy
    and its key; what cannot be used is refused in the log, and the old policy stays.

    \b
    Exit codes: 0 stopped, 2 wrong settings, 69 Kafka or registry not usable, 70 a step failed, 73 state folder not
    usable, 74 Kafka refused a record, 75 no progress, 76 could not drain in time, 78 topics and state contradict,
    80 too many records were refused (CALLSTREAM_DEAD_LETTER_MAX_RUN, _PERCENT).

    \b
    Example: callstream worker
    Example: callstream worker --stage privacy --index 1
    """
    settings = settings_module.load(os.environ)
    logs.configure(settings.log_format, settings.log_level)
    index = settings.worker_index if index is None else index
    if stage is None:
        sys.exit(run_all(settings, index=index))
    sys.exit(_run_one(settings, Stage(stage), index=index, tied=tied))


def _run_one(settings: Settings, stage: Stage, *, index: int, tied: bool) -> int:
    try:
        plan = stage_plan(settings, stage, index=index, http_port=settings.http_port, tied=tied)
        run_stage(settings, plan)
    except OperatorError as error:
        log.critical("%s cannot run: %s", stage, error)
        return ExitCode.UNAVAILABLE if isinstance(error, ServerError) else error.exit_code
    except OSError as error:
        log.critical("%s cannot run: %s", stage, error)
        return ExitCode.STATE_UNUSABLE
    return 0

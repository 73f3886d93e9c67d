"""`callstream worker`: runs the stages, each in a process of its own."""

import logging
import sys

import click

from app.operators.errors import OperatorError, ServerError
from app.processes.process_end import ExitCode
from app.settings import Settings, load
from app.stages.worker import run_all, stage_plan
from app.streaming.stage_process import run_stage
from app.telemetry import logs
from schemas.topics import Stage

log = logging.getLogger(__name__)


@click.command(name="worker")
@click.option(
    "--stage", type=click.Choice([stage.value for stage in Stage]), help="Run this stage only, in this process."
)
@click.option(
    "--index",
    type=click.IntRange(0, 4096),
    help="Number of this worker of its stage on this host. Default: CALLSTREAM_WORKER_INDEX, or a free one.",
)
@click.option("--tied", is_flag=True, hidden=True, help="Stop when standard input ends.")
def command(stage: str | None, index: int | None, tied: bool) -> None:
    """Run the stages: read, convert and write events until stopped.

    Without --stage, one process runs for each stage. A stage that dies is started again. On SIGTERM, work in progress
    is delivered and committed first. On SIGHUP, the privacy policy and its key are read again; if they cannot be used,
    the log says so and the old policy stays.

    \b
    Ports:
      CALLSTREAM_HTTP_PORT         /metrics, /healthz and /readyz; without --stage also
                                   the two ports after it; 0 picks free ones
      CALLSTREAM_HOT_SYMBOLS_PORT  /hot-symbols of the hot-symbols stage, with a token
                                   or client certificates; off if it is not set

    Start the same command again, here or on other hosts, to share the work. Each process takes a number that is free.
    Its state is kept under that number in CALLSTREAM_DATA_DIR, and it takes the same number after a restart.

    \b
    Exit codes:
      0   stopped by a signal
      2   wrong options or settings
      69  Kafka or the registry cannot be used
      70  a step failed
      73  the state folder cannot be used
      74  Kafka refused a record
      75  no progress
      76  work in progress did not end in time
      77  a part of Faust failed
      78  topics and state contradict each other
      79  the state was damaged; the next start makes it again from Kafka
      80  too many records were refused (CALLSTREAM_DEAD_LETTER_MAX_RUN, _PERCENT)
      81  another worker has the index: leave out --index
      82  the same records were sent again and again, because the group took their partitions away each time
      83  another program wrote on a topic that only the stage may write; the log says where, and what to do
      84  a file of the symbol store is damaged or gone; the log says which, and what to do
    Example:
      callstream worker
      callstream worker --stage privacy --index 1
    """
    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    index = settings.worker_index if index is None else index
    if stage is None:
        sys.exit(run_all(settings, index=index))
    sys.exit(_run_one(settings, Stage(stage), index=index, tied=tied))


def _run_one(settings: Settings, stage: Stage, *, index: int | None, tied: bool) -> int:
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

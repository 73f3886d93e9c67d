"""`callstream reprocess`: runs a changed policy or canonicalizer over old events, into topics beside the live ones."""

import logging
import os
import sys
from dataclasses import replace
from typing import Final

import click

from app.commands import options
from app.commands.ending import exits_with
from app.kafka.positions import Position
from app.operators.errors import ServerError
from app.operators.printing import echo
from app.processes.process_end import ExitCode
from app.progress import Progress
from app.reprocess.chain import STAGES
from app.reprocess.run import NOT_CAUGHT_UP, ReprocessRequest, Run, prepare, run_stage_of
from app.reprocess.telling import Teller
from app.settings import Settings, load, variable_of
from app.telemetry import logs
from schemas.topics import FIRST_VERSION, Stage

_STAGES: Final = click.Choice([stage.value for stage in STAGES])

log = logging.getLogger(__name__)


@click.command(name="reprocess", epilog=options.POSITION_HELP)
@click.option("--stage", required=True, type=_STAGES, help="The stage that has changed. The stages after it run, too.")
@options.position_option(
    "--from",
    "start",
    "Where a new version begins in the topic that the stage reads. Name an offset for every partition, or none.",
    "first",
)
@click.option(
    "--version",
    type=click.IntRange(FIRST_VERSION, 999_999),
    help="Make or continue this version only. Default: continue the version that was made in the same way, or make "
    "the next one.",
)
@click.option("--once", is_flag=True, help="End when the version has caught up, and do not follow the live topics.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print lines of JSON: what was decided, the progress, and when it caught up.",
)
@click.option(
    "--index",
    type=click.IntRange(0, 4096),
    help="Number of this process among those of the version on this host. Default: CALLSTREAM_WORKER_INDEX, or a free "
    "one.",
)
@click.option("--only", type=_STAGES, hidden=True, help="Run this stage of the version, in this process.")
@click.option("--tied", is_flag=True, hidden=True, help="Stop when standard input ends.")
def command(
    *,
    stage: str,
    start: Position,
    version: int | None,
    once: bool,
    as_json: bool,
    index: int | None,
    only: str | None,
    tied: bool,
) -> None:
    """Run the stages, as they are configured now, over old events, into a new version of their topics.

    \b
    --stage privacy       runtime.canonical -> runtime.calls.v2
    --stage canonicalize  tetragon.raw -> runtime.canonical.v2 -> runtime.calls.v2

    A version has topics, consumer groups and schemas of its own, and also its own dead letters and audit records.
    Partitions, times and `source` are those of the live records. After the old events, a version follows the live
    topics until it is stopped. Nothing is written to a live topic or group. tetragon.raw usually goes back further than
    runtime.canonical. So use --stage canonicalize to apply a changed policy to all old events.

    You can stop it at any time: the same command continues. Records are written at least once, as everywhere. If
    anything changes that decides the records (program, policy, key, hook map, symbols), the command makes another
    version; with --version, it refuses instead. The same command on more hosts shares the work. Remove a version that
    nobody needs with Kafka's own tools: the names of its topics and groups end in its number.

    \b
    Exit codes:
      0  caught up, and then stopped
      1  caught up, but some records of the range had expired
      2  wrong options or settings, refused, or a server cannot be used
      3  stopped before it caught up
      other codes are those of a stage: see `callstream worker --help`
    Example:
      CALLSTREAM_PRIVACY_POLICY_FILE=stricter.toml callstream reprocess --stage canonicalize --from 7d --once
      callstream reprocess --stage privacy --version 2 --json
    """
    settings = load()
    if sys.stderr.isatty() and not os.environ.get(variable_of("log_level")):
        settings = replace(settings, log_level="WARNING")  # progress is shown instead
    logs.configure(settings.log_format, settings.log_level)
    index = settings.worker_index if index is None else index
    request = ReprocessRequest(Stage(stage), start, version)
    if only is not None:
        _run_one(settings, request, Stage(only), index=index, tied=tied)
        return
    try:
        code = _run(settings, request, index=index, once=once, as_json=as_json)
    except KeyboardInterrupt:
        echo("callstream reprocess: stopped", err=True)
        code = NOT_CAUGHT_UP
    sys.exit(code)


def _run_one(settings: Settings, request: ReprocessRequest, stage: Stage, *, index: int | None, tied: bool) -> None:
    """One stage's own process: its supervisor reads the exit codes of `callstream worker`."""
    try:
        with exits_with(ExitCode.UNAVAILABLE, ServerError):
            run_stage_of(settings, request, stage, index=index, tied=tied)
    except OSError as error:
        echo(f"callstream reprocess: {error}", err=True)
        sys.exit(ExitCode.STATE_UNUSABLE)


def _run(settings: Settings, request: ReprocessRequest, *, index: int | None, once: bool, as_json: bool) -> int:
    with Progress() as progress:
        progress.begin("raw records read for what the first events see of earlier ones")
        ready = prepare(settings, request, progress.add)
    teller = Teller(settings, ready.shapes, as_json=as_json)
    teller.decided(ready.event, ready.starts)
    return Run(settings, ready, teller, index=index, once=once).run()

"""A stage that is killed at its first commit: what it sent is acknowledged, and its group does not know.

Run as a program: `python -m tests.support.dying_worker STAGE`, with settings in the environment. All else is the stage.
"""

import os
import signal
import sys
from typing import Any

from app.settings import load
from app.stages.worker import stage_plan
from app.streaming.consumer_thread import BatchConsumerThread
from app.streaming.stage_process import run_stage
from app.telemetry.logs import configure
from schemas.topics import Stage


async def _die(_self: BatchConsumerThread, _accounts: Any) -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return False


def main(stage: str) -> None:
    """Run until the first commit is due."""
    settings = load(os.environ)
    configure(settings.log_format, settings.log_level)
    BatchConsumerThread._commit_accounts = _die  # type: ignore[method-assign, assignment]
    run_stage(settings, stage_plan(settings, Stage(stage), index=0, http_port=0))


if __name__ == "__main__":
    main(*sys.argv[1:])

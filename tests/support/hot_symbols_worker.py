"""The hot-symbol stage as `callstream worker` runs it, with group times that suit a test.

Run as a program: `python -m tests.support.hot_symbols_worker INDEX`, with settings in the environment.
HOT_SWEEP_SECONDS says how often it looks for rows that expire, HOT_REFRESH_SECONDS how often for another symbol store,
HOT_HORIZON_SECONDS how often for what is known of coverage and hooks.
"""

import os
import sys
from dataclasses import replace

from app.settings import load
from app.stages.hot_symbols import expiry, watching
from app.stages.worker import stage_plan
from app.streaming.stage_process import run_stage
from app.telemetry.logs import configure
from schemas.topics import Stage
from tests.support.passthrough_worker import QUICK


def main(index: str) -> None:
    """Run until a signal stops it."""
    settings = load(os.environ)
    if "HOT_SWEEP_SECONDS" in os.environ:
        setattr(expiry, "SWEEP_SECONDS", float(os.environ["HOT_SWEEP_SECONDS"]))  # noqa: B010 - it is final elsewhere
    if "HOT_REFRESH_SECONDS" in os.environ:
        setattr(watching, "REFRESH_SECONDS", float(os.environ["HOT_REFRESH_SECONDS"]))  # noqa: B010 - as above
    if "HOT_HORIZON_SECONDS" in os.environ:
        setattr(watching, "HORIZON_SECONDS", float(os.environ["HOT_HORIZON_SECONDS"]))  # noqa: B010 - as above
    configure(settings.log_format, settings.log_level)
    plan = stage_plan(settings, Stage.HOT_SYMBOLS, index=int(index), http_port=0)
    run_stage(settings, replace(plan, times=QUICK))


if __name__ == "__main__":
    main(*sys.argv[1:])

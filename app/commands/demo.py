"""`callstream demo`: the whole pipeline at work on a real Apache Kafka, with a report of what was checked."""

import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import click

from app.commands.ending import CANNOT, exits_with
from app.commands.options import FOLDER
from app.demo.report import text_of
from app.demo.run import DemoOptions, run_demo
from app.embedded.failures import EmbeddedError
from app.operators.json_text import json_text
from app.operators.printing import echo, rewrite
from app.simulator.workload.binaries import NoBinariesError

FAILED = 1
_WIDTH = 40


@click.command(name="demo")
@click.option("--events", type=click.IntRange(min=1_000), default=20_000, show_default=True, help="Events to send.")
@click.option("--rate", type=click.IntRange(min=1), default=5_000, show_default=True, help="Events sent a second.")
@click.option(
    "--keep",
    type=FOLDER,
    help="Use this folder and keep it; exports/calls.html in it is a flame graph.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end, and nothing else.")
def command(events: int, rate: int, keep: Path | None, as_json: bool) -> None:
    """Run everything on free ports in a temporary folder, and check what callstream promises.

    Recorded events travel over real gRPC into a real Kafka, through three Faust stages, and come out as calls and a
    table of executed functions. Then three checks follow. The books must balance. No planted secret may be found
    outside the restricted topics. And calls that are made again from the recorded raw events must equal the published
    ones, byte for byte.

    \b
    Exit codes:
      0  every check passed
      1  a check failed
      2  this machine lacks something
    Example:
      callstream demo --events 100000 --rate 20000 --keep ./demo-run
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    talks = not as_json
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callstream-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with exits_with(CANNOT, EmbeddedError, NoBinariesError):
                report = run_demo(
                    DemoOptions(events=events, rate_per_s=rate, folder=folder),
                    _say if talks else lambda _text: None,
                    _progress() if talks else lambda _done, _of: None,
                )
        except TimeoutError as error:
            echo(f"callstream demo: {error}", err=True)
            sys.exit(FAILED)
        except KeyboardInterrupt:
            echo("callstream demo: stopped", err=True)
            sys.exit(FAILED)
    for line in [json_text(report.document())] if as_json else text_of(report).split("\n"):
        echo(line)
    if keep and talks:
        echo(f"Everything of this run is in {keep}.")
    sys.exit(0 if report.succeeded else FAILED)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    echo(f"· {text}")


def _progress() -> Callable[[int, int], None]:
    """Shows how many events are done: a bar on a terminal, and a line at every quarter elsewhere."""
    quarters = {0}
    watched = sys.stdout.isatty()

    def show(done: int, of: int) -> None:
        share = done / of
        if watched:
            bar = "█" * int(share * _WIDTH)
            rewrite(f"  {bar:<{_WIDTH}} {done:>9,} of {of:,} events")
            if share >= 1.0 and 4 not in quarters:
                echo()
        elif int(share * 4) not in quarters:
            echo(f"  {done:>9,} of {of:,} events")
        quarters.add(int(share * 4))

    return show

"""`callstream demo`: the whole pipeline at work on a real Apache Kafka, with a report of what was checked."""

import html
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

import click

from app.commands.ending import CANNOT, exits_with
from app.commands.options import FOLDER
from app.demo.report import DemoReport, text_of
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
    help="Use this folder and keep it; exports/calls.html in it is a flame graph. In a terminal, the pipeline and its "
    "console stay up until Ctrl-C.",
)
@click.option("--open", "opens", is_flag=True, help="Open the console in a browser, and stay up until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end, and nothing else.")
def command(*, events: int, rate: int, keep: Path | None, opens: bool, as_json: bool) -> None:
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
      callstream demo --open
      callstream demo --events 100000 --rate 20000 --keep ./demo-run
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    talks = not as_json
    if opens and as_json:
        raise click.UsageError("--open is for a person, and --json for a program")
    holds = opens or (keep is not None and talks and sys.stdout.isatty())

    def show(report: DemoReport) -> None:
        for line in [json_text(report.document())] if as_json else text_of(report).split("\n"):
            echo(line)
        if keep and talks:
            echo(f"Everything of this run is in {keep}.")

    def hold(report: DemoReport, url: str) -> None:
        show(report)
        echo(f"The console is at {url}")
        if opens:
            _open(url, folder)
        echo("Ctrl-C ends all of it.")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()

    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callstream-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with exits_with(CANNOT, EmbeddedError, NoBinariesError):
                report = run_demo(
                    DemoOptions(events=events, rate_per_s=rate, folder=folder),
                    _say if talks else lambda _text: None,
                    _progress() if talks else lambda _done, _of: None,
                    hold if holds else None,
                )
        except TimeoutError as error:
            echo(f"callstream demo: {error}", err=True)
            sys.exit(FAILED)
        except KeyboardInterrupt:
            echo("callstream demo: stopped", err=True)
            sys.exit(FAILED)
    if not holds:
        show(report)
        if talks:
            echo("To look at all of it in a browser: callstream demo --open")
    sys.exit(0 if report.succeeded else FAILED)


def _open(url: str, folder: Path) -> None:
    """Open an address that holds a token: by a file of this user, because others may see the arguments of a process."""
    page = folder / "console.html"
    page.touch(0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">\n', encoding="utf-8")
    if not webbrowser.open(page.absolute().as_uri()):
        echo("There is no browser here that can be opened.", err=True)


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

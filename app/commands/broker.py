"""`callstream broker`: runs a real Kafka and a real schema registry on loopback, in the foreground."""

import signal
import time
from pathlib import Path
from types import FrameType

import click

from app.commands.options import FOLDER
from app.embedded.broker import EmbeddedBroker
from app.embedded.prepare import prepare
from app.operators.json_text import json_text
from app.operators.printing import echo

_WATCH_SECONDS = 0.5
_PORT = click.IntRange(0, 65_535)


@click.command(name="broker")
@click.option(
    "--data-dir",
    type=FOLDER,
    default=Path("callstream-data/broker"),
    show_default=True,
    help="Folder for topics, schemas and the servers' logs. Use it again to get them back.",
)
@click.option("--port", type=_PORT, default=9092, show_default=True, help="Kafka's port; 0 picks a free one.")
@click.option(
    "--registry-port", type=_PORT, default=8081, show_default=True, help="The registry's port; 0 picks a free one."
)
@click.option(
    "--fetch-only",
    is_flag=True,
    help="Download and verify the files that the broker needs, start it once so that later starts are quick, and end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print only the line of JSON, and no notes on standard error.")
def command(data_dir: Path, port: int, registry_port: int, fetch_only: bool, as_json: bool) -> None:
    """Run Apache Kafka and a schema registry on this machine, for this machine.

    Both listen on loopback only. When both serve clients, the command prints one line of JSON with their addresses.
    SIGTERM or Ctrl-C stops both.

    \b
    Exit codes:
      0  stopped by a signal
      1  a server did not start, or ended by itself
      2  wrong options, or this machine lacks something: Maven, a Java runtime,
         disk space, a free port, or a data folder that nobody else uses
    Example:
      callstream broker --data-dir ~/kafka --port 0 --registry-port 0
      {"bootstrap_servers": "127.0.0.1:20248", "schema_registry_url": "http://127.0.0.1:30694/apis/ccompat/v7"}
    """

    def report(note: str) -> None:
        if not as_json:
            echo(note, err=True)

    if fetch_only:
        prepare(report)
    else:
        _serve(EmbeddedBroker(data_dir, port=port, registry_port=registry_port, report=report))


def _serve(broker: EmbeddedBroker) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_once)
    try:
        with broker:
            addresses = {"bootstrap_servers": broker.bootstrap_servers, "schema_registry_url": broker.registry_url}
            echo(json_text(addresses))
            while True:
                broker.check_alive()
                time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def _stop_once(_number: int, _frame: FrameType | None) -> None:
    """Interrupt the main thread wherever it is; a second signal must not interrupt the stopping."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt

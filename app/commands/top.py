"""`callstream top`: rates, lag, buffers and losses of all processes, refreshed."""

import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import click

from app.operators.errors import OperatorError
from app.operators.printing import can_redraw, echo, print_answer, redraw
from app.settings import load
from app.telemetry.metric_pages import UnreadPage, read_processes
from app.telemetry.process_addresses import addresses_in
from app.top.process_rates import PageReading, ProcessHistory
from app.top.table import Line, document, lines

SILENT: Final = 1
"""Exit code if a process does not answer."""


@click.command(name="top")
@click.option(
    "--metrics",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="Where a process serves /metrics, as host:port or URL; may be repeated. Default: "
    "CALLSTREAM_PROCESS_ADDRESSES, or the `callstream worker` of this host, if CALLSTREAM_HTTP_PORT is set.",
)
@click.option(
    "--interval",
    "interval_seconds",
    type=click.FloatRange(0.1, 3_600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two readings. Rates are of this time.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and end.")
def command(addresses: tuple[str, ...], interval_seconds: float, *, as_json: bool) -> None:
    """Show how fast each process runs, what waits, and what is lost.

    In a terminal, the tables are written again and again until Ctrl-C. Otherwise the command reads twice, prints them
    once, and ends. The numbers come from the processes' own /metrics:

    \b
      IN/S, OUT/S  records or events a second that came in and that Kafka has
      LAG, LAG S   records that a stage has yet to finish, and since when the oldest
                   waits; the first table has them of a dead stage, too
      WAITING      events in ingest's buffer, or records that a stage works on
      BYTES        what ingest's buffer takes, in memory and on disk
      DROPPED      events that ingest gave up
      GAPS         gaps that ingest published
      REFUSED      records that became dead letters
      RESTARTS     seen while you look
      UP           since when the process runs

    DROPPED, GAPS and REFUSED count since a process started; the lines between the tables say why. They also name the
    processes that do not answer or are not ready.

    \b
    Exit codes:
      0  every process answers
      1  a process does not answer
      2  wrong options or settings
    Example:
      callstream top --metrics 127.0.0.1:9464 --metrics 127.0.0.1:9465
    """
    where = addresses or addresses_in(load())
    if not where:
        raise OperatorError("no process is known: give --metrics, or set CALLSTREAM_PROCESS_ADDRESSES")
    if can_redraw() and not as_json:
        unread = _watch(where, interval_seconds)
    else:
        unread = _once(where, interval_seconds, as_json=as_json)
    sys.exit(SILENT if unread else 0)


def _once(where: Sequence[str], interval_seconds: float, *, as_json: bool) -> Sequence[UnreadPage]:
    """Print what two readings say; the addresses that did not answer at last."""
    history = ProcessHistory()
    history.rates(_reading(where))
    time.sleep(interval_seconds)
    reading = _reading(where)
    rows = history.rates(reading)
    if as_json:
        print_answer(document(rows, reading), (), as_json=True)
    else:
        for line in lines(rows, reading):
            echo(*line)
    return reading.unread


def _watch(where: Sequence[str], interval_seconds: float) -> Sequence[UnreadPage]:
    """Refresh the table until Ctrl-C; the addresses that did not answer at last."""
    history = ProcessHistory()
    unread: Sequence[UnreadPage] = ()
    is_first = True
    with suppress(KeyboardInterrupt):
        while True:
            reading = _reading(where)
            unread = reading.unread
            size = shutil.get_terminal_size()
            table = _within(size.lines, list(lines(history.rates(reading), reading)))
            redraw(table, size.columns, is_first=is_first)
            is_first = False
            time.sleep(interval_seconds)
    return unread


def _reading(where: Sequence[str]) -> PageReading:
    return PageReading(time.monotonic(), time.time(), read_processes(where))


def _within(height: int, table: list[Line]) -> list[Line]:
    """As much of the table as a terminal of that height has room for."""
    room = max(2, height - 1)
    if len(table) <= room:
        return table
    kept = table[: room - 1]
    return [*kept, (f"{len(table) - len(kept)} more lines: make the window higher, or use --json",)]

"""`callstream ingest`: writes Tetragon's events to the raw topic, in the foreground."""

import os
import signal
import sys
import threading
from dataclasses import asdict

import click

from app.files.folders import PRIVATE_UMASK
from app.ingest.checks import check
from app.ingest.reload import Inheritance, Reload
from app.ingest.report import NOTHING_DONE
from app.ingest.run import Ingest
from app.ingest.succession import await_turn
from app.operators.json_text import json_text
from app.operators.printing import echo, print_answer
from app.processes.open_files import raise_file_limit
from app.settings import load
from app.telemetry import logs
from app.telemetry.repeated_lines import hold_back


@click.command(name="ingest")
@click.option("--json", "as_json", is_flag=True, help="Print the counts at the end as a line of JSON.")
def command(*, as_json: bool) -> None:
    """Write Tetragon's events to Kafka, unchanged.

    When it is running, the command prints one line of JSON with the address of /metrics, /healthz and /readyz. If Kafka
    or Tetragon is away, it waits. Events that arrive meanwhile are buffered, within CALLSTREAM_BUFFER_MAX_*. Events
    that are lost are reported on runtime.coverage. SIGTERM or Ctrl-C writes out what was read, within 10 seconds, and
    prints the counts.

    Where another ingest works in CALLSTREAM_DATA_DIR, this one reads too, is ready, and waits. When that one stops,
    this one goes on behind its last event, without a gap. SIGHUP does this from within: the program starts again beside
    the old process, with changed files and as it is installed now, and the old one leaves when the new one is ready.
    Where that does not come up, the old one stays. The process id changes.

    \b
    Exit codes:
      0  stopped by a signal, and everything received is written
      1  events were lost while it stopped, or a part of ingest failed
      2  settings, Kafka or Tetragon do not allow it to run
    Example:
      CALLSTREAM_TETRAGON_ADDRESS=localhost:54321 callstream ingest
      {"http": "127.0.0.1:38761"}
    """
    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    hold_back()
    os.umask(PRIVATE_UMASK)
    raise_file_limit()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    inheritance, reload = Inheritance.take(), Reload(stop)
    signal.signal(signal.SIGHUP, reload.ask)
    check(settings)
    said: list[str] = []

    def announce(address: str) -> None:
        if not said:
            said.append(address)
            echo(json_text({"http": address}))

    turn = await_turn(settings, stop, announce, inheritance)
    if turn is None:
        print_answer(asdict(NOTHING_DONE), ["stopped while another ingest worked"], as_json=as_json)
        return
    ingest = Ingest(settings, turn)
    announce(ingest.start())
    ingest.wait(stop, reload)
    report = ingest.stop()
    reload.left()
    line = (
        f"received {report.received}, restored {report.restored}, written {report.written}, "
        f"dropped {report.dropped}, left on disk {report.buffered}"
    )
    print_answer(asdict(report), [line], as_json=as_json)
    sys.exit(1 if report.lost_at_stop or report.unbalanced else 0)

"""`callstream top` on processes that serve real pages: once into a pipe, and again and again in a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.telemetry import metrics
from app.telemetry.http import TelemetryServer
from app.telemetry.meter import Meter
from schemas import topics

CLOSED = "127.0.0.1:1"
WAIT_SECONDS = 60.0


@pytest.fixture
def meter() -> Meter:
    """The numbers of an ingest."""
    meter = Meter()
    meter.set(metrics.PROCESS_INFO, 1, metrics.INGEST_PROCESS)
    meter.add(metrics.DROPPED, 1_234, "overflow")
    meter.add(metrics.WRITTEN, 10, topics.RAW)
    return meter


@pytest.fixture
def address(meter: Meter) -> Iterator[str]:
    """Where it serves them."""
    server = TelemetryServer(meter, alive={}, ready={"kafka": lambda: "no broker answers", "stream": lambda: None})
    yield server.start("127.0.0.1", 0)
    server.close()


def test_one_table_is_printed_where_nobody_can_watch(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the processes of the setting; one that does not answer is listed, and exit code 1 says so."""
    monkeypatch.setenv("CALLSTREAM_PROCESS_ADDRESSES", f"{address},{CLOSED}")
    result = CliRunner().invoke(cli, ["top", "--interval", "0.1"])
    assert result.exit_code == 1
    assert "1 of 2 processes answer" in result.output
    assert f"does not answer: {CLOSED}  Connection refused" in result.output
    assert "dropped: overflow 1,234" in result.output
    assert f"not ready: ingest at {address}  kafka" in result.output
    assert re.search(rf"^ingest +{address} +0 +0 +- ", result.output, re.MULTILINE)


def test_json_is_one_document(address: str) -> None:
    """It has every number that the table has."""
    result = CliRunner().invoke(cli, ["top", "--interval", "0.1", "--json", "--metrics", address])
    assert result.exit_code == 0
    document = json.loads(result.output)
    (process,) = document["processes"]
    assert (process["process"], process["dropped"], process["in_rate"]) == ("ingest", 1_234, 0.0)
    assert document["unread"] == []


def test_without_addresses_it_says_what_to_set() -> None:
    """No process is not an empty table."""
    result = CliRunner().invoke(cli, ["top"])
    assert result.exit_code == 2
    assert "CALLSTREAM_PROCESS_ADDRESSES" in result.output


def test_a_terminal_is_refreshed_until_the_reader_has_seen_enough(address: str, meter: Meter) -> None:
    """The table grows with the process, Ctrl-C ends it with the exit code of the table, and NO_COLOR is obeyed."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"TERM": "xterm", "NO_COLOR": "1", "LINES": "24", "COLUMNS": "120"}
    command = [sys.executable, "-m", "app", "top", "--interval", "0.2", "--metrics", address]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.STDOUT, env=environ) as process:
        os.close(theirs)
        shown = _read_until(ours, "overflow 1,234")
        meter.add(metrics.DROPPED, 766, "overflow")
        shown += _read_until(ours, "overflow 2,000")
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_SECONDS) == 0
    os.close(ours)
    assert shown.count("\x1b[H") > 1, "the table is written over the one before"
    assert not re.search(r"\x1b\[[0-9;]*m", shown), "nothing is coloured"


def _read_until(terminal: int, text: str) -> str:
    found = ""
    deadline = time.monotonic() + WAIT_SECONDS
    while text not in found and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            found += os.read(terminal, 65_536).decode()
    assert text in found
    return found

"""A log that nobody reads, or that a disk does not take, costs lines and never time."""

import errno
import fcntl
import io
import json
import logging
import os
import pty
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TextIO

import pytest

from app.telemetry.log_outlet import PATIENCE_SECONDS, LogOutlet
from app.telemetry.logs import _JsonFormatter

LINES = 400


def _log_to(stream: TextIO) -> logging.Logger:
    logger = logging.Logger("app.test")  # noqa: LOG001 - this handler only
    handler = LogOutlet(stream)
    handler.setFormatter(_JsonFormatter())
    logger.addHandler(handler)
    return logger


class Place:
    """A place to write to, and its other end."""

    def __init__(self, kind: str) -> None:
        if kind == "socket":
            ours, theirs = socket.socketpair()
            self.writing, self.reading = ours.detach(), theirs.detach()
        elif kind == "terminal":
            self.reading, self.writing = pty.openpty()
        else:
            self.reading, self.writing = os.pipe()
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 8192)
        self.stream = os.fdopen(self.writing, "w")

    def read_all(self) -> str:
        """What is there now, without waiting."""
        os.set_blocking(self.reading, False)
        content = b""
        with suppress(BlockingIOError):
            while piece := os.read(self.reading, 1 << 16):
                content += piece
        return content.decode()

    def close(self) -> None:
        """Close both ends."""
        for descriptor in (self.reading, self.writing):
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture(params=["pipe", "socket", "terminal"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Each kind that blocks whoever writes when nobody reads."""
    made = Place(request.param)
    yield made
    made.close()


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_lines_arrive_as_they_are(place: Place) -> None:
    """One record is one line."""
    log = _log_to(place.stream)
    log.warning("first")
    log.warning("second")

    assert [line["message"] for line in _lines(place.read_all())] == ["first", "second"]


def test_a_reader_that_stopped_costs_lines_and_no_time(place: Place) -> None:
    """Each line that arrives is whole, and the log says how many are missing when somebody reads again."""
    log = _log_to(place.stream)
    began = time.monotonic()
    for number in range(LINES):
        log.warning("%d %s", number, "x" * 1_500)
    seconds = time.monotonic() - began
    first = place.read_all()
    log.warning("again")
    lines = _lines(first + place.read_all())

    assert seconds < LINES * PATIENCE_SECONDS / 4  # not one wait for each line
    assert os.get_blocking(place.writing), "other processes share it"
    *whole, notice, last = lines
    assert last["message"] == "again"
    assert notice["lines"] == LINES - len(whole)
    assert [int(line["message"].split()[0]) for line in whole] == list(range(len(whole)))


def test_a_reader_that_left_costs_lines_only() -> None:
    """As when a pager is closed."""
    place = Place("pipe")
    log = _log_to(place.stream)
    os.close(place.reading)
    log.warning("nobody")
    log.handlers[0].flush()
    os.close(place.writing)


def test_a_full_disk_costs_lines_only() -> None:
    """When it has room again the log says how many are missing."""

    class FullDisk(io.StringIO):
        is_full = True

        def flush(self) -> None:
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")

    disk = FullDisk()
    log = _log_to(disk)
    log.warning("lost")
    disk.seek(0)
    disk.truncate()
    disk.is_full = False
    log.warning("kept")

    notice, kept = _lines(disk.getvalue())
    assert (notice["lines"], kept["message"]) == (1, "kept")

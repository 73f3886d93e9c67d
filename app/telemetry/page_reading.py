"""A page over HTTP from a server that is not trusted: within a time and a size, and whole.

A client that waits for the next byte only waits for ever if one comes every second, so a timer ends the connection. A
page that is cut short, or too large, is not a page: half of the counters would look like a reset of the others. Nothing
is followed and nothing is inflated.
"""

import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

MAX_PAGE_BYTES: Final = 16 << 20
"""A busy agent's page has some hundred kilobytes."""

PAGE_SECONDS: Final = 5.0
"""For the whole page."""

_STEP_SECONDS: Final = 3.0


class NoPageError(Exception):
    """There is no page; the text says why."""


def read_page(url: str, seconds: float = PAGE_SECONDS) -> str:
    """The text of the page. Raises NoPageError."""
    try:
        parts = urlsplit(url)
        make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = make(parts.hostname or "", parts.port, timeout=_STEP_SECONDS)
    except (HTTPException, ValueError):
        raise NoPageError("is not an address") from None
    overdue, connected = threading.Event(), list[socket.socket]()
    timer = threading.Timer(seconds, _end, (connection, connected, overdue))
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        connected.append(connection.sock)  # which the connection itself forgets before the page is read
        page = _read(connection, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")
    except (OSError, HTTPException, ValueError) as error:
        raise NoPageError(_late(seconds) if overdue.is_set() else _said_by(error)) from None
    finally:
        timer.cancel()
        connection.close()
    if overdue.is_set():
        raise NoPageError(_late(seconds))
    return page.decode("utf-8", "replace")


def _read(connection: HTTPConnection, path: str) -> bytes:
    connection.request("GET", path, headers={"Accept": "text/plain", "Accept-Encoding": "identity"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise NoPageError(f"HTTP {answer.status}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise NoPageError("the page is compressed, which nobody asked for")
    page = answer.read(MAX_PAGE_BYTES + 1)
    if len(page) > MAX_PAGE_BYTES:
        raise NoPageError(f"the page has more than {MAX_PAGE_BYTES >> 20} MiB")
    if answer.length:
        raise NoPageError("the page ends early")
    return page


def _end(connection: HTTPConnection, connected: list[socket.socket], overdue: threading.Event) -> None:
    overdue.set()
    for one in connected or [connection.sock]:  # none yet where TLS still shakes hands
        with suppress(OSError, AttributeError):
            one.shutdown(socket.SHUT_RDWR)


def _said_by(error: Exception) -> str:
    """The system's words, such as "Connection refused"; else the kind of error, because its words may be the page's."""
    if isinstance(error, TimeoutError):
        return f"no answer within {_STEP_SECONDS:.0f} s"
    said = error.strerror if isinstance(error, OSError) else None
    return said or type(error).__name__


def _late(seconds: float) -> str:
    return f"no whole page within {seconds:.0f} s"

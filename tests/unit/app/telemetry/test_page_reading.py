"""app/telemetry/page_reading.py against real servers that do what a metrics page does not."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from app.ingest.agent_metrics import COUNTERS, AgentMetrics
from app.telemetry import page_reading
from app.telemetry.page_reading import NoPageError, read_page

OK = b"HTTP/1.1 200 OK\r\n"
PAGE = f"{COUNTERS[0]} 7\n".encode()
Send = Callable[[socket.socket], None]


@contextmanager
def _server(answer: bytes | Send) -> Iterator[str]:
    """A server that answers every request so; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        listener.settimeout(0.05)
        while not ended.is_set():
            with suppress(TimeoutError, OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                    else:
                        answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/metrics?x=1"
    ended.set()
    listener.close()
    thread.join(20)
    assert not thread.is_alive()


def _with_length(page: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([OK[:-2], b"Content-Length: %d" % len(page), *headers, b"", page])


def _drip(head: bytes, piece: bytes) -> Send:
    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(0.02)

    return send


def test_a_page_is_read_whole() -> None:
    """With a length, in chunks, or until the connection ends."""
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(PAGE), PAGE)
    for answer in (_with_length(PAGE), chunked, OK + b"\r\n" + PAGE):
        with _server(answer) as url:
            assert read_page(url) == PAGE.decode()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "HTTP 302"),
        (_with_length(gzip.compress(PAGE), b"Content-Encoding: gzip"), "compressed"),
        (OK + b"Content-Length: 1000\r\n\r\n" + PAGE, "ends early"),
        (b"\x00\xff\xfe garbage\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
        (OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n", "LineTooLong"),
        (OK + b"X: x\r\n" * 1000 + b"\r\n", "HTTPException"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "IncompleteRead"),
    ],
)
def test_what_is_no_page_is_told(answer: bytes, reason: str) -> None:
    """One word for the operator, no exception, and no address is followed."""
    with _server(answer) as url, pytest.raises(NoPageError, match=reason):
        read_page(url)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK, b"X"),
        (OK + b"\r\n", b"#"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n#\r\n"),
        (b"", b"H"),
    ],
)
def test_a_page_that_drips_is_given_up_in_time(head: bytes, piece: bytes) -> None:
    """In its head or its body: a byte now and then would keep a plain timeout waiting for ever."""
    with _server(_drip(head, piece)) as url:
        began = time.monotonic()
        with pytest.raises(NoPageError, match="no whole page within"):
            read_page(url, seconds=0.5)
        assert time.monotonic() - began < 3


def test_a_server_that_says_nothing_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stands still listens and never answers."""
    monkeypatch.setattr(page_reading, "_STEP_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoPageError, match="no answer within"):
        read_page(f"http://127.0.0.1:{silent.getsockname()[1]}/metrics")


def test_a_page_without_end_is_given_up_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast it comes."""
    monkeypatch.setattr(page_reading, "MAX_PAGE_BYTES", 1 << 20)

    def send(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(PAGE * 10_000)

    with _server(send) as url, pytest.raises(NoPageError, match="more than 1 MiB"):
        read_page(url)


@pytest.mark.parametrize("number", ["1e999", "1.2.3", ".", "e", "+", "1e300", "9" * 400])
def test_a_counter_that_is_no_number_is_trouble(number: str) -> None:
    """It ends nothing, and no loss is made up of it."""
    metrics = AgentMetrics("unused")
    with _server(_with_length(PAGE)) as url:
        metrics = AgentMetrics(url)
        assert metrics.read(100) == []
    with _server(_with_length(f"{COUNTERS[0]} {number}\n".encode())) as url:
        metrics = AgentMetrics(url)
        assert metrics.read(200) == []
        assert metrics.trouble == "a loss counter on the page is not a number"
        assert metrics.read_at_ns == 0


def test_binary_garbage_beside_a_counter_is_passed_over() -> None:
    """Bytes that are not text hide no counter."""
    with _server(_with_length(b"\x00\xff\xfe\x80\n" + PAGE + b"\xc3\x28")) as url:
        metrics = AgentMetrics(url)
        metrics.read(100)
    assert (metrics.trouble, metrics.read_at_ns) == (None, 100)

"""app/serving/listener.py on real sockets: its limits, and what is cut off."""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http import HTTPStatus

import pytest

from app.serving.access import HttpAccess
from app.serving.address import HostPort
from app.serving.listener import HttpListener, ListenerLimits, in_thread
from app.serving.request import HttpPage, HttpRequest

LIMITS = ListenerLimits(connections=4, request_bytes=1_000, request_seconds=5, answer_seconds=5, send_seconds=5)
QUESTION = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


async def _echo(request: HttpRequest) -> HttpPage:
    if request.path == "/slow":
        await asyncio.sleep(60)
    body = b"x" * (64 << 20) if request.path == "/large" else request.path.encode()
    return HttpPage(HTTPStatus.OK, "text/plain", body)


@contextmanager
def _listening(limits: ListenerLimits = LIMITS) -> Iterator[HostPort]:
    listener = HttpListener(_echo, limits)
    address = listener.listen("127.0.0.1", 0)
    listener.serve(HttpAccess(), "test")
    try:
        yield address
    finally:
        listener.close()


def _connect(address: HostPort) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=20)


def _connect_many(address: HostPort, count: int, stack: ExitStack) -> list[socket.socket]:
    return [stack.enter_context(_connect(address)) for _ in range(count)]


def _answer(address: HostPort, question: bytes) -> bytes:
    with _connect(address) as connection:
        connection.sendall(question)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
        return received


def test_a_client_that_sends_byte_by_byte_is_cut_off_in_the_end() -> None:
    """The time is for the whole request, not for each part of it."""
    with _listening(replace(LIMITS, request_seconds=0.5)) as address, _connect(address) as slow:
        slow.settimeout(0.02)
        began, end = time.monotonic(), b"sends on"
        while end and time.monotonic() - began < 20:
            try:
                slow.sendall(b"G")
                end = slow.recv(1)
            except TimeoutError:
                continue
            except OSError:
                end = b""
        assert time.monotonic() - began < 10
        assert _answer(address, QUESTION).startswith(b"HTTP/1.1 200")


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    """The client's place and the answer's memory are free after a while."""
    with _listening(replace(LIMITS, send_seconds=0.3)) as address, ExitStack() as stack:
        for _ in range(LIMITS.connections):
            stack.enter_context(_connect(address)).sendall(QUESTION.replace(b"/x", b"/large"))
        assert _answer(address, QUESTION).startswith(b"HTTP/1.1 200")


def test_an_answer_that_is_never_made_is_given_up() -> None:
    """The client gets a closed connection."""
    with _listening(replace(LIMITS, answer_seconds=0.3)) as address:
        assert _answer(address, QUESTION.replace(b"/x", b"/slow")) == b""


def test_more_files_than_allowed_close_a_client_and_not_the_port() -> None:
    """A process at its limit of open files goes on to answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with _listening(replace(LIMITS, connections=10_000)) as address, ExitStack() as stack:
        opened = _connect_many(address, 20, stack)
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened[-1].fileno() + 3, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):  # client and server are one process
                _connect_many(address, 20, stack)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert _answer(address, QUESTION).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (b"GET /x\r\n\r\n", 400),
        (b"GET  /x HTTP/1.1\r\n\r\n", 400),
        (b"GET /x HTTP/2.0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 501),
        (b"GET /x HTTP/1.1\r\n" + b"A: b\r\n" * 120 + b"\r\n", 431),
    ],
)
def test_what_is_not_a_request_gets_a_status(question: bytes, status: int) -> None:
    """And the next client is served."""
    with _listening() as address:
        assert _answer(address, question).startswith(b"HTTP/1.1 %d " % status)
        assert _answer(address, QUESTION).endswith(b"\r\n\r\n/x")


def test_close_ends_while_clients_and_threads_are_busy() -> None:
    """A process that stops waits for no client."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return go_on.wait(30)

    async def blocked(_: HttpRequest) -> HttpPage:
        await in_thread(work, ended=ended.set)
        raise AssertionError

    listener = HttpListener(blocked, LIMITS)
    address = listener.listen("127.0.0.1", 0)
    listener.serve(HttpAccess(), "test")
    with _connect(address) as busy, _connect(address):
        busy.sendall(QUESTION)
        assert begun.wait(20)
        began = time.monotonic()
        listener.close()
        assert time.monotonic() - began < 5
        assert busy.recv(100) == b""
    go_on.set()
    assert ended.wait(20)

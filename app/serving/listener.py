"""A small HTTP server for GET and HEAD, one request a connection, on one thread with an event loop of its own.

A client that sends or reads slowly costs a socket and no thread. At most `connections` are open: a new one takes the
place of the oldest that has not sent its request yet, so clients that hold their places keep nobody else out. A request
is read whole, within `request_bytes` and `request_seconds`, before anything looks at it.

aiohttp, which Faust brings, would serve as well, but it sets no limit on the time for a request's head.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

from app.serving.access import AccessRefusal, HttpAccess
from app.serving.address import HostPort
from app.serving.request import HEAD_END, HttpAnswer, HttpPage, HttpRequest, parse_request

log = logging.getLogger(__name__)

T = TypeVar("T")

_BACKLOG: Final = 512
"""Connections that the kernel holds until we take them."""

_ACCEPT_PAUSE_SECONDS: Final = 0.1
"""After a connection that could not be taken, for example because too many files are open."""

Respond = Callable[[HttpRequest], Awaitable[HttpPage]]


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """What clients may take."""

    connections: int
    request_bytes: int
    request_seconds: float
    """For a request, with the TLS handshake before it."""
    answer_seconds: float
    """For making an answer."""
    send_seconds: float
    """For a client to read its answer."""


class HttpListener:
    """Listens from `start` to `close`."""

    def __init__(
        self,
        respond: Respond,
        limits: ListenerLimits,
        *,
        tls: ssl.SSLContext | None = None,
        cut_off: Callable[[], None] = lambda: None,
        refused: Callable[[AccessRefusal], None] = lambda _: None,
    ) -> None:
        """`respond` runs on the listener's event loop and must not block it, and neither must the others.

        `cut_off` is called for each connection that makes room for a newer one, `refused` for each request without
        the right Host or token.
        """
        self._respond = respond
        self._limits = limits
        self._cut_off = cut_off
        self._refused = refused
        self._tls = tls
        self._access = HttpAccess()
        self._loop = asyncio.new_event_loop()
        self._reading: dict[asyncio.Task[None], None] = {}
        self._answering: dict[asyncio.Task[None], None] = {}
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def listen(self, host: str, port: int) -> HostPort:
        """Bind, and return the address as bound; clients wait until `serve`. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::")
        return self.listen_on(made)

    def listen_on(self, listening: socket.socket) -> HostPort:
        """As `listen`, with a socket that listens already, and that is closed with this listener."""
        self._socket = listening
        self._socket.setblocking(False)
        bound_host, bound_port = self._socket.getsockname()[:2]
        return HostPort(str(bound_host), int(bound_port))

    @property
    def listening(self) -> socket.socket:
        """The socket, from `listen` to `close`."""
        assert self._socket is not None
        return self._socket

    def serve(self, access: HttpAccess, name: str) -> None:
        """Answer requests that show what `access` wants, on a thread of this name."""
        self._access = access
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and cut off clients that are not answered yet."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if not self._loop.is_closed():
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        accepting = self._loop.create_task(self._accept())  # noqa: F841 - the loop itself keeps no task alive
        self._loop.run_forever()
        self._loop.run_until_complete(_end_all())

    async def _accept(self) -> None:
        assert self._socket is not None
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._socket)
            except OSError as error:
                log.warning("a connection could not be taken: %s", error.strerror or type(error).__name__)
                self._make_room()
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._reading) + len(self._answering) >= self._limits.connections:
                self._make_room()
            task = self._loop.create_task(self._serve(connection))
            self._reading[task] = None
            task.add_done_callback(self._forget)
            await asyncio.sleep(0)  # the task starts, so that it owns the connection before it may be cut off

    def _make_room(self) -> None:
        """Cut off the client that has been sending its request for longest, or else the first that is answered."""
        oldest = next(iter(self._reading), None) or next(iter(self._answering), None)
        if oldest is not None:
            self._forget(oldest)
            oldest.cancel()
            self._cut_off()

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._reading.pop(task, None)
        self._answering.pop(task, None)

    async def _serve(self, connection: socket.socket) -> None:
        """One connection, from its first byte to its end. Its errors are the client's, or logged by their class."""
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                reader = asyncio.StreamReader(limit=self._limits.request_bytes)
                protocol = asyncio.StreamReaderProtocol(reader)
                transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._tls)
                head = await reader.readuntil(HEAD_END)
            task = asyncio.current_task()
            if task is not None and task in self._reading:
                self._answering[task] = self._reading.pop(task)
            async with asyncio.timeout(self._limits.answer_seconds):
                answer = await self._answer(head)
            async with asyncio.timeout(self._limits.send_seconds):
                writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
                writer.write(answer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
                transport = None
        except (OSError, EOFError, asyncio.LimitOverrunError):  # OSError: TimeoutError and TLS's errors too
            pass
        except Exception as error:  # noqa: BLE001 - a mistake in one page must not end the listener
            log.error("a request could not be answered", extra={"facts": {"error": type(error).__name__}})
        finally:
            if transport is not None:
                transport.abort()

    async def _answer(self, head: bytes) -> bytes:
        request = parse_request(head)
        if isinstance(request, HTTPStatus):
            return HttpAnswer(request, {"error": request.phrase}).page().encoded(with_body=True)
        refusal = self._access.refusal(request)
        if refusal is not None:
            self._refused(refusal)
            headers = {"WWW-Authenticate": "Bearer"} if refusal.status is HTTPStatus.UNAUTHORIZED else {}
            page = HttpAnswer(refusal.status, {"error": refusal.text}).page(headers)
        else:
            page = await self._respond(request)
        return page.encoded(with_body=request.method != "HEAD")


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)  # connections that were cut off are closed in the loop's next round


async def in_thread(work: Callable[[], T], *, ended: Callable[[], None] = lambda: None) -> T:
    """The result of blocking work, from a thread that does not keep the process from ending.

    `ended` is called when the work has ended, also if nobody waits for its result any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def give(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only beside an error, or where T allows it

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as caught:  # noqa: BLE001 - it goes to whoever waits
            error = caught
        finally:
            ended()
        with contextlib.suppress(RuntimeError):  # the loop may be closed by then
            loop.call_soon_threadsafe(give, result, error)

    threading.Thread(target=run, name="http", daemon=True).start()
    return await future

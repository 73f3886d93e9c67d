"""/metrics, /healthz and /readyz of one process, on a port and a thread of their own.

The port is on loopback, unless the operator names another address. Probes are answered at once, whatever other clients
do. Scrapes that come while a page is made wait for the next page and share it, so any number of them costs one page
after another. A check returns None, or one sentence that says what is wrong; it must not block.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from app.operators.errors import OperatorError
from app.operators.json_text import json_text
from app.serving.access import access_on
from app.serving.listener import HttpListener, ListenerLimits, in_thread
from app.serving.request import HttpPage, HttpRequest
from app.telemetry.meter import Meter
from app.telemetry.metric import HttpPort
from app.telemetry.metrics import CONNECTIONS_CUT
from app.telemetry.state_metrics import READY

log = logging.getLogger(__name__)

LIMITS: Final = ListenerLimits(
    connections=128,  # a few scrapers and probes; slow clients above it lose their places, probes do not
    request_bytes=8 << 10,  # a scrape's request has some 200
    request_seconds=10.0,  # a machine that stood still for a while does not lose a scrape
    answer_seconds=30.0,
    send_seconds=10.0,
)

Check = Callable[[], str | None]


class HttpError(OperatorError):
    """The endpoint cannot listen at the address of the settings."""


class TelemetryServer:
    """Serves one meter and two sets of checks until `close`."""

    def __init__(
        self,
        meter: Meter,
        *,
        alive: Mapping[str, Check],
        ready: Mapping[str, Check],
        limits: ListenerLimits = LIMITS,
    ) -> None:
        """`alive`: what makes the process worth restarting; `ready`: what keeps it from doing its job."""
        self._meter = meter
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(meter)
        ProcessCollector(registry=self._registry)
        self._alive = alive
        self._ready = ready
        self._limits = limits
        self._one_page = asyncio.Lock()
        self._next_pages: dict[str, asyncio.Task[bytes | None]] = {}
        self._listener: HttpListener | None = None
        self._respond_instead: Callable[[HttpRequest], Awaitable[HttpPage]] | None = None

    def start(self, host: str, port: int, listening: socket.socket | None = None) -> str:
        """Listen and return "host:port" as bound. Raises HttpError, naming the setting to change.

        A socket that is `listening` already, as another process left it, is used as it is.
        """
        cut_off = partial(self._meter.add, CONNECTIONS_CUT, 1, HttpPort.TELEMETRY)
        listener = HttpListener(self._respond, self._limits, cut_off=cut_off)
        host = host.strip("[]")
        try:
            bound = listener.listen(host, port) if listening is None else listener.listen_on(listening)
        except OSError as error:
            listener.close()
            raise HttpError(
                f"cannot listen on {host}:{port} for /metrics: {error.strerror or error}; "
                "set CALLSTREAM_HTTP_PORT or CALLSTREAM_HTTP_HOST (port 0 picks a free one)"
            ) from error
        self._listener = listener
        listener.serve(access_on(host), "telemetry")
        log.info("serving /metrics, /healthz and /readyz", extra={"facts": {"http": str(bound)}})
        return str(bound)

    @property
    def listening(self) -> socket.socket:
        """The socket of its port, for a process that is to answer on it next."""
        assert self._listener is not None
        return self._listener.listening

    def start_in_place_of(self, other: "TelemetryServer") -> None:
        """Answer on the port of another server from now on; that one is closed with this one."""
        self._listener = other.replaced_by(self._respond)

    def replaced_by(self, respond: Callable[[HttpRequest], Awaitable[HttpPage]]) -> HttpListener | None:
        """Give the port away, with all clients; `respond` answers from now on."""
        listener, self._listener, self._respond_instead = self._listener, None, respond
        return listener

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _respond(self, request: HttpRequest) -> HttpPage:
        if self._respond_instead is not None:
            return await self._respond_instead(request)
        match request.path:
            case "/metrics":
                encode, content_type = choose_encoder(request.header("Accept") or "")
                return HttpPage(HTTPStatus.OK, content_type, await self._metrics(content_type, encode))
            case "/healthz":
                return _checked("alive", self._alive)
            case "/readyz":
                return _checked("ready", self._ready)
            case _:
                return HttpPage(HTTPStatus.NOT_FOUND, "text/plain", b"try /metrics, /healthz or /readyz\n")

    async def _metrics(self, content_type: str, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        """The next page that is begun from now on."""
        page = self._next_pages.get(content_type)
        if page is None:
            page = asyncio.get_running_loop().create_task(self._make_page(content_type, encode))
            self._next_pages[content_type] = page
        body = await asyncio.shield(page)  # one client that goes away leaves the page to the others
        if body is None:
            raise ConnectionAbortedError
        return body

    async def _make_page(self, content_type: str, encode: Callable[[CollectorRegistry], bytes]) -> bytes | None:
        """One page after another; None, after a log line with the error's class, if it cannot be made."""
        async with self._one_page:
            del self._next_pages[content_type]
            try:
                return await in_thread(partial(self._encoded, encode))
            except Exception as error:  # noqa: BLE001 - a mistake of ours in one page; its words may hold anything
                log.error("a request could not be answered", extra={"facts": {"error": type(error).__name__}})
                return None

    def _encoded(self, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        """The checks are looked at before the page's lock is taken, because they may take locks of their own."""
        self._meter.replace(READY, {(check,): look() is None for check, look in self._ready.items()})
        return encode(self._registry)


def _checked(name: str, checks: Mapping[str, Check]) -> HttpPage:
    wrong = {check: problem for check, look in checks.items() if (problem := look()) is not None}
    body = json_text({name: not wrong, "failing": wrong, "checked": sorted(checks)}) + "\n"
    status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
    return HttpPage(status, "application/json", body.encode())

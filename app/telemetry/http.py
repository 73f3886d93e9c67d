"""/metrics, /healthz, /readyz and further routes of one process, on threads of their own.

It serves these three paths and the routes that the process hands over, by GET and HEAD; on loopback, unless the
operator names another address. A request is read whole before it is looked at: at most `MAX_REQUEST_BYTES` within
`REQUEST_SECONDS`. At most `MAX_CONNECTIONS` are open at once, so clients cannot use up the process's memory. A check
returns None, or one sentence that says what is wrong; it must not block.
"""

import io
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from app.operators.errors import OperatorError
from app.operators.escaping import escaped
from app.telemetry.meter import Meter

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES: Final = 8 << 10
"""A scrape's request has some 200 bytes."""
REQUEST_SECONDS: Final = 10.0
"""For reading a request, and again for each write of the answer: a machine that stood still for a while does not
lose a scrape."""
MAX_CONNECTIONS: Final = 16
"""A few scrapers and probes; Prometheus opens one."""

Check = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A document to answer with, as JSON."""

    status: HTTPStatus
    document: object


Route = Callable[[str], HttpAnswer]
"""Answers a request from its query string; it runs on the request's own thread and may block."""


class HttpError(OperatorError):
    """The endpoint cannot listen at the address of the settings."""


@dataclass(frozen=True, slots=True)
class _Pages:
    """What can be requested."""

    registry: CollectorRegistry
    alive: Mapping[str, Check]
    ready: Mapping[str, Check]
    routes: Mapping[str, Route]


class TelemetryServer:
    """Serves one meter and two sets of checks until `close`."""

    def __init__(
        self,
        meter: Meter,
        *,
        alive: Mapping[str, Check],
        ready: Mapping[str, Check],
        routes: Mapping[str, Route] | None = None,
    ) -> None:
        """`alive`: what makes the process worth restarting; `ready`: what keeps it from doing its job.

        `routes`: what it answers besides, by path.
        """
        registry = CollectorRegistry(auto_describe=False)
        registry.register(meter)
        ProcessCollector(registry=registry)
        self._pages = _Pages(registry, alive, ready, routes or {})
        self._server: _Server | None = None

    def start(self, host: str, port: int) -> str:
        """Listen and return "host:port" as bound. Raises HttpError, naming the setting to change."""
        try:
            self._server = _Server((host, port), self._pages)
        except OSError as error:
            raise HttpError(
                f"cannot listen on {host}:{port} for /metrics: {error.strerror or error}; "
                "set CALLSTREAM_HTTP_PORT or CALLSTREAM_HTTP_HOST (port 0 picks a free one)"
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="telemetry", daemon=True).start()
        bound_host, bound_port = self._server.server_address[:2]
        address = f"{bound_host!s}:{bound_port}"
        log.info("serving /metrics, /healthz and /readyz", extra={"facts": {"http": address}})
        return address

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], pages: _Pages) -> None:
        self.pages = pages
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse name look-up that HTTPServer makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Log a page that could not be made, by its error's class only; ignore a client that went away."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("a request could not be answered", extra={"facts": {"error": type(error).__name__}})


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "callstream"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(REQUEST_SECONDS)
        self.rfile = io.BufferedReader(io.BytesIO(_read_head(self.connection)))

    def do_GET(self) -> None:
        pages = self.server.pages
        path, _, query = self.path.partition("?")
        if path == "/metrics":
            encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encoder(pages.registry))
        elif path == "/healthz":
            self._answer_checks("alive", pages.alive)
        elif path == "/readyz":
            self._answer_checks("ready", pages.ready)
        elif path in pages.routes:
            answer = pages.routes[path](query)
            body = escaped(json.dumps(answer.document, ensure_ascii=False)) + "\n"
            self._answer(answer.status, "application/json", body.encode("utf-8", "backslashreplace"))
        else:
            known = ", ".join(["/metrics", "/healthz", *pages.routes])
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", f"try {known} or /readyz\n".encode())

    do_HEAD = do_GET  # noqa: N815 - http.server looks methods up by this form of name

    def _answer_checks(self, name: str, checks: Mapping[str, Check]) -> None:
        wrong = {check: problem for check, look in checks.items() if (problem := look()) is not None}
        body = json.dumps({name: not wrong, "failing": wrong, "checked": sorted(checks)}) + "\n"
        status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
        self._answer(status, "application/json", body.encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Log nothing: probes come every second."""


def _read_head(connection: socket.socket) -> bytes:
    """Request line and headers, or what came within the limits; the HTTP parser refuses what is cut off."""
    deadline = time.monotonic() + REQUEST_SECONDS
    head = b""
    try:
        while b"\r\n\r\n" not in head and len(head) < MAX_REQUEST_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                return b""
            connection.settimeout(left)
            received = connection.recv(MAX_REQUEST_BYTES - len(head))
            if not received:
                break
            head += received
    except TimeoutError:
        return b""
    connection.settimeout(REQUEST_SECONDS)
    return head if b"\r\n\r\n" in head else b""

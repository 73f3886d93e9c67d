"""Serves the console until it is told to stop."""

import asyncio
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from app.console.answers import Asked, ConsoleAnswers, checked, question_of
from app.console.followed_topics import FollowedTopics
from app.console.gate import API, METRICS, TRY_OUT, QuestionError, document_of, gate
from app.console.newcomers import REQUEST_SECONDS, Newcomers
from app.console.own_health import OwnHealth
from app.console.page_files import PageFile, page_files
from app.console.try_out import MAX_BYTES, TryOut
from app.console.worker_names import WorkerNames
from app.operators.errors import OperatorError
from app.serving.access import LOOPBACK_HOSTS, MIN_TOKEN_CHARS, HttpAccess
from app.serving.address import HostPort, bracketed, is_loopback
from app.serving.listener import in_thread
from app.settings import WILDCARD_HOSTS, Settings, SettingsError, variable_of
from app.stages.hot_symbols.query_port import client_tls, read_token
from app.steps import load_policy_hooks
from app.symbols.display import SymbolDisplay
from app.tls import TlsFiles, TlsFilesError, TlsVariables, server_context

log = logging.getLogger(__name__)

SLOW_AT_ONCE: Final = 4
"""Questions that read Kafka at once; each has connections of its own."""

QUICK_AT_ONCE: Final = 8
"""Questions that are answered out of memory, and take milliseconds."""

_STOP_SECONDS: Final = 2.0
_BACKLOG: Final = 512
_TOKEN_BYTES: Final = 24

TLS_SETTINGS: Final = TlsVariables(
    ca=variable_of("console_tls_client_ca_file"),
    cert=variable_of("console_tls_cert_file"),
    key=variable_of("console_tls_key_file"),
    name_remedy="name the one that it is for in the address that you open",
    use_tls=f"set {variable_of('console_tls_cert_file')}",
    no_tls="unset CALLSTREAM_CONSOLE_TLS_*",
)


class ConsoleError(OperatorError):
    """The console cannot be served as the settings say; the message names the setting to change."""


@dataclass(frozen=True, slots=True)
class ConsolePlace:
    """Where the console is: `url` without the token; `token` None where TLS asks for a certificate."""

    address: HostPort
    url: str
    token: str | None
    is_new_token: bool

    @property
    def opening_url(self) -> str:
        """What to open in a browser. The page takes the token out of the address."""
        return self.url if self.token is None else f"{self.url}#token={self.token}"


class ConsoleServer:
    """Serves from `run` on until `stop` is set."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError, ConsoleError and what else settings can be wrong in."""
        self._settings = settings
        self._by_certificate = settings.console_tls_client_ca_file is not None
        self._token: str | None = None
        self._is_new_token = False
        if not self._by_certificate:
            self._token, self._is_new_token = token_of(settings)
        self._tls = _tls(settings)
        self._files = page_files()
        self._newcomers = Newcomers()
        self._display = SymbolDisplay()
        self._followed = FollowedTopics(settings, self._display.name)
        self._answers = ConsoleAnswers(
            settings,
            self._followed,
            WorkerNames(settings.console_workers, read_token(settings), client_tls(settings)),
            TryOut(load_policy_hooks(settings.policy_hooks_file)),
            self._display.name,
        )
        self._health = OwnHealth(settings, self._followed)
        self._quick_places = asyncio.Semaphore(QUICK_AT_ONCE)
        self._slow_places = asyncio.Semaphore(SLOW_AT_ONCE)

    async def run(self, announce: Callable[[ConsolePlace], None], stop: asyncio.Event) -> None:
        """Serve. `announce` learns where. Raises ConsoleError."""
        host = self._settings.console_host.strip("[]")
        runner = web.AppRunner(
            self._application(host),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=30.0,
            shutdown_timeout=_STOP_SECONDS,
        )
        await runner.setup()
        try:
            made = runner.server
            assert made is not None
            try:
                listening = await asyncio.get_running_loop().create_server(
                    lambda: self._newcomers.come(made()),
                    host,
                    self._settings.console_port,
                    ssl=self._tls,
                    ssl_handshake_timeout=None if self._tls is None else REQUEST_SECONDS,
                    backlog=_BACKLOG,
                )
            except OSError as error:
                raise ConsoleError(
                    f"cannot listen on {host}:{self._settings.console_port}: {error.strerror or error}; "
                    "set CALLSTREAM_CONSOLE_PORT or CALLSTREAM_CONSOLE_HOST (port 0 picks a free one)"
                ) from error
            bound_host, bound_port = listening.sockets[0].getsockname()[:2]
            self._followed.start(self._answers.prepare)
            self._health.start()
            announce(self._place(HostPort(str(bound_host), int(bound_port))))
            await stop.wait()
            listening.close()
        finally:
            await runner.cleanup()
            await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """End what works beside the server."""
        self._health.stop()
        self._followed.close(_STOP_SECONDS)
        self._display.__exit__()

    def _place(self, bound: HostPort) -> ConsolePlace:
        scheme = "http" if self._tls is None else "https"
        shown = "127.0.0.1" if bound.host in WILDCARD_HOSTS else bound.host
        url = f"{scheme}://{bracketed(shown)}:{bound.port}{self._settings.console_base_path}"
        return ConsolePlace(bound, url, self._token, self._is_new_token)

    def _application(self, host: str) -> web.Application:
        base = self._settings.console_base_path
        access = HttpAccess(_hosts(self._settings, host), self._token, host_required=True)
        application = web.Application(
            middlewares=[self._newcomers.middleware(), gate(base, access, by_certificate=self._by_certificate)],
            client_max_size=MAX_BYTES,
        )
        router = application.router
        for name, answer in self._answers.quick.items():
            router.add_get(f"{base}{API}{name}", self._quickly(answer))
        for name, answer in self._answers.slow.items():
            router.add_get(f"{base}{API}{name}", self._slowly(answer))
        router.add_post(f"{base}{TRY_OUT}", self._try_out)
        router.add_get(f"{base}healthz", _healthy)
        router.add_get(f"{base}readyz", self._ready)
        router.add_get(f"{base}{METRICS}", self._metrics)
        for path, file in self._files.items():
            router.add_get(f"{base}{path}", partial(_file, file))
        if base != "/":
            router.add_get(base.rstrip("/"), partial(_moved, base))
        return application

    def _quickly(self, answer: Callable[[Asked], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def respond(request: web.Request) -> web.Response:
            asked = checked(dict(request.query))
            async with self._quick_places:
                return document_of(await in_thread(partial(answer, asked)))

        return respond

    def _slowly(self, answer: Callable[[Asked], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def respond(request: web.Request) -> web.Response:
            asked = checked(dict(request.query))
            if self._slow_places.locked():
                raise QuestionError(HTTPStatus.TOO_MANY_REQUESTS, "too many questions at once; try again in a moment")
            async with self._slow_places:
                try:
                    found = await in_thread(partial(answer, asked))
                except OperatorError as error:  # Kafka or the registry: its words are for operators
                    raise QuestionError(HTTPStatus.BAD_GATEWAY, str(error)) from None
            return document_of(found)

        return respond

    async def _ready(self, _request: web.Request) -> web.Response:
        failing = self._health.failing()
        status = HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK
        return document_of({"ready": not failing, "failing": failing}, status)

    async def _metrics(self, request: web.Request) -> web.Response:
        async with self._quick_places:
            body, content_type = await in_thread(partial(self._health.metrics, request.headers.get("Accept", "")))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def _try_out(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise QuestionError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        question = question_of(await request.read())
        async with self._quick_places:
            return document_of(await in_thread(partial(self._answers.try_out, question)))


async def _healthy(_request: web.Request) -> web.Response:
    return document_of({"alive": True})


async def _moved(base: str, _request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect(base)


async def _file(file: PageFile, request: web.Request) -> web.Response:
    headers = {"Cache-Control": "no-cache", "ETag": f'"{file.etag}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=file.content, content_type=file.content_type, charset="utf-8", headers=headers)


def token_of(settings: Settings) -> tuple[str, bool]:
    """The token of people, and whether it was made just now. Raises SettingsError, ConsoleError."""
    path, name = settings.console_token_file, variable_of("console_token_file")
    if path is None:
        if not is_loopback(settings.console_host.strip("[]")):
            raise ConsoleError(
                f"nothing says who may look: set {name}, or {variable_of('console_tls_client_ca_file')}, "
                "or listen on 127.0.0.1"
            )
        return secrets.token_urlsafe(_TOKEN_BYTES), True
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise SettingsError([f"{name}: {path} cannot be read as plain text"]) from None
    if len(token) < MIN_TOKEN_CHARS or not token.isprintable() or " " in token:
        wanted = f"one word of {MIN_TOKEN_CHARS} or more characters; try: openssl rand -hex 32"
        raise SettingsError([f"{name}: {path} does not hold {wanted}"])
    return token, False


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.console_tls_cert_file is None:
        return None
    files = TlsFiles(settings.console_tls_client_ca_file, settings.console_tls_cert_file, settings.console_tls_key_file)
    try:
        return server_context(files, TLS_SETTINGS)
    except TlsFilesError as error:
        raise SettingsError([str(error)]) from None


def _hosts(settings: Settings, host: str) -> frozenset[str]:
    """The names that a request's Host may have."""
    if settings.console_allowed_hosts:
        return frozenset(settings.console_allowed_hosts)
    if host in WILDCARD_HOSTS or is_loopback(host):
        return LOOPBACK_HOSTS if host in WILDCARD_HOSTS else LOOPBACK_HOSTS | {host.lower()}
    return frozenset({host.lower()})

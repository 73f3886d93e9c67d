"""The port of /hot-symbols: its settings, its limits, and who may ask there."""

import logging
import ssl
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from agents.hot_symbols.watch.files import KnownFiles
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.group_members import member_names
from app.operators.errors import OperatorError
from app.serving.access import LOOPBACK_HOSTS, MIN_TOKEN_CHARS, AccessRefusal, HttpAccess
from app.serving.address import HostPort, is_loopback
from app.serving.listener import HttpListener, ListenerLimits, in_thread
from app.serving.request import HttpAnswer, HttpPage, HttpRequest
from app.settings import WILDCARD_HOSTS, Settings, SettingsError, variable_of
from app.stages.hot_symbols.advertising import Owner, advertised, conflict
from app.stages.hot_symbols.doubled_hits import DoubledHits
from app.stages.hot_symbols.endpoint import PATH, QUESTION_SECONDS, Endpoint
from app.stages.hot_symbols.ownership import Ownership, published_owners
from app.stages.hot_symbols.peers import PeerAccess, Peers
from app.streaming.stage_process import StageRuntime
from app.streaming.table import StrictTable
from app.telemetry import metrics
from app.telemetry.meter import Meter
from app.telemetry.metric import HttpPort, QueryOutcome
from app.telemetry.repeated_lines import HoldBackRepeats
from app.tls import TlsFiles, TlsFilesError, TlsVariables, server_context, tls_context

log = logging.getLogger(__name__)
_refusals_log = log.getChild("refusals")
_refusals_log.addFilter(HoldBackRepeats())  # whoever tries tokens must not fill the log

LIMITS: Final = ListenerLimits(
    connections=128,
    request_bytes=16 << 10,  # a query of 8 KiB, the partitions that another worker adds, and a token
    request_seconds=10.0,
    answer_seconds=QUESTION_SECONDS + 5.0,
    send_seconds=30.0,  # 3 MB on a slow line
)
MAX_QUESTIONS: Final = 8
"""Questions of clients at once. Each may wait for other workers."""

MAX_PARTITION_QUESTIONS: Final = 8
"""Questions about named partitions at once. They wait for nobody, so they have places of their own: workers that query
each other never wait in a circle."""

TLS_SETTINGS: Final = TlsVariables(
    ca=variable_of("hot_symbols_tls_client_ca_file"),
    cert=variable_of("hot_symbols_tls_cert_file"),
    key=variable_of("hot_symbols_tls_key_file"),
    name_remedy=f"name the one that it is for in {variable_of('advertised_address')}",
    use_tls=f"set {variable_of('hot_symbols_tls_cert_file')}",
    no_tls="unset CALLSTREAM_HOT_SYMBOLS_TLS_*",
)


class QueryPortError(OperatorError):
    """/hot-symbols cannot be served as the settings say; the message names the setting to change."""


class QueryPort:
    """Serves one worker's table from `start` to `close`."""

    def __init__(
        self,
        runtime: StageRuntime,
        ownership: Ownership,
        table: StrictTable,
        answers: Callable[[], list[dict[str, Any]] | None],
        *,
        files: Callable[[], KnownFiles | None],
    ) -> None:
        """`answers` gives the answers to all watches, or None while they are not known; `files` those of the store."""
        self._runtime = runtime
        self._ownership = ownership
        self._table = table
        self._answers = answers
        self._files = files
        self._service: QueryService | None = None

    def start(self) -> None:
        """Listen, and find out where this worker and others are. Raises QueryPortError, SettingsError."""
        settings, app = self._runtime.settings, self._runtime.app
        token = read_token(settings)
        peer_access = PeerAccess(token, client_tls(settings))
        service = QueryService(settings, self._runtime.meter)
        bound = service.listen()
        self._service = service
        me = Owner(app.conf.consumer_group_instance_id, advertised(settings, bound))
        self._refuse_conflict(me, app.conf.id)
        self._ownership.me = me
        peers = Peers(me, settings.peer_networks, peer_access)
        endpoint = Endpoint(
            self._table,
            self._ownership,
            peers,
            self._runtime.partitions,
            self._answers,
            files=self._files,
            mark=DoubledHits(settings).mark,
        )
        service.serve(endpoint, HttpAccess(served_hosts(settings, bound, me.address), token, host_required=True))
        log.info("serving /hot-symbols", extra={"facts": {"hotSymbols": str(bound), "advertised": str(me.address)}})

    def close(self) -> None:
        """Stop listening."""
        if self._service is not None:
            self._service.close()

    def _refuse_conflict(self, me: Owner, group: str) -> None:
        """Raises QueryPortError where workers that run now would query themselves."""
        try:
            live = member_names(self._runtime.settings, group) - {me.worker}
        except (KafkaUnreachableError, KafkaUnusableError) as error:
            log.warning("the broker did not name the other workers: %s", error)
            return
        if not live:
            return
        settings = self._runtime.settings
        owners = [one for one in published_owners(settings, self._runtime.partitions).values() if one.worker in live]
        if not settings.advertised_address:
            # Of this host, whoever advertised what we have just bound has ended; the broker names it for a while.
            owners = [one for one in owners if one.host != me.host]
        problem = conflict(me, owners, live)
        if problem is not None:
            raise QueryPortError(problem)


class QueryService:
    """The listener in front of an endpoint, with places for questions."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        """Raises SettingsError if the TLS files cannot be used."""
        self._settings = settings
        self._meter = meter
        self._listener = HttpListener(
            self._respond,
            LIMITS,
            tls=server_tls(settings),
            cut_off=partial(meter.add, metrics.CONNECTIONS_CUT, 1, HttpPort.HOT_SYMBOLS),
            refused=self._refused,
        )
        self._endpoint: Callable[[str], HttpAnswer] | None = None
        self._questions = threading.BoundedSemaphore(MAX_QUESTIONS)
        self._partition_questions = threading.BoundedSemaphore(MAX_PARTITION_QUESTIONS)

    def listen(self) -> HostPort:
        """Bind, and return the address. Raises QueryPortError, naming the setting to change."""
        host, port = self._settings.hot_symbols_host.strip("[]"), self._settings.hot_symbols_port or 0
        try:
            return self._listener.listen(host, port)
        except OSError as error:
            self._listener.close()
            raise QueryPortError(
                f"cannot listen on {host}:{port} for /hot-symbols: {error.strerror or error}; "
                "set CALLSTREAM_HOT_SYMBOLS_PORT or CALLSTREAM_HOT_SYMBOLS_HOST (port 0 picks a free one)"
            ) from error

    def serve(self, endpoint: Callable[[str], HttpAnswer], access: HttpAccess) -> None:
        """Answer questions from now on."""
        self._endpoint = endpoint
        self._listener.serve(access, "hot-symbols")

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _refused(self, refusal: AccessRefusal) -> None:
        outcome = QueryOutcome.TOKEN if refusal.status is HTTPStatus.UNAUTHORIZED else QueryOutcome.HOST
        self._meter.add(metrics.HOT_QUERIES, 1, outcome)
        _refusals_log.warning("a question to /hot-symbols was refused: wrong %s", outcome)

    async def _respond(self, request: HttpRequest) -> HttpPage:
        page = await self._answer(request)
        self._meter.add(metrics.HOT_QUERIES, 1, _outcome(page.status))
        return page

    async def _answer(self, request: HttpRequest) -> HttpPage:
        assert self._endpoint is not None
        if request.path != PATH:
            return HttpAnswer(HTTPStatus.NOT_FOUND, {"error": f"try {PATH}"}).page()
        places = self._partition_questions if _names_partitions(request.query) else self._questions
        if not places.acquire(blocking=False):
            return HttpAnswer(HTTPStatus.TOO_MANY_REQUESTS, {"error": "too many questions at once; try again"}).page()
        return await in_thread(partial(_page_of, self._endpoint, request.query), ended=places.release)


def _outcome(status: HTTPStatus) -> QueryOutcome:
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return QueryOutcome.BUSY
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.MISDIRECTED_REQUEST:
            return QueryOutcome.INCOMPLETE
        case _:
            return QueryOutcome.ANSWERED if status is HTTPStatus.OK else QueryOutcome.MALFORMED


def _page_of(endpoint: Callable[[str], HttpAnswer], query: str) -> HttpPage:
    return endpoint(query).page()


def _names_partitions(query: str) -> bool:
    try:
        return "partition" in parse_qs(query, keep_blank_values=True)
    except ValueError:
        return False  # the endpoint refuses it


def read_token(settings: Settings) -> str | None:
    """The token of the settings' file; None if there is no file. Raises SettingsError if it cannot be one."""
    path = settings.hot_symbols_token_file
    if path is None:
        return None
    name = variable_of("hot_symbols_token_file")
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise SettingsError([f"{name}: {path} cannot be read as plain text"]) from None
    if len(token) < MIN_TOKEN_CHARS or not token.isprintable() or " " in token:
        wanted = f"one word of {MIN_TOKEN_CHARS} or more characters; try: openssl rand -hex 32"
        raise SettingsError([f"{name}: {path} does not hold {wanted}"])
    return token


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of the port; None without a certificate. Raises SettingsError."""
    return None if settings.hot_symbols_tls_cert_file is None else _context(server_context, settings)


def client_tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context for queries to other workers; None without a certificate. Raises SettingsError."""
    return None if settings.hot_symbols_tls_cert_file is None else _context(tls_context, settings)


def _context(make: Callable[[TlsFiles, TlsVariables], ssl.SSLContext], settings: Settings) -> ssl.SSLContext:
    files = TlsFiles(
        settings.hot_symbols_tls_client_ca_file, settings.hot_symbols_tls_cert_file, settings.hot_symbols_tls_key_file
    )
    try:
        return make(files, TLS_SETTINGS)
    except TlsFilesError as error:
        raise SettingsError([str(error)]) from None


def served_hosts(settings: Settings, bound: HostPort, advertised_as: HostPort) -> frozenset[str]:
    """The names that a request's Host may have."""
    hosts = {*settings.hot_symbols_allowed_hosts, advertised_as.host.lower()}
    if settings.hot_symbols_allowed_hosts:
        return frozenset(hosts)
    if bound.host in WILDCARD_HOSTS or is_loopback(bound.host):
        hosts |= LOOPBACK_HOSTS
    if bound.host not in WILDCARD_HOSTS:
        hosts |= {bound.host.lower(), settings.hot_symbols_host.strip("[]").lower()}
    return frozenset(hosts)

"""The port of /hot-symbols on real sockets: who is answered, and under which limits."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from app.serving.access import HttpAccess
from app.serving.address import HostPort
from app.serving.request import HttpAnswer
from app.settings import Settings, SettingsError, from_env
from app.stages.hot_symbols import query_port
from app.stages.hot_symbols.advertising import Owner, advertised, owner_in
from app.stages.hot_symbols.peers import PeerAccess, PeerError, Peers
from app.stages.hot_symbols.query_port import (
    QueryPortError,
    QueryService,
    client_tls,
    read_token,
    served_hosts,
)
from app.telemetry.meter import Meter
from tests.support.certificates import Authority

TOKEN = "0123456789abcdef0123456789abcdef"
ROWS = {"rows": [{"symbol_id": "a!f", "hits": 7}]}


def _rows(query: str) -> HttpAnswer:
    del query
    return HttpAnswer(HTTPStatus.OK, ROWS)


@contextmanager
def _served(
    settings: Settings | None = None,
    endpoint: Callable[[str], HttpAnswer] = _rows,
    access: HttpAccess | None = None,
    meter: Meter | None = None,
) -> Iterator[HostPort]:
    settings = settings or Settings()
    service = QueryService(settings, meter or Meter())
    bound = service.listen()
    hosts = served_hosts(settings, bound, bound)
    service.serve(endpoint, access or HttpAccess(hosts, TOKEN, host_required=True))
    try:
        yield bound
    finally:
        service.close()


def _status(address: HostPort, path: str = "/hot-symbols", token: str | None = TOKEN, **headers: str) -> int:
    connection = HTTPConnection(address.host, address.port, timeout=10)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _send(address: HostPort, raw: bytes) -> bytes:
    with socket.create_connection((address.host, address.port), timeout=20) as connection:
        connection.sendall(raw)
        received = b""
        while part := connection.recv(4096):
            received += part
        return received


def test_only_the_token_opens_it() -> None:
    """No token, another one, part of it, and the right one; the endpoint is not called for the others."""
    called = []

    def endpoint(query: str) -> HttpAnswer:
        called.append(query)
        return _rows(query)

    with _served(endpoint=endpoint) as address:
        assert _status(address, token=None) == 401
        assert _status(address, token="x" * len(TOKEN)) == 401
        assert _status(address, token=TOKEN[:-1]) == 401
        assert _status(address, token="é" * 16) == 401
        assert _status(address, token=None, Authorization=f"Basic {TOKEN}") == 401
        assert called == []
        assert _status(address, "/hot-symbols?top=3") == 200
        assert called == ["top=3"]


def test_every_question_is_counted_by_its_outcome(caplog: pytest.LogCaptureFixture) -> None:
    """What clients did can be read from the metrics page; whoever tries tokens gets one line of the log."""
    meter = Meter()
    statuses = iter([HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE])
    with _served(endpoint=lambda _: HttpAnswer(next(statuses), {}), meter=meter) as address:
        for _ in range(3):
            _status(address)
            _status(address, token="x" * 32)
        _status(address, Host="evil.example")

    counted = {
        sample.labels["outcome"]: sample.value
        for family in meter.collect()
        for sample in family.samples
        if sample.name == "hot_symbols_queries_total"
    }
    assert counted == {"answered": 1, "malformed": 1, "incomplete": 1, "busy": 0, "host": 1, "token": 3}
    assert caplog.text.count("wrong token") <= 1


def test_a_route_of_the_process_is_answered_as_json() -> None:
    """With its query string as it came, and with the status that it says; other paths are told which there are."""
    said = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with _served(endpoint=lambda query: HttpAnswer(HTTPStatus.IM_A_TEAPOT, {"query": query})) as address:
        answer = _send(address, b"GET /hot-symbols?a=%20b&c HTTP/1.1\r\n" + said)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 418")
        assert json.loads(body) == {"query": "a=%20b&c"}
        assert b"X-Content-Type-Options: nosniff" in head
        assert b"Cache-Control: no-store" in head
        assert _status(address, "/hot-symbols/more") == 404
        assert b"/hot-symbols" in _send(address, b"GET / HTTP/1.1\r\n" + said)


def test_a_name_that_was_led_here_is_not_answered() -> None:
    """A browser's page under another name gets nothing, even with the token; the operator may allow names."""
    with _served() as address:
        assert _status(address, Host="evil.example") == 400
        assert _status(address, Host=f"localhost:{address.port}") == 200
        assert b" 400 " in _send(address, b"GET /hot-symbols HTTP/1.0\r\n\r\n")
        twice = f"Host: localhost\r\nHost: evil.example\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        assert b" 400 " in _send(address, b"GET /hot-symbols HTTP/1.1\r\n" + twice.encode())
    settings = from_env({"CALLSTREAM_HOT_SYMBOLS_ALLOWED_HOSTS": "Symbols.example, [2001:db8::1]:443"})
    assert settings.hot_symbols_allowed_hosts == ("symbols.example", "2001:db8::1")
    with _served(settings) as address:
        assert _status(address, Host="symbols.example:443") == 200
        assert _status(address, Host="localhost") == 400


def test_clients_that_hold_their_places_keep_nobody_out() -> None:
    """Two hundred idle clients, and as many questions as there are places: what fits is answered, the rest is told."""
    let_go = threading.Event()

    def slow(query: str) -> HttpAnswer:
        assert "partition" in query or let_go.wait(30)
        return _rows(query)

    with _served(endpoint=slow) as address, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection((address.host, address.port), timeout=20))
        asking = [threading.Thread(target=_status, args=(address,)) for _ in range(query_port.MAX_QUESTIONS)]
        for thread in asking:
            thread.start()
        deadline = time.monotonic() + 20
        while _status(address, "/hot-symbols?partition=0") != 200 or not _is_full(address):
            assert time.monotonic() < deadline
        let_go.set()
        for thread in asking:
            thread.join()
        assert _status(address) == 200


def _is_full(address: HostPort) -> bool:
    """Whether one more question finds no place; asked with a short time, since it waits if it finds one."""
    connection = HTTPConnection(address.host, address.port, timeout=1)
    try:
        connection.request("GET", "/hot-symbols", headers={"Authorization": f"Bearer {TOKEN}"})
        return connection.getresponse().status == 429
    except TimeoutError:
        return False
    finally:
        connection.close()


def test_a_long_head_is_cut_off() -> None:
    """Nothing is kept of what no client of ours sends."""
    with _served() as address:
        try:
            answer = _send(address, b"GET /hot-symbols?symbol=" + b"a" * (2 * query_port.LIMITS.request_bytes))
        except ConnectionError:
            answer = b""
        assert answer == b""
        assert _status(address) == 200


def test_certificates_open_it_and_workers_show_theirs(tmp_path: Path) -> None:
    """Who has no certificate of the CA gets no answer; a worker reaches another one, and checks whom it reaches."""
    authority = Authority.create(tmp_path)
    stranger = Authority.create(tmp_path, "stranger")
    ours, theirs = authority.issue("worker"), stranger.issue("nobody")
    settings = Settings(
        hot_symbols_tls_cert_file=ours.certificate,
        hot_symbols_tls_key_file=ours.key,
        hot_symbols_tls_client_ca_file=authority.file,
    )
    me = Owner("hot-one-0", HostPort("127.0.0.1", 1_024))
    with _served(settings, access=HttpAccess()) as address:
        owner = Owner("hot-one-1", address)
        peers = Peers(me, (), PeerAccess(None, client_tls(settings)))
        assert peers.rows(owner, "/hot-symbols?partition=0", 10) == ROWS["rows"]

        for pair in (None, theirs):
            context = ssl.create_default_context(cafile=authority.file)
            if pair is not None:
                context.load_cert_chain(pair.certificate, pair.key)
            connection = HTTPSConnection(address.host, address.port, timeout=10, context=context)
            with pytest.raises(OSError):  # noqa: PT011 - TLS's alert or a reset, by the time at which it comes
                _request(connection)
            connection.close()
        with pytest.raises(PeerError, match="does not answer"):
            Peers(me, (), PeerAccess(None, None)).rows(owner, "/hot-symbols?partition=0", 10)

    false = Settings(
        hot_symbols_tls_cert_file=theirs.certificate,
        hot_symbols_tls_key_file=theirs.key,
        hot_symbols_tls_client_ca_file=stranger.file,
    )
    with _served(false, access=HttpAccess()) as address, pytest.raises(PeerError, match="SSLCertVerificationError"):
        peers.rows(Owner("hot-one-1", address), "/hot-symbols?partition=0", 10)


def _request(connection: HTTPConnection) -> int:
    connection.request("GET", "/hot-symbols")
    return connection.getresponse().status


def test_a_worker_shows_the_token_to_another() -> None:
    """The same token on all workers."""
    me = Owner("hot-one-0", HostPort("127.0.0.1", 1_024))
    with _served() as address:
        owner = Owner("hot-one-1", address)
        assert Peers(me, (), PeerAccess(TOKEN, None)).rows(owner, "/hot-symbols?partition=0", 10) == ROWS["rows"]
        with pytest.raises(PeerError, match="says: show the token"):
            Peers(me, (), PeerAccess(None, None)).rows(owner, "/hot-symbols?partition=0", 10)


def test_a_slow_handshake_holds_no_place(tmp_path: Path) -> None:
    """Clients that never finish TLS count as clients that have not sent their request."""
    authority = Authority.create(tmp_path)
    pair = authority.issue("worker")
    settings = Settings(
        hot_symbols_tls_cert_file=pair.certificate,
        hot_symbols_tls_key_file=pair.key,
        hot_symbols_tls_client_ca_file=authority.file,
    )
    me = Owner("hot-one-0", HostPort("127.0.0.1", 1_024))
    with _served(settings, access=HttpAccess()) as address, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection((address.host, address.port), timeout=20))
        peers = Peers(me, (), PeerAccess(None, client_tls(settings)))
        assert peers.rows(Owner("hot-one-1", address), "/hot-symbols?partition=0", 10) == ROWS["rows"]


@pytest.mark.parametrize("content", ["", "short", "two words of many letters", "\x1b[31m0123456789abcdef", "é" * 20])
def test_a_token_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    """The message names the file and how to make a good one."""
    file = tmp_path / "token"
    file.write_text(content)

    with pytest.raises(SettingsError, match="CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE"):
        read_token(Settings(hot_symbols_token_file=file))
    file.write_text(TOKEN + "\n")
    assert read_token(Settings(hot_symbols_token_file=file)) == TOKEN


def test_a_taken_port_names_the_setting() -> None:
    """The message says which address is taken and what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(QueryPortError, match=rf"127\.0\.0\.1:{port}.*CALLSTREAM_HOT_SYMBOLS_PORT"):
            QueryService(Settings(hot_symbols_port=port), Meter()).listen()


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_goes_round() -> None:
    """Bound, advertised, published, read back and reached: in brackets wherever it stands before a port."""
    settings = from_env({"CALLSTREAM_HOT_SYMBOLS_HOST": "[::1]"})
    with _served(settings) as address:
        assert str(address) == f"[::1]:{address.port}"
        owner = owner_in(Owner("hot-one-1", advertised(settings, address)).encoded())
        assert owner is not None
        asking = Peers(Owner("hot-one-0", HostPort("::1", 1_024)), (), PeerAccess(TOKEN, None))
        assert asking.rows(owner, "/hot-symbols?partition=0", 10) == ROWS["rows"]

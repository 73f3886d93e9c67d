"""The registry's client, against a small HTTP server that answers as it is told."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from app.kafka import registry_link
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.settings import from_env
from tests.support.certificates import Authority
from tests.support.registry_subjects import subjects_of

_SCHEMA = '{"type":"string"}'
_PASSWORD = "pass-" + "word-of-the-test"


@dataclass
class _Stub:
    """Answers in order, each a status and a body; the last one again and again. `seen` has what was asked."""

    answers: list[tuple[int, object]] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    def client(self, **options: object) -> SchemaRegistry:
        return SchemaRegistry(f"http://127.0.0.1:{self.port}/api/", **options)  # type: ignore[arg-type] # passed on


def _serve(stub: _Stub, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            stub.seen.append((self.command, self.path, dict(self.headers), body))
            status, content = stub.answers.pop(0) if len(stub.answers) > 1 else stub.answers[0]
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    stub.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stub]:
    """A registry that answers as told, and a client that does not wait between its tries."""
    quick = registry_link._RETRIES.new(backoff_factor=0)
    monkeypatch.setattr(registry_link, "_RETRIES", quick)
    stub = _Stub()
    server = _serve(stub)
    yield stub
    server.shutdown()
    server.server_close()


def test_registering_sends_what_confluent_asks_for(stub: _Stub) -> None:
    """The schema travels as text in JSON, with the registry's content type, and the id comes back."""
    stub.answers = [(200, {"id": 7})]
    assert stub.client().register("dev.runtime.calls-value", _SCHEMA) == 7
    method, path, headers, body = stub.seen[0]
    assert (method, path) == ("POST", "/api/subjects/dev.runtime.calls-value/versions")
    assert headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
    assert json.loads(body) == {"schema": _SCHEMA}
    assert "Authorization" not in headers


def test_subject_names_cannot_change_the_path(stub: _Stub) -> None:
    """A slash or a question mark in a prefix stays inside the name."""
    stub.answers = [(200, {"id": 7})]
    stub.client().register("a/b?c", _SCHEMA)
    assert stub.seen[0][1] == "/api/subjects/a%2Fb%3Fc/versions"


@pytest.mark.parametrize(
    ("status", "answer", "fault", "text"),
    [
        (409, {"error_code": 409, "message": "field y has no default"}, Fault.SCHEMA_REFUSED, "field y has no default"),
        (422, {"error_code": 42201, "message": "no Avro"}, Fault.SCHEMA_REFUSED, "no Avro"),
        (401, {"error_code": 401, "message": "who?"}, Fault.NOT_ALLOWED, "does not let us in"),
        (403, b"<html>", Fault.NOT_ALLOWED, "does not let us in"),
        (404, {"error_code": 404, "message": "HTTP 404 Not Found"}, Fault.UNEXPECTED, "HTTP 404"),
        (404, b"nothing here", Fault.UNEXPECTED, "HTTP 404"),
        (500, {"error_code": 50001, "message": "store broken"}, Fault.UNEXPECTED, "store broken"),
        (200, {"other": 1}, Fault.UNEXPECTED, "has no id"),
        (200, b"<html>hello</html>", Fault.UNEXPECTED, "HTTP 200"),
        (302, b"", Fault.UNEXPECTED, "HTTP 302"),
    ],
)
def test_a_refusal_names_the_subject_and_the_registrys_reason(
    stub: _Stub, status: int, answer: object, fault: Fault, text: str
) -> None:
    """Each kind of refusal is told apart, asked once, and reported in the registry's words."""
    stub.answers = [(status, answer)]
    with pytest.raises(RegistryError, match="subject my-value") as caught:
        stub.client().register("my-value", _SCHEMA)
    assert caught.value.fault is fault
    assert text in str(caught.value)
    assert [one[1] for one in stub.seen[1:]] in ([], [f"{path}/subjects" for path in registry_link._PATHS])


def test_a_long_reason_is_cut(stub: _Stub) -> None:
    """A registry that repeats the whole schema does not fill the terminal."""
    stub.answers = [(409, {"error_code": 409, "message": "x" * 100_000})]
    with pytest.raises(RegistryError) as caught:
        stub.client().register("my-value", _SCHEMA)
    assert len(str(caught.value)) < 1_000


def test_an_endless_answer_is_cut(stub: _Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers with megabytes is not a registry."""
    monkeypatch.setattr(registry_link, "_MAX_ANSWER_BYTES", 1_000)
    stub.answers = [(200, b" " * 2_000 + b'{"id": 1}')]
    with pytest.raises(RegistryError, match="longer than any schema"):
        stub.client().register("my-value", _SCHEMA)


def test_a_registry_that_is_starting_is_asked_again(stub: _Stub) -> None:
    """503 is waited out a bounded number of times."""
    stub.answers = [(503, b""), (503, b""), (200, {"id": 3})]
    assert stub.client().register("my-value", _SCHEMA) == 3
    stub.answers, stub.seen = [(503, b"")], []
    with pytest.raises(RegistryError, match="HTTP 503"):
        stub.client().register("my-value", _SCHEMA)
    assert 1 < len(stub.seen) < 10


def test_a_registry_that_is_gone_is_told_with_its_address(stub: _Stub) -> None:
    """The message has the subject, the address and the system's reason, and no secret."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        stub.port = unused.getsockname()[1]
    with pytest.raises(RegistryError, match=f"my-value.*127.0.0.1:{stub.port}.*refused") as caught:
        stub.client(username="u", password=_PASSWORD).register("my-value", _SCHEMA)
    assert caught.value.fault is Fault.UNREACHABLE
    assert "object at 0x" not in str(caught.value)


def test_what_is_not_there_is_none(stub: _Stub) -> None:
    """An unknown subject or schema is an answer, not an error; an unknown id is an error that names it."""
    stub.answers = [(404, {"error_code": 40401, "message": "Subject 'my-value' not found."})]
    client = stub.client()
    assert client.id_of("my-value", _SCHEMA) is None
    assert client.compatibility("my-value") is None
    assert client.incompatibilities("my-value", _SCHEMA) is None
    with pytest.raises(RegistryError, match="schema id 9") as caught:
        client.schema(9)
    assert caught.value.fault is Fault.NOT_FOUND


def test_compatibility_is_asked_against_every_version(stub: _Stub) -> None:
    """The registry's messages come back; no message is told apart from being compatible."""
    client = stub.client()
    stub.answers = [(200, {"is_compatible": True})]
    assert client.incompatibilities("my-value", _SCHEMA) is None
    assert stub.seen[0][1] == "/api/compatibility/subjects/my-value/versions?verbose=true"
    stub.answers = [(200, {"is_compatible": False, "messages": ["enum lost a symbol"]})]
    assert client.incompatibilities("my-value", _SCHEMA) == ["enum lost a symbol"]
    stub.answers = [(200, {"is_compatible": False})]
    assert client.incompatibilities("my-value", _SCHEMA) == []


def test_levels_schemas_and_subjects_are_read_and_written(stub: _Stub) -> None:
    """The rest of the interface, once each."""
    client = stub.client()
    stub.answers = [(200, {"compatibilityLevel": "FULL"})]
    assert client.compatibility("my-value") == "FULL"
    stub.answers = [(200, {"compatibility": "FULL_TRANSITIVE"})]
    client.set_compatibility("my-value", "FULL_TRANSITIVE")
    assert json.loads(stub.seen[-1][3]) == {"compatibility": "FULL_TRANSITIVE"}
    stub.answers = [(200, {"schema": _SCHEMA})]
    assert client.schema(9) == _SCHEMA
    stub.answers = [(200, {})]
    with pytest.raises(RegistryError, match="schema id 9"):
        client.schema(9)
    stub.answers = [(200, ["b", "a"])]
    assert subjects_of(f"http://127.0.0.1:{stub.port}/api") == ["a", "b"]
    stub.answers = [(200, {"id": 4, "version": 1})]
    assert client.id_of("my-value", _SCHEMA) == 4


def test_the_password_is_sent_and_never_shown(stub: _Stub, tmp_path: Path) -> None:
    """Basic authentication from the password file, without its line end; repr and errors are free of it."""
    secret = tmp_path / "password"
    secret.write_text(f"{_PASSWORD}\n")
    settings = from_env(
        {
            "CALLSTREAM_SCHEMA_REGISTRY_URL": f"http://127.0.0.1:{stub.port}",
            "CALLSTREAM_SCHEMA_REGISTRY_USERNAME": "writer",
            "CALLSTREAM_SCHEMA_REGISTRY_PASSWORD_FILE": str(secret),
        }
    )
    stub.answers = [(401, {"error_code": 401, "message": f"wrong: {_PASSWORD}"})]
    with SchemaRegistry.from_settings(settings) as client:
        with pytest.raises(RegistryError) as caught:
            client.register("my-value", _SCHEMA)
        shown = repr(client) + str(caught.value)
    expected = base64.b64encode(f"writer:{_PASSWORD}".encode()).decode()
    sent = {name.lower(): value for name, value in stub.seen[0][2].items()}
    assert sent["authorization"] == f"Basic {expected}"
    assert _PASSWORD not in shown
    assert expected not in shown


def test_tls_is_verified_and_our_certificate_is_shown(tmp_path: Path) -> None:
    """Mutual TLS works with the right files; without the right authority or our certificate there is no connection."""
    ours, stranger = Authority.create(tmp_path), Authority.create(tmp_path, "stranger")
    server_pair, client_pair = ours.issue("registry"), ours.issue("client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pair.certificate, server_pair.key)
    context.load_verify_locations(ours.file)
    context.verify_mode = ssl.CERT_REQUIRED
    stub = _Stub(answers=[(200, {"id": 1})])
    server = _serve(stub, context)
    url = f"https://127.0.0.1:{stub.port}"
    try:
        with SchemaRegistry(
            url, ca_file=ours.file, cert_file=client_pair.certificate, key_file=client_pair.key
        ) as client:
            assert client.register("my-value", _SCHEMA) == 1
        with SchemaRegistry(
            url, ca_file=stranger.file, cert_file=client_pair.certificate, key_file=client_pair.key
        ) as client:
            with pytest.raises(
                RegistryError, match="not signed by a CA of CALLSTREAM_SCHEMA_REGISTRY_SSL_CA"
            ) as caught:
                client.register("my-value", _SCHEMA)
            assert caught.value.fault is Fault.UNREACHABLE
        with SchemaRegistry(url, ca_file=ours.file) as client, pytest.raises(RegistryError):
            client.register("my-value", _SCHEMA)
    finally:
        server.shutdown()
        server.server_close()
    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ("expired", "has expired"),
        ("renamed", "is not for '127.0.0.1'; write the name that it is for into CALLSTREAM_SCHEMA_REGISTRY_URL"),
        ("no certificate", "client certificate: set CALLSTREAM_SCHEMA_REGISTRY_SSL_CERT_FILE and"),
        ("plaintext", "speaks TLS and we do not: write https:// in CALLSTREAM_SCHEMA_REGISTRY_URL"),
        ("no tls", "does not speak TLS there: write http:// in CALLSTREAM_SCHEMA_REGISTRY_URL"),
    ],
)
def test_every_usual_mistake_with_tls_is_told_with_the_setting(tmp_path: Path, mistake: str, told: str) -> None:
    """Beside the wrong authority of the test before."""
    ours = Authority.create(tmp_path)
    pairs = {
        "expired": ours.issue("outdated", valid_days=(-9, -2)),
        "renamed": ours.issue("registry.example", loopback=False),
    }
    pair = pairs.get(mistake) or ours.issue("registry")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if mistake == "no certificate":
        context.load_verify_locations(ours.file)
        context.verify_mode = ssl.CERT_REQUIRED
    stub = _Stub()
    server = _serve(stub, None if mistake == "no tls" else context)
    scheme = "http" if mistake == "plaintext" else "https"
    try:
        with (
            SchemaRegistry(f"{scheme}://127.0.0.1:{stub.port}", ca_file=ours.file) as client,
            pytest.raises(RegistryError) as caught,
        ):
            client.register("my-value", _SCHEMA)
    finally:
        server.shutdown()
        server.server_close()
    assert told in str(caught.value)
    assert caught.value.fault is Fault.UNREACHABLE


def test_a_lost_connection_is_asked_again(stub: _Stub) -> None:
    """A keep-alive connection that the registry closed in the meantime costs no error."""
    stub.answers = [(200, {"id": 1})]
    client = stub.client()
    assert client.register("my-value", _SCHEMA) == 1
    pool = client._link._http.connection_from_url(f"http://127.0.0.1:{stub.port}")
    connection = pool._get_conn()
    assert isinstance(connection, urllib3.connection.HTTPConnection)
    connection.sock.shutdown(socket.SHUT_RDWR)
    pool._put_conn(connection)
    assert client.register("my-value", _SCHEMA) == 1

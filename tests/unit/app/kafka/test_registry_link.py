"""Several addresses of one registry, tokens, and addresses that lack their path."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.kafka import registry_link
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.settings import Settings, from_env
from tests.support.identity_provider import CLIENT, SECRET, identity_provider

_SCHEMA = '{"type":"string"}'


@dataclass
class _Registry:
    """Serves Confluent's interface under `path`; at all other paths it answers with `stranger`, as web servers do."""

    path: str = ""
    status: int = 200
    stranger: tuple[int, bytes] = (404, b"<html>not found</html>")
    logins: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        if not path.startswith(f"{self.path}/subjects"):
            return self.stranger
        if self.status != 200:
            return self.status, b"{}"
        return 200, json.dumps(["one"] if method == "GET" else {"id": 7}).encode()


@contextmanager
def _serving(registry: _Registry) -> Iterator[_Registry]:
    class RegistryHandler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            registry.logins.append(self.headers.get("Authorization", ""))
            status, body = registry.answer(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), RegistryHandler)
    registry.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_link, "_PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize("first", ["http://127.0.0.1:1", "unavailable"])
def test_another_address_is_asked_when_one_does_not_answer(first: str) -> None:
    """And the one that answered is asked first from then on."""
    with ExitStack() as stack:
        away, there = (stack.enter_context(_serving(_Registry(status=status))) for status in (503, 200))
        url = f"{away.origin if first == 'unavailable' else first},{there.origin}"
        with SchemaRegistry(url) as client:
            assert [client.register("s-value", _SCHEMA) for _ in range(3)] == [7, 7, 7]
        assert len(away.logins) == (1 if first == "unavailable" else 0)
        assert len(there.logins) == 3


def test_addresses_that_all_do_not_answer_are_all_named() -> None:
    """Each with its reason."""
    with _serving(_Registry(status=502)) as broken, SchemaRegistry(f"http://127.0.0.1:1,{broken.origin}") as client:
        with pytest.raises(
            RegistryError, match=rf"127.0.0.1:1: .*refused.*; {broken.origin} answers HTTP 502"
        ) as caught:
            client.register("s-value", _SCHEMA)
        assert caught.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize("path", ["", "/apis/ccompat/v7", "/apis/ccompat/v6"])
@pytest.mark.parametrize("given", ["", "/api", "/apis/ccompat/v7", "/apis/ccompat/v5"])
@pytest.mark.parametrize("stranger", [(404, b"<html>"), (404, b'{"error_code":404}'), (200, b"<html>"), (302, b"")])
def test_the_path_that_an_address_lacks_is_named(path: str, given: str, stranger: tuple[int, bytes]) -> None:
    """Whatever the server says at other paths."""
    with _serving(_Registry(path, stranger=stranger)) as registry, SchemaRegistry(registry.origin + given) as client:
        if path == given:
            assert client.register("s-value", _SCHEMA) == 7
            return
        with pytest.raises(RegistryError, match=rf"CALLSTREAM_SCHEMA_REGISTRY_URL={registry.origin}{path}$") as caught:
            client.register("s-value", _SCHEMA)
        assert caught.value.fault is Fault.UNEXPECTED


def test_without_a_registry_the_usual_addresses_are_named() -> None:
    """With the products that have them."""
    told = r"usual addresses are .*Karapace.*/apis/ccompat/v7 \(Apicurio"
    with (
        _serving(_Registry("/elsewhere")) as registry,
        SchemaRegistry(registry.origin) as client,
        pytest.raises(RegistryError, match=told),
    ):
        client.versions("s-value")


def test_a_token_is_read_again_and_sent_with_each_request(tmp_path: Path) -> None:
    """From a file, or from an identity provider."""
    with _serving(_Registry()) as registry, identity_provider(tmp_path) as provider:
        file, secret = tmp_path / "token", tmp_path / "secret"
        file.write_text("word\n")
        secret.write_text(SECRET)
        given = {"URL": registry.origin, "TOKEN_FILE": str(file)}
        with SchemaRegistry.from_settings(_settings(given)) as client:
            client.register("s-value", _SCHEMA)
        assert registry.logins == ["Bearer word"]
        given = {
            "URL": registry.origin,
            "OAUTH_TOKEN_URL": provider.url,
            "OAUTH_CLIENT_ID": CLIENT,
            "OAUTH_CLIENT_SECRET_FILE": str(secret),
            "OAUTH_CA_FILE": str(provider.authority.file),
        }
        with SchemaRegistry.from_settings(_settings(given)) as client:
            client.register("s-value", _SCHEMA)
            client.register("s-value", _SCHEMA)
        assert registry.logins[1] == registry.logins[2]
        assert registry.logins[1].count(".") == 2
        assert provider.given == 1


def test_without_a_token_nothing_is_asked(tmp_path: Path) -> None:
    """The error names the setting."""
    with _serving(_Registry()) as registry:
        given = {"URL": registry.origin, "TOKEN_FILE": str(tmp_path / "none")}
        told = r"^CALLSTREAM_SCHEMA_REGISTRY_TOKEN_FILE names"
        with SchemaRegistry.from_settings(_settings(given)) as client, pytest.raises(RegistryError, match=told):
            client.register("s-value", _SCHEMA)
        assert registry.logins == []


def _settings(given: dict[str, str]) -> Settings:
    return from_env({f"CALLSTREAM_SCHEMA_REGISTRY_{name}": value for name, value in given.items()})

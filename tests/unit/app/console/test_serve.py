"""The console's server by itself: where it listens, to whom it answers, and how it ends; no broker is there."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from click.testing import CliRunner

from app.__main__ import cli
from app.console.serve import ConsoleError, ConsoleServer, token_of
from app.settings import Settings, SettingsError, from_env
from tests.support.certificates import Authority
from tests.support.console_scene import TOKEN, Console, console

NOWHERE = {"CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CALLSTREAM_SCHEMA_REGISTRY_URL": "http://127.0.0.1:1"}


_starts_a_process = pytest.mark.slow(reason="it starts the console as a process, two seconds")


@contextmanager
def _served(folder: Path, **more: str) -> Iterator[Console]:
    with console(NOWHERE, folder, **more) as served:
        yield served


@_starts_a_process
def test_without_kafka_the_page_is_there_and_says_what_is_wrong(tmp_path: Path) -> None:
    """It starts before the brokers, ends by SIGTERM all the same, and its health needs no token."""
    with _served(tmp_path) as served:
        assert served.answer("GET", "", token=None).status == 200
        assert served.answer("GET", "healthz", token=None).json() == {"alive": True}
        ready = served.answer("GET", "readyz", token=None)
        assert (ready.status, ready.json()) == (503, {"ready": False, "failing": ["topics"]})
        assert served.answer("GET", "metrics", token=None).status == 401
        metrics = served.answer("GET", "metrics").data.decode()
        assert 'runtime_ready{check="topics"} 0.0' in metrics
        assert "process_cpu_seconds_total" in metrics
        assert served.answer("GET", "api/about", token=None).status == 401
        about = served.ask("api/about")
        assert about["is_read"] is False
        assert served.answer("GET", "api/window?node=a").status == 502
        assert served.ask("api/symbols") == {"rows": [], "found": 0, "of": 0, "is_read": False}
        assert served.answer("GET", "api/nodes?from=nonsense").status == 400
        assert served.answer("GET", f"api/symbols?text={'x' * 5_000}").status == 414


@_starts_a_process
def test_behind_a_proxy_everything_is_below_its_path(tmp_path: Path) -> None:
    """The path alone leads to the page; nothing is served beside it."""
    with _served(
        tmp_path, console_base_path="/callstream", console_allowed_hosts="look.example.org,127.0.0.1"
    ) as served:
        assert served.url.endswith("/callstream/")
        assert served.ask("api/about")["is_read"] is False
        origin = served.url.removesuffix("/callstream/")
        moved = urllib3.request("GET", f"{origin}/callstream", redirect=False)
        assert (moved.status, moved.headers["Location"]) == (308, "/callstream/")
        assert urllib3.request("GET", f"{origin}/api/about").status == 404
        for host, status in (("look.example.org", 200), ("other.example.org", 400)):
            assert urllib3.request("GET", served.url, headers={"Host": host}).status == status


@_starts_a_process
def test_with_a_certificate_of_its_authority_nobody_needs_a_token(tmp_path: Path) -> None:
    """And without one there is no connection."""
    authority = Authority.create(tmp_path)
    server, person = authority.issue("server"), authority.issue("person")
    files = {
        "console_tls_cert_file": str(server.certificate),
        "console_tls_key_file": str(server.key),
        "console_tls_client_ca_file": str(authority.file),
        "console_token_file": "",
    }
    with _served(tmp_path, **files) as served:
        assert served.url.startswith("https://")
        known = ssl.create_default_context(cafile=authority.file)
        known.check_hostname = False
        with (
            urllib3.PoolManager(ssl_context=known, retries=False) as stranger,
            pytest.raises(urllib3.exceptions.HTTPError),
        ):
            stranger.request("GET", served.url + "api/about")
        known.load_cert_chain(person.certificate, person.key)
        with urllib3.PoolManager(ssl_context=known, retries=False) as pool:
            assert pool.request("GET", served.url + "api/about").status == 200


@_starts_a_process
def test_where_it_cannot_listen_it_says_what_to_set(tmp_path: Path) -> None:
    """With exit code 2."""
    (tmp_path / "token").write_text(TOKEN)
    with _served(tmp_path) as served:
        port = served.origin.rpartition(":")[2]
        environ = {**NOWHERE, "CALLSTREAM_CONSOLE_PORT": port, "CALLSTREAM_CONSOLE_TOKEN_FILE": str(tmp_path / "token")}
        done = CliRunner().invoke(cli, ["console"], env=environ)
        assert done.exit_code == 2
        assert "CALLSTREAM_CONSOLE_PORT" in done.output


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_away_from_loopback_somebody_must_be_named(host: str) -> None:
    """A new token that is printed into a log is not an answer to who may look."""
    with pytest.raises(ConsoleError, match="CALLSTREAM_CONSOLE_TOKEN_FILE"):
        ConsoleServer(from_env({"CALLSTREAM_CONSOLE_HOST": host}))


@pytest.mark.parametrize("content", ["short", "two words of a sentence", "\x00" * 20, ""])
def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path, content: str) -> None:
    """With what to do, and without the content."""
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(SettingsError, match="openssl rand") as refused:
        token_of(Settings(console_token_file=file))
    assert not content or content not in str(refused.value)


def test_a_new_token_is_made_on_loopback_only_where_none_is_set(tmp_path: Path) -> None:
    """Another one at each start."""
    first, second = token_of(Settings()), token_of(Settings())
    assert first[1]
    assert first != second
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert token_of(Settings(console_token_file=tmp_path / "token")) == (TOKEN, False)

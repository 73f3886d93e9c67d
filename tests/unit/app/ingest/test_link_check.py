"""Wrong links to real servers: the simulator with TLS, and listeners that are no gRPC server."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.ingest.link import AgentLink
from app.ingest.link_check import diagnose
from app.simulator.recording import Recording
from app.simulator.server import ServerTlsFiles as ServerFiles
from app.simulator.server import SimulatorServer
from app.tls import Diagnosis, TlsFiles
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.certificates import Authority, Pair

RECORDING = Recording.of([GetEventsResponse(node_name="n").SerializeToString()])


@pytest.fixture(name="authority")
def _authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path)


def _tls_server(pair: Pair, client_ca: Path | None = None) -> SimulatorServer:
    return SimulatorServer(RECORDING, tls=ServerFiles(pair.certificate, pair.key, client_ca))


def _localhost(address: str) -> str:
    return address.replace("127.0.0.1", "localhost")


def _diagnosis(address: str, tls: TlsFiles | None, server_name: str = "") -> Diagnosis:
    found = diagnose(AgentLink(address, tls, server_name, 600))
    assert found is not None
    assert address in found.text or "CALLSTREAM" in found.text
    return found


@contextmanager
def _listener(answer: bytes) -> Iterator[str]:
    """A server that says `answer` to every client and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(5)
                    client.recv(1000)
                    if answer:
                        client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_working_links_have_no_diagnosis(authority: Authority) -> None:
    """Plaintext to plaintext, TLS to TLS, and mTLS with a certificate."""
    ours = authority.issue("us")
    files = TlsFiles(authority.file, ours.certificate, ours.key)
    with SimulatorServer(RECORDING) as plain, _tls_server(authority.issue("agent"), authority.file) as locked:
        assert diagnose(AgentLink(plain.address, None, "", 600)) is None
        assert diagnose(AgentLink(_localhost(locked.address), files, "", 600)) is None


def test_wrong_ca(authority: Authority, tmp_path: Path) -> None:
    """The first usual mistake: the CA file is another authority's."""
    (tmp_path / "other").mkdir()
    stranger = Authority.create(tmp_path / "other", "stranger")
    with _tls_server(authority.issue("agent")) as server:
        found = _diagnosis(_localhost(server.address), TlsFiles(stranger.file, None, None))

    assert found.misconfigured
    assert "not signed by a CA of CALLSTREAM_TETRAGON_TLS_CA_FILE" in found.text


@pytest.mark.parametrize(("from_days", "to_days", "word"), [(-9, -2, "has expired"), (2, 9, "is not valid yet")])
def test_expired_and_future_certificates(authority: Authority, from_days: int, to_days: int, word: str) -> None:
    """The second: nobody renewed it, or a clock is wrong."""
    with _tls_server(authority.issue("outdated", valid_days=(from_days, to_days))) as server:
        found = _diagnosis(_localhost(server.address), TlsFiles(authority.file, None, None))

    assert found.misconfigured
    assert word in found.text


def test_name_mismatch_names_the_setting_that_cures_it(authority: Authority) -> None:
    """The third: Tetragon's own certificates are for *.tetragon-grpc.cilium.io."""
    with _tls_server(authority.issue("agent")) as server:
        found = _diagnosis(_localhost(server.address), TlsFiles(authority.file, None, None), "elsewhere.example")
        cured = diagnose(AgentLink(_localhost(server.address), TlsFiles(authority.file, None, None), "agent", 600))

    assert found.misconfigured
    assert "not for 'elsewhere.example'" in found.text
    assert "CALLSTREAM_TETRAGON_TLS_SERVER_NAME" in found.text
    assert cured is None


def test_missing_client_certificate(authority: Authority) -> None:
    """The fourth: with TLS 1.3 the server's refusal comes after the handshake."""
    with _tls_server(authority.issue("agent"), authority.file) as server:
        found = _diagnosis(_localhost(server.address), TlsFiles(authority.file, None, None))

    assert found.misconfigured
    assert "wants a client certificate: set CALLSTREAM_TETRAGON_TLS_CERT_FILE" in found.text


def test_client_certificate_of_another_authority(authority: Authority, tmp_path: Path) -> None:
    """A certificate that the server does not know is told from a missing one."""
    (tmp_path / "other").mkdir()
    ours = Authority.create(tmp_path / "other", "stranger").issue("us")
    with _tls_server(authority.issue("agent"), authority.file) as server:
        found = _diagnosis(_localhost(server.address), TlsFiles(authority.file, ours.certificate, ours.key))

    assert "does not accept our client certificate" in found.text


def test_plaintext_against_tls(authority: Authority) -> None:
    """The fifth: the server speaks TLS and we were not told."""
    with _tls_server(authority.issue("agent")) as server:
        found = _diagnosis(server.address, None)

    assert found.misconfigured
    assert "speaks TLS and we do not: set CALLSTREAM_TETRAGON_TLS_CA_FILE" in found.text


def test_plaintext_against_mutual_tls(authority: Authority) -> None:
    """A server that wants our certificate speaks TLS too."""
    with _tls_server(authority.issue("agent"), authority.file) as server:
        assert "speaks TLS and we do not" in _diagnosis(server.address, None).text


def test_tls_against_plaintext(authority: Authority) -> None:
    """The sixth: a Tetragon up to 1.7 has no TLS at all."""
    with SimulatorServer(RECORDING) as server:
        found = _diagnosis(_localhost(server.address), TlsFiles(authority.file, None, None))

    assert found.misconfigured
    assert "does not speak TLS there: unset CALLSTREAM_TETRAGON_TLS_*" in found.text


def test_tls_against_a_server_that_hangs_up(authority: Authority) -> None:
    """Go's server closes the connection without a word when the first bytes are no HTTP/2."""
    with _listener(b"") as address:
        assert "does not speak TLS there" in _diagnosis(address, TlsFiles(authority.file, None, None)).text


def test_something_else_listens() -> None:
    """A server that hangs up on HTTP/2 and has no TLS either; it may be replaced, so waiting is right."""
    with _listener(b"") as address:
        found = _diagnosis(address, None)

    assert not found.misconfigured
    assert "not a gRPC server" in found.text


def test_nobody_listens() -> None:
    """An agent that is not up yet."""
    found = _diagnosis("127.0.0.1:1", None)

    assert not found.misconfigured
    assert "nothing listens there" in found.text


def test_name_that_does_not_resolve() -> None:
    """The name is in the message."""
    found = _diagnosis("no-such-host.invalid:54321", None)

    assert not found.misconfigured
    assert "cannot be resolved" in found.text


def test_missing_socket() -> None:
    """A folder that was not mounted, or an agent that is not running."""
    found = _diagnosis("unix:///nonexistent/tetragon.sock", None)

    assert not found.misconfigured
    assert "there is no such socket" in found.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use any socket")
def test_socket_without_permission() -> None:
    """Tetragon's socket is for its group only."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "t.sock"
        server.bind(str(path))
        server.listen()
        path.chmod(0)

        assert "no permission" in _diagnosis(f"unix://{path}", None).text


def test_unusable_file_is_the_diagnosis(tmp_path: Path) -> None:
    """A CA file that vanished while the process ran."""
    with SimulatorServer(RECORDING) as server:
        found = _diagnosis(server.address, TlsFiles(tmp_path / "gone.pem", None, None))

    assert found.text == f"CALLSTREAM_TETRAGON_TLS_CA_FILE: {tmp_path / 'gone.pem'}: No such file or directory"

"""Which addresses from a topic a worker follows, and what it takes from there."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.serving.address import HostPort, host_port
from app.stages.hot_symbols import peers
from app.stages.hot_symbols.advertising import Owner
from app.stages.hot_symbols.peers import PeerAccess, PeerError, Peers

EVERYWHERE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


def _said(asking: Peers, address: str, worker: str = "hot-one-1") -> str:
    found = host_port(address)
    assert found is not None
    with pytest.raises(PeerError) as refused:
        asking.rows(Owner(worker, found), "/hot-symbols?partition=0", 5)
    return str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254:8080",
        "[::ffff:169.254.169.254]:8080",
        "[64:ff9b::a9fe:a9fe]:8080",
        "[fd00:ec2::254]:8080",
        "[fe80::1]:8080",
        "100.100.100.200:8080",
        "0.0.0.0:8080",
        "224.0.0.1:8080",
        "127.0.0.1:22",
        "10.0.0.7:1023",
    ],
)
def test_no_setting_opens_what_is_never_followed(address: str) -> None:
    """Link-local and metadata addresses, this host by another name, and ports of the system's services."""
    asking = Peers(Owner("hot-one-0", HostPort("10.0.0.1", 9467)), EVERYWHERE, PeerAccess(None, None))

    assert "is not followed" in _said(asking, address)


def test_without_a_setting_only_neighbours_are_followed() -> None:
    """Loopback, and the network around what this worker advertises."""
    asking = Peers(Owner("hot-one-0", HostPort("10.0.0.1", 9467)), (), PeerAccess(None, None))

    assert "CALLSTREAM_PEER_NETWORKS does not allow it" in _said(asking, "10.0.1.9:9467")
    assert "CALLSTREAM_PEER_NETWORKS does not allow it" in _said(asking, "[2001:db8::1]:9467")
    assert "does not resolve" in _said(asking, "no-such-host.invalid:9467")
    networks = [str(one) for one in peers.default_networks(HostPort("10.0.0.1", 9467))]
    assert networks == ["127.0.0.0/8", "::1/128", "10.0.0.0/24"]
    assert [str(one) for one in peers.default_networks(HostPort("2001:db8::5", 1))][-1] == "2001:db8::/64"


def test_a_worker_does_not_query_itself_in_the_place_of_another() -> None:
    """Its own address under another name, and another host's loopback."""
    asking = Peers(Owner("hot-one-0", HostPort("127.0.0.1", 9467)), (), PeerAccess(None, None))

    assert "advertises the address of this worker" in _said(asking, "127.0.0.1:9467")
    assert "runs on another host" in _said(asking, "127.0.0.1:9468", worker="hot-two-0")


@contextmanager
def _answering(answer: bytes) -> Iterator[str]:
    """A server that gives every client the same bytes, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)
            except OSError:
                return

        threading.Thread(target=run, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (HEAD + b'{"rows": [{"hits": "many", "symbol_id": "a"}]}', "is not a worker of callstream"),
        (HEAD + b'{"rows": [7]}', "is not a worker of callstream"),
        (HEAD + b"[" * 100_000, "is not a worker of callstream"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not answer (BadStatusLine)"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", "is not a worker of callstream"),
        (b"", "does not answer"),
        (b'HTTP/1.1 503 No\r\n\r\n{"error": "' + b"x" * 10_000 + b'"}', "says: xxx"),
    ],
)
def test_what_is_not_an_answer_is_refused(answer: bytes, said: str) -> None:
    """Whatever listens there, the question ends with one sentence of bounded length."""
    asking = Peers(Owner("hot-one-0", HostPort("127.0.0.1", 1_024)), (), PeerAccess(None, None))

    with _answering(answer) as address:
        sentence = _said(asking, address)

    assert said in sentence
    assert len(sentence) < 1_000


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's memory does not depend on what others send."""
    monkeypatch.setattr(peers, "MAX_ANSWER_BYTES", 1_000)
    asking = Peers(Owner("hot-one-0", HostPort("127.0.0.1", 1_024)), (), PeerAccess(None, None))

    with _answering(HEAD + b"x" * 100_000) as address:
        assert "does not answer (HTTPException)" in _said(asking, address)

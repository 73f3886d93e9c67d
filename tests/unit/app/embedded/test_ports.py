"""Choosing loopback ports."""

import socket

import pytest

from app.embedded import ports
from app.embedded.failures import EmbeddedError, Failure


def test_a_listening_socket_makes_its_port_unavailable() -> None:
    """The message names the port, who wanted it and the option that changes it."""
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"port {port} .* Kafka wants it.*--port") as caught:
            ports.require_free(port, "Kafka", "--port")
        assert caught.value.reason is Failure.PORT_IN_USE
    ports.require_free(port, "Kafka", "--port")


def test_a_server_on_every_address_counts_too() -> None:
    """A listener on 0.0.0.0 has the loopback port as well."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        assert not ports.is_free(server.getsockname()[1])


def test_chosen_ports_are_free_and_not_ones_that_outgoing_connections_use() -> None:
    """A client that looks for a killed broker cannot connect to itself on the broker's port."""
    chosen = [ports.pick_free(frozenset()) for _ in range(20)]
    first_outgoing = ports._first_outgoing_port()
    assert all(ports.is_free(port) and port < first_outgoing for port in chosen)


def test_ports_already_given_out_are_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything is taken, the search ends with an error instead of going on for ever."""
    with pytest.raises(EmbeddedError, match="no free port") as caught:
        ports.pick_free(frozenset(range(65_536)))
    assert caught.value.reason is Failure.PORT_IN_USE
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(EmbeddedError, match="no free port"):
        ports.pick_free(frozenset())

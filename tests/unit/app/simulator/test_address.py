"""app/simulator/address.py."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.simulator.address import AddressError, TcpAddress, UnixAddress, listen, parse_address


@pytest.fixture(name="socket_path")
def _socket_path() -> Iterator[Path]:
    with TemporaryDirectory() as folder:  # pytest's own folders can be longer than a socket's path may be
        yield Path(folder) / "s"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:54321", TcpAddress("localhost", 54321)),
        ("127.0.0.1:0", TcpAddress("127.0.0.1", 0)),
        ("[::1]:65535", TcpAddress("::1", 65535)),
        ("unix:///var/run/t.sock", UnixAddress(Path("/var/run/t.sock"))),
    ],
)
def test_addresses_are_read_and_written_alike(text: str, address: TcpAddress | UnixAddress) -> None:
    """An address prints as it was given."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "localhost", ":1", "h:", "h:x", "h:-1", "h:65536", "h:١", "::1:80", "unix://", "unix://relative/path"]
)
def test_malformed_addresses_are_refused(text: str) -> None:
    """What is not an address is named in the error."""
    with pytest.raises(AddressError) as caught:
        parse_address(text)

    assert str(caught.value).startswith(f"{text}: ")


def test_port_zero_becomes_the_port_that_was_taken() -> None:
    """The address that comes back is the one to connect to."""
    listener, address = listen(TcpAddress("127.0.0.1", 0))
    with closing(listener):
        assert address == TcpAddress("127.0.0.1", listener.getsockname()[1])
        socket.create_connection(("127.0.0.1", address.port)).close()


def test_a_port_in_use_is_named() -> None:
    """A taken port gives an error with address and reason."""
    listener, address = listen(TcpAddress("127.0.0.1", 0))
    with closing(listener), pytest.raises(AddressError) as caught:
        listen(address)

    assert str(caught.value) == f"cannot listen on {address}: Address already in use"


def test_a_dead_socket_file_is_replaced(socket_path: Path) -> None:
    """The file of a server that was killed does not keep the next one from starting."""
    listen(UnixAddress(socket_path))[0].close()

    listener, _ = listen(UnixAddress(socket_path))
    with closing(listener), closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(socket_path))


def test_a_live_socket_is_left_alone(socket_path: Path) -> None:
    """A second server on one path is refused, and the first still answers."""
    listener, _ = listen(UnixAddress(socket_path))
    with closing(listener), closing(socket.socket(socket.AF_UNIX)) as client:
        with pytest.raises(AddressError, match="in use"):
            listen(UnixAddress(socket_path))
        client.connect(str(socket_path))


def test_a_file_that_is_no_socket_is_left_alone(socket_path: Path) -> None:
    """A mistyped path costs nobody a file."""
    socket_path.write_text("precious")

    with pytest.raises(AddressError, match="in use"):
        listen(UnixAddress(socket_path))
    assert socket_path.read_text() == "precious"

"""Where the simulator listens: `HOST:PORT`, `[IPV6]:PORT` or `unix:///PATH`.

A TCP address stands for one socket, so that port 0 names one port: the first address that the host's name resolves to.
"""

import contextlib
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from app.operators.errors import OperatorError

_BACKLOG: Final = 128
_UNIX: Final = "unix://"


class AddressError(OperatorError):
    """The address is malformed, or nothing can listen there; `str` names it and says why."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}"


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Reads an address as people and gRPC clients write it. Raises AddressError."""
    if text.startswith(_UNIX):
        path = Path(text.removeprefix(_UNIX))
        if not path.is_absolute():
            raise AddressError(f"{text}: a unix socket is given as unix:///absolute/path")
        return UnixAddress(path)
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise AddressError(f"{text}: is neither HOST:PORT nor unix:///absolute/path")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise AddressError(f"{text}: an IPv6 address is given as [ADDRESS]:PORT")
    return TcpAddress(host[1:-1] if bracketed else host, int(port))


def listen(address: Address) -> tuple[socket.socket, Address]:
    """A listening socket and the address it really has. Raises AddressError."""
    try:
        match address:
            case TcpAddress(host, port):
                family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
                listener = socket.create_server(where[:2], family=family, backlog=_BACKLOG)
                return listener, TcpAddress(host, listener.getsockname()[1])
            case UnixAddress(path):
                return _listen_unix(path), address
            case _:
                assert_never(address)
    except OSError as error:
        raise AddressError(f"cannot listen on {address}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """The system's words alone; socket.create_server adds the address in a form of its own."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror or error)
    return os.strerror(error.errno)


def _listen_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        _remove_dead_socket(path)
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_dead_socket(path: Path) -> None:
    """Removes what a killed server left behind; a file of another kind or a socket that answers stays."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError):
                probe.connect(str(path))
                return
            path.unlink()

"""Queries to other workers: which addresses are followed, and how rows are fetched from there.

Whoever may write runtime.hot-owners chooses the addresses, and a query carries the token. So an address is followed
only inside the networks that the operator allows, never below port 1024, and never where clouds keep credentials. A
name is resolved once, and the connection goes to the address that was checked. What comes back is bounded in size and
time.
"""

import http.client
import io
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from app.operators.setting_forms import IpNetwork
from app.serving.address import HostPort
from app.settings import MIN_PEER_PORT
from app.stages.hot_symbols.advertising import Owner

MAX_ANSWER_BYTES: Final = 16 << 20
"""A thousand rows of some 3 kB, with room for long ones."""

MAX_SAID_CHARS: Final = 500
"""Of another worker's error."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOPBACK: Final[tuple[IpNetwork, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_OWN_NETWORK_BITS: Final = {4: 24, 6: 64}

_NEVER: Final[tuple[IpNetwork, ...]] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this host
            "::/128",
            "169.254.0.0/16",  # link-local; clouds keep credentials there
            "fe80::/10",
            "100.100.100.200/32",  # metadata services with other addresses: Alibaba, Oracle, Azure, AWS
            "192.0.0.192/32",
            "168.63.129.16/32",
            "fd00:ec2::254/128",
            "64:ff9b::/96",  # IPv4 inside IPv6: NAT64, 6to4, Teredo
            "64:ff9b:1::/48",
            "2002::/16",
            "2001::/32",
            "224.0.0.0/4",  # multicast and broadcast
            "255.255.255.255/32",
            "ff00::/8",
        ),
    )
)


class PeerError(Exception):
    """Another worker gave no rows; the message is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class PeerAccess:
    """What this worker shows to others."""

    token: str | None
    tls: ssl.SSLContext | None


class Peers:
    """Fetches rows from other workers. May be called from any thread; its calls block."""

    def __init__(self, me: Owner, networks: Sequence[IpNetwork], access: PeerAccess) -> None:
        """`networks` are those that the operator allows; if there are none, the default holds."""
        self._me = me
        self._networks = tuple(networks) or default_networks(me.address)
        self._access = access

    def rows(self, owner: Owner, target: str, seconds: float) -> list[dict[str, Any]]:
        """The rows of an answer to `target`, which is path and query. Raises PeerError."""
        deadline = time.monotonic() + seconds
        if owner.address == self._me.address:
            raise PeerError(f"its worker {owner.worker} advertises the address of this worker, {owner.address}")
        if owner.address.is_loopback and owner.host != self._me.host:
            raise PeerError(f"its worker {owner.worker} advertises {owner.address}, and runs on another host")
        where = self._checked(owner.address)
        try:
            status, body = self._get(where, owner.address, target, deadline)
        except (OSError, http.client.HTTPException) as error:
            raise PeerError(f"its worker at {owner.address} does not answer ({type(error).__name__})") from None
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        match document:
            case {"rows": list(rows)} if status == HTTPStatus.OK and all(map(_is_row, rows)):
                return rows
            case {"error": str(said)} if status != HTTPStatus.OK:
                raise PeerError(f"its worker at {owner.address} says: {said[:MAX_SAID_CHARS]}")
            case _:
                raise PeerError(f"what listens at {owner.address} is not a worker of callstream")

    def _checked(self, address: HostPort) -> IpAddress:
        """The address to connect to. Raises PeerError if it may not be followed."""
        if address.port < MIN_PEER_PORT:
            raise PeerError(f"{address} is not followed: its port is below {MIN_PEER_PORT}")
        found = resolved(address.host)
        if not found:
            raise PeerError(f"{address} is not followed: its name does not resolve")
        for one in found:
            if any(one in network for network in _NEVER) or not any(one in network for network in self._networks):
                raise PeerError(f"{address} is not followed: CALLSTREAM_PEER_NETWORKS does not allow it")
        return found[0]

    def _get(self, where: IpAddress, address: HostPort, target: str, deadline: float) -> tuple[int, bytes]:
        """Status and body. The server closes the connection behind its answer, so all of it is read under one limit."""
        lines = [f"GET {target} HTTP/1.1", f"Host: {address}", "Connection: close"]
        if self._access.token is not None:
            lines.append(f"Authorization: Bearer {self._access.token}")
        tls, received = self._access.tls, bytearray()
        with (
            socket.create_connection((str(where), address.port), _left(deadline)) as plain,
            plain if tls is None else tls.wrap_socket(plain, server_hostname=address.host) as secured,
        ):
            secured.sendall("\r\n".join([*lines, "", ""]).encode())
            while part := secured.recv(1 << 16):
                received += part
                if len(received) > MAX_ANSWER_BYTES:
                    raise http.client.HTTPException("the answer is too long")
                secured.settimeout(_left(deadline))
        answer = http.client.HTTPResponse(_Received(bytes(received)))  # type: ignore[arg-type]  # it only calls makefile
        answer.begin()
        return answer.status, answer.read()


class _Received:
    """An answer that has come already, in the place of a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        """The answer as a file."""
        del mode
        return io.BytesIO(self._content)


def default_networks(address: HostPort) -> tuple[IpNetwork, ...]:
    """Loopback, and the /24 (IPv6: /64) around what a worker advertises."""
    own = [ipaddress.ip_network((one, _OWN_NETWORK_BITS[one.version]), strict=False) for one in resolved(address.host)]
    return (*_LOOPBACK, *own)


def resolved(host: str) -> list[IpAddress]:
    """The addresses of a host, IPv4 inside IPv6 as IPv4; none if its name is unknown."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses: list[IpAddress] = []
    for *_, place in found:
        one = ipaddress.ip_address(str(place[0]))
        if isinstance(one, ipaddress.IPv6Address) and one.ipv4_mapped is not None:
            one = one.ipv4_mapped
        addresses.append(one)
    return addresses


def _is_row(row: object) -> bool:
    """Whether a row can be put in order among others."""
    match row:
        case {"hits": int(), "symbol_id": str()}:
            return True
        case _:
            return False


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left

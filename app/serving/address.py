"""Addresses as people write them: `host:port`, with an IPv6 address in brackets."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

MAX_HOST_CHARS: Final = 253
"""The longest name that DNS knows."""

MAX_PORT: Final = 65_535

_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_PORT: Final = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on the same host reach it."""
        return is_loopback(self.host)


def bracketed(host: str) -> str:
    """The host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host, without brackets, is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def split_address(text: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`; the port is None if the text has none.

    Raises ValueError, whose words follow the name of a setting.
    """
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
        if not bracket or (rest and not rest.startswith(":")) or rest == ":" or not _is_v6(host):
            raise ValueError(f"is {text!r}; write an IPv6 address as [address] or [address]:port")
    elif text.count(":") > 1:
        raise ValueError(f"is {text!r}; put an IPv6 address in brackets: [{text}]")
    elif ":" in text:
        host, _, port = text.partition(":")
        if not port:
            raise ValueError(f"is {text!r}; write host or host:port")
    if not host.startswith("[") and ":" not in host and (len(host) > MAX_HOST_CHARS or not _NAME.fullmatch(host)):
        raise ValueError(f"is {text!r}; write host or host:port")
    if not port:
        return host, None
    if not _PORT.fullmatch(port) or not 0 < int(port) <= MAX_PORT:
        raise ValueError(f"is {text!r}; the port is not a number from 1 to {MAX_PORT}")
    return host, int(port)


def host_port(text: str) -> HostPort | None:
    """The address in a text of any origin; None if it is not one with a port."""
    try:
        host, port = split_address(text)
    except ValueError:
        return None
    return None if port is None else HostPort(host, port)


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False

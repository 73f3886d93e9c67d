"""Forms of settings: each parser takes a text and gives the value, or raises ValueError that says what to write.

The message of an error continues a sentence that begins with the variable's name.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

_BASE_PATH: Final = re.compile(r"/([A-Za-z0-9._~-]+/)*")

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def number(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers within limits."""

    def parse(raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(f"is not a whole number: {raw!r}") from None
        if not low <= value <= high:
            raise ValueError(f"is {value}; write a number from {low} to {high}")
        return value

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    """A parser that takes one of these texts."""

    def parse(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"is {raw!r}; write one of {', '.join(allowed)}")
        return raw

    return parse


def url(raw: str) -> str:
    """Accepts addresses of HTTP servers, without credentials."""
    parts = urlsplit(raw)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http:// or https:// address")
    if parts.username or parts.password:
        raise ValueError("holds credentials; name a password file instead")
    return raw.rstrip("/")


def urls(raw: str) -> str:
    """Accepts addresses of HTTP servers, separated by commas; the value has them without blanks and without repeats."""
    found = [url(part.strip()) for part in raw.split(",") if part.strip()]
    if not found:
        raise ValueError("is not an http:// or https:// address")
    return ",".join(dict.fromkeys(found))


def address(raw: str) -> str:
    """Accepts gRPC addresses as Tetragon writes them: host:port, [v6]:port, unix:///path."""
    if raw.startswith("unix:"):
        if not raw.removeprefix("unix:").removeprefix("//").startswith("/"):
            raise ValueError(f"is {raw!r}; a unix socket is written unix:///absolute/path")
        return raw
    host, colon, port = raw.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"is {raw!r}; write host:port or unix:///absolute/path")
    return raw


def networks(raw: str) -> tuple[IpNetwork, ...]:
    """Accepts networks as CIDR, separated by commas."""
    found = []
    for text in filter(None, (part.strip() for part in raw.split(","))):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ValueError(f"has {text!r}, which is not a network such as 10.1.0.0/16 ({error})") from None
    return tuple(found)


def prefix(raw: str) -> str:
    """Accepts what may become part of topic names."""
    if not all(c.isascii() and (c.isalnum() or c in "._-") for c in raw):
        raise ValueError("may have letters, digits, '.', '_' and '-' only: it becomes part of topic names")
    return raw


def sasl_mechanism(raw: str) -> str:
    """Accepts the ways to log in that our clients have."""
    if raw == "GSSAPI":
        raise ValueError(
            "is 'GSSAPI' (Kerberos), without which the librdkafka of our wheels is built; docs/kafka.md says what to "
            "build, and what else a cluster with Kerberos can offer"
        )
    return choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM")(raw)


def pairs(raw: str) -> tuple[tuple[str, str], ...]:
    """Accepts NAME=VALUE, separated by commas."""
    found = []
    for text in filter(None, (part.strip() for part in raw.split(","))):
        name, equals, value = text.partition("=")
        if not equals or not name.isascii() or not name.isalpha():
            raise ValueError(f"has {text!r}; write NAME=VALUE, NAME in letters")
        found.append((name, value))
    return tuple(found)


def base_path(raw: str) -> str:
    """Accepts a path of a URL; it begins and ends with a slash."""
    path = raw if raw.endswith("/") else f"{raw}/"
    if not _BASE_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError(f"is {raw!r}; write a path such as /callstream/")
    return path

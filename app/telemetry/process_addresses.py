"""Where the processes serve /metrics: what an operator wrote, as one place for each process.

The one setting CALLSTREAM_PROCESS_ADDRESSES serves every command that looks at all processes. A name may stand for
several processes, as that of a headless service in Kubernetes does: then each of its addresses is a place.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.serving.address import HostPort, host_port
from app.settings import WILDCARD_HOSTS, Settings
from app.topology import PIPELINE


@dataclass(frozen=True, slots=True)
class ProcessPlace:
    """Where one process should answer: `address` as people read it, and the URL of its page."""

    address: str
    url: str


@dataclass(frozen=True, slots=True)
class NoPlace:
    """An address that leads nowhere, and why."""

    address: str
    reason: str


def addresses_in(settings: Settings) -> tuple[str, ...]:
    """The addresses of the settings; by default those of `callstream worker` on this host, if its port is set."""
    if settings.process_addresses:
        return tuple(map(str, settings.process_addresses))
    if not settings.http_port:
        return ()
    host = "127.0.0.1" if settings.http_host in WILDCARD_HOSTS else settings.http_host.strip("[]")
    return tuple(str(HostPort(host, settings.http_port + number)) for number in range(len(PIPELINE)))


def places_of(addresses: Iterable[str]) -> list[ProcessPlace | NoPlace]:
    """A place for each process behind the addresses, which are host:port or URLs. None is listed twice."""
    found: dict[str, ProcessPlace | NoPlace] = {}
    for address in addresses:
        for place in _places(address):
            found.setdefault(place.url if isinstance(place, ProcessPlace) else place.address, place)
    return list(found.values())


def _places(address: str) -> list[ProcessPlace | NoPlace]:
    if "://" in address:  # its name may be needed, for a certificate or a proxy
        return [ProcessPlace(address, _page_url(address))]
    where = host_port(address)
    if where is None:
        return [NoPlace(address, "is not a host:port")]
    try:
        hosts = _hosts_of(where)
    except OSError as error:
        return [NoPlace(address, error.strerror or type(error).__name__)]
    several = len(hosts) > 1
    return [
        ProcessPlace(str(one) if several else address, _page_url(f"http://{one}"))
        for one in (HostPort(host, where.port) for host in hosts)
    ]


_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


def _hosts_of(where: HostPort) -> list[str]:
    """The addresses of a name, of one family only: a process with one of each would count twice. Raises OSError."""
    known = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    by_family = {family: sorted({str(to[0]) for kind, *_, to in known if kind == family}) for family in _FAMILIES}
    return by_family[socket.AF_INET] or by_family[socket.AF_INET6]


def _page_url(url: str) -> str:
    url = url.rstrip("/")
    return url if url.endswith("/metrics") else f"{url}/metrics"

"""Under which address other workers reach this one, what they publish of it, and when that cannot work."""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from app.serving.address import HostPort, host_port, split_address
from app.settings import WILDCARD_HOSTS, Settings

MAX_OWNER_BYTES: Final = 1_024
"""Of a record on runtime.hot-owners: a host name has 253 characters at most, a worker's name some 300."""

MAX_WORKER_CHARS: Final = 512


@dataclass(frozen=True, slots=True)
class Owner:
    """A worker, by the name of its group member, and the address of its /hot-symbols."""

    worker: str
    address: HostPort

    @property
    def host(self) -> str:
        """The part of the worker's name that workers of one host share: all before its index."""
        return host_of(self.worker)

    def encoded(self) -> bytes:
        """The value of its record on runtime.hot-owners."""
        return json.dumps({"http": str(self.address), "worker": self.worker}).encode()


def host_of(worker: str) -> str:
    """The part of a worker's name that workers of one host share."""
    return worker.rpartition("-")[0]


def owner_in(value: bytes | None) -> Owner | None:
    """The owner in a record of any origin; None if the record does not hold one."""
    if value is None or len(value) > MAX_OWNER_BYTES:
        return None
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"http": str(text), "worker": str(worker)} if len(worker) <= MAX_WORKER_CHARS and worker.isprintable():
            address = host_port(text)
            return None if address is None else Owner(worker, address)
        case _:
            return None


def advertised(settings: Settings, bound: HostPort) -> HostPort:
    """Where others reach what listens at `bound`.

    That is CALLSTREAM_ADVERTISED_ADDRESS. Without it, it is the bound address, or, if that is all addresses, the one by
    which this host reaches Kafka.
    """
    if settings.advertised_address:
        host, port = split_address(settings.advertised_address)
        return HostPort(host, bound.port if port is None else port)
    if bound.host not in WILDCARD_HOSTS:
        return bound
    broker = urlsplit("//" + settings.kafka_bootstrap_servers.partition(",")[0].strip())
    try:
        family, kind, _, _, place = socket.getaddrinfo(broker.hostname, broker.port or 9092, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(place)  # sends nothing
            return HostPort(str(probe.getsockname()[0]), bound.port)
    except OSError:
        return HostPort(socket.gethostname(), bound.port)


def conflict(me: Owner, owners: Iterable[Owner], live: Iterable[str]) -> str | None:
    """What is wrong with this worker's address, so that workers would query themselves; None if nothing is.

    `owners` says where other workers are, as far as they are known; `live` names those that run.
    """
    elsewhere = min((worker for worker in live if host_of(worker) != me.host), default=None)
    if me.address.is_loopback and elsewhere is not None:
        return (
            f"this worker advertises {me.address}, which other hosts cannot reach, and {elsewhere} runs on another "
            f"host: set CALLSTREAM_HOT_SYMBOLS_HOST, or CALLSTREAM_ADVERTISED_ADDRESS"
        )
    for owner in owners:
        if owner.worker != me.worker and owner.address == me.address:
            return (
                f"this worker advertises {me.address}, and so does {owner.worker}: "
                f"set CALLSTREAM_ADVERTISED_ADDRESS to one of its own for each"
            )
    return None


def others_conflict(me: Owner, owners: Iterable[Owner]) -> str | None:
    """What is wrong with the address of another worker, so that this one would query itself; None if nothing is."""
    for owner in owners:
        if owner.address.is_loopback and owner.host != me.host:
            return (
                f"{owner.worker} runs on another host and advertises {owner.address}, which leads to this host: "
                f"set CALLSTREAM_ADVERTISED_ADDRESS there"
            )
    return None

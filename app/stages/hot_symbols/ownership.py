"""Which worker answers for which partition of the table, and where: published by the owners, read by all.

Faust's own routing sends requests to the address that a worker had when it joined its group. Ours may have another port
after every start, and a static member's subscription must not change, so owners say where they are on a compacted
topic, a record a partition, each time that they take one over. Of a partition the newest record counts. A worker
refuses questions about partitions that it does not own, so an old record costs a second question and never a wrong
answer.
"""

import asyncio
import json
import logging
import socket
import time
from typing import Final
from urllib.parse import urlsplit

from agents.contract import OutRecord
from app.kafka.topic_follower import WholeTopics
from app.settings import Settings
from app.streaming.delivery import Parcel
from app.streaming.stage_process import StageRuntime
from schemas import topics
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Between two looks at what is ours; a question that comes in between is answered, or repeated."""

_WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound to


class Ownership:
    """Owners by partition, as this worker knows them."""

    def __init__(self, runtime: StageRuntime) -> None:
        self._runtime = runtime
        self._source = runtime.settings.name(topics.HOT_PARTIALS)
        self._topic = runtime.settings.name(topics.OWNERS)
        self._reader = WholeTopics(runtime.settings, {self._topic: runtime.partitions})
        self._addresses: dict[int, str] = {}
        self._told: frozenset[int] = frozenset()

    def mine(self) -> frozenset[int]:
        """Partitions that this worker answers for. May be called from another thread."""
        return self._runtime.app.serving(self._source)

    def address(self, partition: int) -> str | None:
        """Where the owner of a partition listens, host:port, as far as it is known."""
        return self._addresses.get(partition)

    async def run(self) -> None:
        """Read what others publish and publish what is ours, until the process ends."""
        self._reader.begin()
        while True:
            for message in await asyncio.to_thread(self._reader.next, PAUSE_SECONDS):
                partition, value = message.partition(), message.value()
                address = _address_in(value)
                if partition is not None and address is not None:
                    self._addresses[partition] = address
            mine = self.mine()
            if new := mine - self._told:
                await self._tell(new)
            self._told = mine

    async def _tell(self, partitions: frozenset[int]) -> None:
        address = advertised(self._runtime.settings, self._runtime.http_addresses[0])
        value, now_ms = json.dumps({"http": address}).encode(), time.time_ns() // NS_PER_MS
        parcels = [Parcel(self._topic, n, [OutRecord(b"%d" % n, value, now_ms)]) for n in sorted(partitions)]
        await self._runtime.delivery.deliver(parcels)
        log.info("answering for partitions", extra={"facts": {"partitions": sorted(partitions), "http": address}})


def advertised(settings: Settings, bound: str) -> str:
    """Where others reach what listens at `bound`: on all addresses means the one by which this host reaches Kafka."""
    host, _, port = bound.rpartition(":")
    if host not in _WILDCARDS:
        return bound
    broker = urlsplit("//" + settings.kafka_bootstrap_servers.partition(",")[0].strip())
    try:
        family, kind, _, _, place = socket.getaddrinfo(broker.hostname, broker.port or 9092, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(place)  # sends nothing
            found = str(probe.getsockname()[0])
    except OSError:
        found = socket.gethostname()
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"


def _address_in(value: bytes | None) -> str | None:
    """The address in a record; None where the record does not hold one."""
    try:
        address = json.loads(value or b"null")["http"]
        parts = urlsplit(f"//{address}")
        is_plain = parts.netloc == address and parts.hostname and parts.port and not parts.username
    except (ValueError, TypeError, KeyError):
        return None
    return str(address) if is_plain else None

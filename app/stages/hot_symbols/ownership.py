"""Which worker answers for which partition of the table, and where: published by the owners, read by all.

Faust's own routing sends requests to the address that a worker had when it joined its group. Ours may have another port
after every start, and a static member's subscription must not change, so owners say where they are on a compacted
topic, a record a partition, each time that they take one over, and again if somebody else has said otherwise since. Of
a partition the newest record counts. A worker refuses questions about partitions that it does not own, so an old record
costs a second question and never a wrong answer. Other programs may write the topic. A record that does not hold an
owner is left out, and `app/stages/hot_symbols/peers.py` decides which addresses are followed.
"""

import asyncio
import logging
import time
from typing import Final

from agents.contract import OutRecord
from app.kafka.topic_follower import WholeTopics
from app.settings import Settings
from app.stages.hot_symbols.advertising import Owner, conflict, others_conflict, owner_in
from app.stages.hot_symbols.refusing import refused_records
from app.streaming.delivery import Parcel
from app.streaming.stage_process import StageRuntime
from app.telemetry import metrics
from app.telemetry.repeated_lines import HoldBackRepeats
from schemas import topics
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)
_refusals_log = log.getChild("refusals")
_refusals_log.addFilter(HoldBackRepeats())  # whoever writes the topic must not fill the log

PAUSE_SECONDS: Final = 1.0
"""Between two looks at what is ours; a question that comes in between is answered, or repeated."""

READ_SECONDS: Final = 10.0
"""For reading the topic once; it has a record a partition."""


class Ownership:
    """Owners by partition, as this worker knows them."""

    def __init__(self, runtime: StageRuntime) -> None:
        self._runtime = runtime
        self._source = runtime.settings.name(topics.HOT_PARTIALS)
        self._topic = runtime.settings.name(topics.OWNERS)
        self._reader = WholeTopics(runtime.settings, {self._topic: runtime.partitions}, refused_records(runtime))
        self._owners: dict[int, Owner] = {}
        self._announced: frozenset[int] = frozenset()
        self.me: Owner | None = None
        """What this worker publishes; set before `run`."""

    def mine(self) -> frozenset[int]:
        """Partitions that this worker answers for. May be called from another thread."""
        return self._runtime.app.serving(self._source)

    def owner(self, partition: int) -> Owner | None:
        """The owner of a partition, as far as it is known."""
        return self._owners.get(partition)

    def trouble(self) -> str | None:
        """Why workers query themselves instead of each other; None if they do not. Any thread may call it."""
        if self.me is None:
            return None
        others = [owner for owner in tuple(self._owners.values()) if owner.worker != self.me.worker]
        return conflict(self.me, others, [owner.worker for owner in others]) or others_conflict(self.me, others)

    async def run(self) -> None:
        """Read what others publish and publish what is ours, until the process ends."""
        assert self.me is not None
        self._reader.begin()
        while True:
            taken: set[int] = set()
            for record in await asyncio.to_thread(self._reader.next, PAUSE_SECONDS):
                partition, owner = record.partition, owner_in(record.value)
                if owner == self.me:
                    taken.discard(partition)
                else:
                    taken.add(partition)
                if owner is not None:
                    self._owners[partition] = owner
                else:
                    self._runtime.meter.add(metrics.OWNER_REFUSALS)
                    facts = {"topic": self._topic, "partition": partition, "offset": record.offset}
                    _refusals_log.warning("a record does not hold a worker and its address", extra={"facts": facts})
            mine = self.mine()
            # What another worker or program has just said of a partition of ours is said again as it is.
            if news := (mine - self._announced) | (mine & taken):
                await self._announce(news, self.me)
            self._announced = mine

    async def _announce(self, partitions: frozenset[int], me: Owner) -> None:
        value, now_ms = me.encoded(), time.time_ns() // NS_PER_MS
        parcels = [Parcel(self._topic, n, [OutRecord(b"%d" % n, value, now_ms)]) for n in sorted(partitions)]
        await self._runtime.delivery.deliver(parcels)
        facts = {"partitions": sorted(partitions), "http": str(me.address)}
        log.info("answering for partitions", extra={"facts": facts})


def published_owners(settings: Settings, partitions: int) -> dict[int, Owner]:
    """The newest owner of each partition on the topic, which is read once. It may have ended since."""
    reader = WholeTopics(settings, {settings.name(topics.OWNERS): partitions})
    reader.begin()
    owners: dict[int, Owner] = {}
    deadline = time.monotonic() + READ_SECONDS
    while not reader.is_read and time.monotonic() < deadline:
        for record in reader.next(PAUSE_SECONDS):
            owner = owner_in(record.value)
            if owner is not None:
                owners[record.partition] = owner
    reader.close()
    return owners

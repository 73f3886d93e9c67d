"""Whether topics still are what they were when work began: not made again, not grown, and stamped by their writers.

A topic that was deleted and made again has the same name and other records. Partitions that were added are read by
nobody. And where the broker stamps records, the time of receipt is lost. A client notices none of this by itself.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.kafka.log_ends import TopicFacts, topic_facts
from app.kafka.topic_options import topic_options
from schemas.units import NS_PER_MS

STAMPS_SECONDS: Final = 30.0
"""Between two looks at the topics' options, which are one more request."""

_STAMPS: Final = "message.timestamp.type"
_BY_WRITERS: Final = "CreateTime"


@dataclass(frozen=True, slots=True)
class Growth:
    """A topic has more partitions than are read; at `since_ms` it had not yet."""

    partitions: int
    since_ms: int


class TopicWatch:
    """Looks at topics, named in full. One thread looks; any may read what was found."""

    def __init__(
        self, admin: AdminClient, names: Iterable[str], partitions: int | None = None, also: Iterable[str] = ()
    ) -> None:
        """`partitions` is what is read of each; without it, as many as the topic with the fewest has.

        Of the topics `also`, which others read, only the growth matters.
        """
        self._admin = admin
        self._names = tuple(names)
        self._others = tuple(also)
        self._read = partitions
        self._ids: dict[str, str] = {}
        self._alike_ms = time.time_ns() // NS_PER_MS
        self._look_at_stamps_at = 0.0
        self.grown: Mapping[str, Growth] = {}
        """Topics with partitions that nobody reads."""
        self.stamped: tuple[str, ...] = ()
        """Topics whose records the broker stamps."""

    def look(self) -> str | None:
        """Look again; returns why a stage cannot go on. While no broker answers, nothing is known to have changed."""
        try:
            facts = topic_facts(self._admin, {*self._names, *self._others})
        except KafkaException:  # no broker answers: the next look asks again
            return None
        if not facts:
            return None
        self._note_growth(facts)
        if (now := time.monotonic()) >= self._look_at_stamps_at:
            self._look_at_stamps_at = now + STAMPS_SECONDS
            self.stamped = stamped_by_broker(self._admin, self._names)
        return self._recreated(facts) or stamps_trouble(self.stamped)

    def trouble(self) -> str | None:
        """What is wrong and lasts: for /readyz."""
        if not self.grown:
            return stamps_trouble(self.stamped)
        listed = ", ".join(f"{name} has {one.partitions} partitions" for name, one in sorted(self.grown.items()))
        return f"{listed}, more than are read: nobody reads what is in the others; see callstream topics --help"

    def _note_growth(self, facts: Mapping[str, TopicFacts]) -> None:
        read = self._read or min(one.partitions for one in facts.values())
        now_ms = time.time_ns() // NS_PER_MS
        self.grown = {
            name: Growth(one.partitions, self.grown[name].since_ms if name in self.grown else self._alike_ms)
            for name, one in facts.items()
            if one.partitions > read
        }
        if not self.grown:
            self._alike_ms = now_ms

    def _recreated(self, facts: Mapping[str, TopicFacts]) -> str | None:
        ids = {name: facts[name].topic_id for name in self._names if name in facts}
        known = self._ids = ids | self._ids
        recreated = sorted(name for name in ids if ids[name] != known[name])
        return f"{', '.join(recreated)} was deleted and created again while the stage ran" if recreated else None


def stamped_by_broker(admin: AdminClient, names: Iterable[str]) -> tuple[str, ...]:
    """Topics whose records get the broker's time. Those whose options we may not read, or cannot now, are left out."""
    return tuple(name for name, value in topic_options(admin, names, _STAMPS).items() if value != _BY_WRITERS)


def stamps_trouble(stamped: Iterable[str]) -> str | None:
    """Why topics that the broker stamps cannot be used, and the way out; None without any."""
    listed = ", ".join(sorted(stamped))
    if not listed:
        return None
    return (
        f"{listed}: the broker stamps records ({_STAMPS} is not {_BY_WRITERS}), so the time of receipt is lost; set it "
        f"back: kafka-configs --alter --entity-type topics --entity-name TOPIC --add-config {_STAMPS}={_BY_WRITERS}"
    )

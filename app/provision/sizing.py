"""How many partitions and replicas new topics get, where nobody has said so.

Both are hard to change later: partitions decide how many workers a stage can have, and records of a process keep their
order only while the count stays. So what topics have already is respected before any rule.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.provision.topic_admin import TopicAdmin
from app.provision.topic_plan import FoundTopic, WantedTopic, wanted_topics
from app.settings import Settings
from schemas.topics import RAW, TOPICS

CLUSTER_BROKERS: Final = 3
"""From so many brokers on there is room for three copies, of which two must have a record before it counts."""

FEW_PARTITIONS: Final = 4
"""On fewer brokers: a try-out, or one machine, whose cores four workers a stage fill."""

CLUSTER_PARTITIONS: Final = 12
"""They divide evenly among 2, 3, 4, 6 and 12 workers, and among 3, 4 and 6 brokers. A worker with a core of its own
takes some 50,000 events a second (bench/results/stages.txt), so this is good for half a million."""


class CountFrom(StrEnum):
    """Why there are so many partitions."""

    GIVEN = "given"
    EXISTING = "existing topics"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Sizing:
    """What new topics get on a cluster of so many brokers."""

    brokers: int
    partitions: int
    reason: CountFrom
    replicas: int

    @property
    def in_sync(self) -> int:
        """How many replicas must have a record before it counts as written."""
        return max(1, self.replicas - 1)

    def __str__(self) -> str:
        copies = (
            "1 replica" if self.replicas == 1 else f"{self.replicas} replicas, of which {self.in_sync} must be in sync"
        )
        why = {
            CountFrom.GIVEN: "as you say",
            CountFrom.EXISTING: "as the topics that exist",
            CountFrom.RULE: f"the rule for {self.brokers} broker{'s' * (self.brokers != 1)}",
        }
        return f"{self.partitions} partitions ({why[self.reason]}) and {copies}"


def choose(*, brokers: int, partitions: int | None, replicas: int | None, existing: Mapping[str, int]) -> Sizing:
    """Decide. `existing` has the partition counts of those topics that must all have the same, without prefix.

    If these differ, that of the raw topic counts, and else that of most; the others will be refused.
    """
    is_cluster = brokers >= CLUSTER_BROKERS
    copies = replicas or (CLUSTER_BROKERS if is_cluster else 1)
    if partitions is not None:
        return Sizing(brokers, partitions, CountFrom.GIVEN, copies)
    if existing:
        usual = max(sorted(Counter(existing.values()).items()), key=lambda one: one[1])[0]
        return Sizing(brokers, existing.get(RAW, usual), CountFrom.EXISTING, copies)
    return Sizing(brokers, CLUSTER_PARTITIONS if is_cluster else FEW_PARTITIONS, CountFrom.RULE, copies)


def sized_topics(
    settings: Settings, admin: TopicAdmin, *, partitions: int | None = None, replicas: int | None = None
) -> tuple[Sizing, tuple[WantedTopic, ...]]:
    """The pipeline's topics as they should be on this cluster; options win over settings, and settings over the rule.

    Raises what `TopicAdmin` raises.
    """
    found = admin.existing([settings.name(topic.name) for topic in TOPICS])
    sizing = choose(
        brokers=admin.brokers(),
        partitions=partitions or settings.partitions,
        replicas=replicas or settings.replication_factor,
        existing=_counts(settings, found),
    )
    return sizing, wanted_topics(
        TOPICS, prefix=settings.topic_prefix, partitions=sizing.partitions, replication_factor=sizing.replicas
    )


def single_copies(sizing: Sizing, found: Mapping[str, FoundTopic]) -> list[str]:
    """Topics of which there is one copy, though there could be more: whoever loses that broker's disk loses them."""
    return sorted(name for name, one in found.items() if one.replicas == 1 and sizing.replicas > 1)


def _counts(settings: Settings, found: Mapping[str, FoundTopic]) -> dict[str, int]:
    together: Iterable[str] = (topic.name for topic in TOPICS if topic.co_partitioned)
    return {name: found[settings.name(name)].partitions for name in together if settings.name(name) in found}

"""What has to happen to the cluster's topics: each wanted topic is compared with the one that was found.

Nothing is read or changed here. A topic is made or its limits are raised; it is never rebuilt, shrunk or deleted. What
cannot be repaired in place is a `TopicRefusal` that names the topic, what is wanted and what was found. Retention and
replicas of an existing topic are the operator's choice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """One topic that the pipeline needs, under its full name; `config` are Kafka's topic options."""

    topic: Topic
    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """One topic that exists; `config` has at least the options that `WantedTopic` sets."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Create:
    """The topic does not exist."""

    wanted: WantedTopic


@dataclass(frozen=True, slots=True)
class Adjust:
    """The topic exists, and these options of it would lose records."""

    wanted: WantedTopic
    changes: Mapping[str, str]
    found: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Keep:
    """The topic exists as it should be."""

    wanted: WantedTopic


@dataclass(frozen=True, slots=True)
class TopicRefusal:
    """The topic exists and a person must repair it: option, wanted and found value."""

    wanted: WantedTopic
    option: str
    want: str
    found: str

    def __str__(self) -> str:
        return f"topic {self.wanted.name} has {self.option} {self.found}, wanted is {self.want}"


Decision = Create | Adjust | Keep | TopicRefusal


def wanted_topics(
    topics: Iterable[Topic], *, prefix: str, partitions: int, replication_factor: int
) -> tuple[WantedTopic, ...]:
    """Describe all topics under their full names."""
    return tuple(
        WantedTopic(
            topic=topic,
            name=prefix + topic.name,
            partitions=partitions,
            replicas=replication_factor,
            config=_config(topic, replication_factor),
        )
        for topic in topics
    )


_ANY_TIME: Final = str(2**63 - 1)


def _config(topic: Topic, replication_factor: int) -> dict[str, str]:
    config = {
        "cleanup.policy": _cleanup(topic),
        "max.message.bytes": str(topic.max_message_bytes),
        # derived records carry the raw record's time of receipt, which the broker must not replace
        "message.timestamp.type": "CreateTime",
        # a node's clock may run ahead of the broker's: by default that costs its events after an hour
        "message.timestamp.after.max.ms": _ANY_TIME,
        # with three replicas, acks=all survives the loss of one broker; with fewer it must not stop writing
        "min.insync.replicas": str(max(1, replication_factor - 1)),
    }
    if topic.compacted:
        # the newest segment is never compacted; at the default of 1 GiB a table of few keys would grow to that
        config["segment.bytes"] = str(topic.segment_bytes)
    if topic.retention_ms is not None or not topic.compacted:
        config["retention.ms"] = str(-1 if topic.retention_ms is None else topic.retention_ms)
    return config


def _cleanup(topic: Topic) -> str:
    if not topic.compacted:
        return "delete"
    return "compact" if topic.retention_ms is None else "compact,delete"


def decide(wanted: Iterable[WantedTopic], found: Mapping[str, FoundTopic]) -> tuple[Decision, ...]:
    """Decide for each wanted topic, in order; `found` has the existing ones by full name."""
    return tuple(_decide(one, found.get(one.name)) for one in wanted)


def _decide(wanted: WantedTopic, found: FoundTopic | None) -> Decision:
    if found is None:
        return Create(wanted)
    if wanted.topic.co_partitioned and found.partitions != wanted.partitions:
        return TopicRefusal(wanted, "partition count", str(wanted.partitions), str(found.partitions))
    for option in ("cleanup.policy", "message.timestamp.type"):
        if set(found.config[option].split(",")) != set(wanted.config[option].split(",")):
            return TopicRefusal(wanted, option, wanted.config[option], found.config[option])
    limit = "max.message.bytes"
    if int(found.config[limit]) < int(wanted.config[limit]):
        return Adjust(wanted, {limit: wanted.config[limit]}, {limit: found.config[limit]})
    return Keep(wanted)

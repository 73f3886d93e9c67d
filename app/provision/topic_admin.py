"""Reads the cluster's topics, makes them and changes their options.

Every error names the topic or the brokers and gives Kafka's reason. A topic that is made is visible to every client
before `carry_out` returns. If somebody else made a topic in the meantime, that is not an error here; look again after.
"""

import time
from collections.abc import Iterable, Mapping
from typing import assert_never

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from app.kafka.client import ADMIN_SECONDS, SEEN_SECONDS, AdminConnection, ClientConfig, KafkaUnusableError
from app.provision.topic_plan import Adjust, Create, Decision, FoundTopic, Keep, TopicRefusal, WantedTopic


class TopicAdmin:
    """The topics of one cluster.

    Every method raises KafkaUnreachableError if no broker answers, and KafkaUnusableError if one refuses.
    """

    def __init__(self, client: ClientConfig) -> None:
        self._connection = AdminConnection(client)
        self._admin = self._connection.client

    def names(self) -> frozenset[str]:
        """Full names of all topics that we may see."""
        return frozenset(self._metadata())

    def brokers(self) -> int:
        """How many brokers the cluster has now."""
        return len(self._connection.metadata(ADMIN_SECONDS).brokers)

    def existing(self, names: Iterable[str]) -> dict[str, FoundTopic]:
        """The named topics that exist, by name."""
        metadata = self._metadata()
        there = [name for name in names if name in metadata]
        if not there:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
        answers = self._admin.describe_configs(resources, request_timeout=ADMIN_SECONDS)
        found = {}
        for resource, answer in answers.items():
            entries = self._connection.result(answer, f"options of topic {resource.name} cannot be read")
            partitions = metadata[resource.name].partitions
            found[resource.name] = FoundTopic(
                partitions=len(partitions),
                replicas=len(partitions[0].replicas) if partitions else 0,
                config={name: str(entry.value) for name, entry in entries.items()},
            )
        return found

    def carry_out(self, decisions: Iterable[Decision]) -> None:
        """Make and adjust topics as decided; the caller has dealt with refusals."""
        to_create: list[WantedTopic] = []
        for decision in decisions:
            match decision:
                case Create(wanted):
                    to_create.append(wanted)
                case Adjust(wanted, changes):
                    self._adjust(wanted, changes)
                case Keep() | TopicRefusal():
                    pass
                case _:
                    assert_never(decision)
        if to_create:
            self._create(to_create)

    def _metadata(self) -> Mapping[str, TopicMetadata]:
        return self._connection.metadata(ADMIN_SECONDS).topics

    def _create(self, wanted: list[WantedTopic]) -> None:
        new = [NewTopic(one.name, one.partitions, one.replicas, config=dict(one.config)) for one in wanted]
        for name, answer in self._admin.create_topics(new, request_timeout=ADMIN_SECONDS).items():
            self._connection.result(answer, f"topic {name} cannot be made", fine=KafkaError.TOPIC_ALREADY_EXISTS)
        self._await_visible({one.name for one in wanted})

    def _await_visible(self, names: set[str]) -> None:
        deadline = time.monotonic() + SEEN_SECONDS
        while missing := names - self._metadata().keys():
            if time.monotonic() > deadline:
                raise KafkaUnusableError(f"topic {min(missing)} was made and cannot be seen after {SEEN_SECONDS:.0f} s")
            time.sleep(0.05)

    def _adjust(self, wanted: WantedTopic, changes: Mapping[str, str]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in changes.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, wanted.name, incremental_configs=entries)
        for answer in self._admin.incremental_alter_configs([resource], request_timeout=ADMIN_SECONDS).values():
            self._connection.result(answer, f"options of topic {wanted.name} cannot be changed")

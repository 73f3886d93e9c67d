"""Reading and making the cluster's topics.

Rules: every error names the topic or the brokers and gives Kafka's reason; a topic that is made is visible to every
client before `carry_out` returns; one that somebody else made in the meantime is no error here, so look again after.
This module refuses to decide what topics should be like.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, assert_never

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    TopicMetadata,
)

from app.kafka.client import REFUSALS, ClientConfig, KafkaUnreachable, KafkaUnusable, tls_mistake
from app.provision.topic_plan import Adjust, Create, Decision, Found, Keep, Refusal, Wanted

if TYPE_CHECKING:
    from concurrent.futures import Future

_SECONDS: Final = 10.0
"""How long one question to the cluster may take."""


class TopicAdmin:
    """The topics of one cluster.

    Every method raises KafkaUnreachable where no broker answers, and KafkaUnusable where one refuses.
    """

    def __init__(self, client: ClientConfig) -> None:
        self._config = client
        self._brokers = client["bootstrap.servers"]
        self._heard: deque[KafkaError] = deque(maxlen=8)
        self._admin = AdminClient(client | {"error_cb": self._heard.append, "log_level": 0})

    def names(self) -> frozenset[str]:
        """Full names of all topics that we may see."""
        return frozenset(self._metadata())

    def existing(self, names: Iterable[str]) -> dict[str, Found]:
        """Those of the named topics that exist, by name."""
        metadata = self._metadata()
        there = [name for name in names if name in metadata]
        if not there:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
        answers = self._admin.describe_configs(resources, request_timeout=_SECONDS)
        found = {}
        for resource, answer in answers.items():
            entries = _result(answer, f"options of topic {resource.name} cannot be read")
            partitions = metadata[resource.name].partitions
            found[resource.name] = Found(
                partitions=len(partitions),
                replicas=len(partitions[0].replicas) if partitions else 0,
                config={name: str(entry.value) for name, entry in entries.items()},
            )
        return found

    def carry_out(self, decisions: Iterable[Decision]) -> None:
        """Make and adjust topics as decided; the caller has dealt with refusals."""
        to_create: list[Wanted] = []
        for decision in decisions:
            match decision:
                case Create(wanted):
                    to_create.append(wanted)
                case Adjust(wanted, changes):
                    self._adjust(wanted, changes)
                case Keep() | Refusal():
                    pass
                case _:
                    assert_never(decision)
        if to_create:
            self._create(to_create)

    def allow_reading(self, user: str, topics: Iterable[str]) -> None:
        """Let a user read these topics, in consumer groups whose names begin with the user's name and a dot.

        A user who may use any group could commit offsets for the pipeline's own, and make it skip records.
        """
        grants = [(ResourceType.TOPIC, name, ResourcePatternType.LITERAL, AclOperation.READ) for name in topics]
        grants.append((ResourceType.GROUP, f"{user}.", ResourcePatternType.PREFIXED, AclOperation.READ))
        rules = [
            AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
            for kind, name, pattern, operation in grants
        ]
        for rule, answer in self._admin.create_acls(rules, request_timeout=_SECONDS).items():
            _result(answer, f"user {user} cannot be allowed to read {rule.name}")

    def _metadata(self) -> Mapping[str, TopicMetadata]:
        try:
            return self._admin.list_topics(timeout=_SECONDS).topics
        except KafkaException as error:
            self._admin.poll(0)  # hands over what the connections met, which says more than that there is none
            reasons = [one for one in self._heard if one.code() != KafkaError._ALL_BROKERS_DOWN]  # noqa: SLF001 - a public error code
            reason = next((one for one in reasons if one.code() in REFUSALS), (reasons or [error.args[0]])[0])
            if mistake := tls_mistake(self._config, (one for one in reasons if one.code() in REFUSALS)):
                raise KafkaUnusable(mistake) from None
            if reason.code() in REFUSALS:
                raise KafkaUnusable(f"Kafka at {self._brokers} refuses us: {reason.str()}") from None
            raise KafkaUnreachable(f"no Kafka broker answers at {self._brokers}: {reason.str()}") from None

    def _create(self, wanted: list[Wanted]) -> None:
        new = [NewTopic(one.name, one.partitions, one.replicas, config=dict(one.config)) for one in wanted]
        for name, answer in self._admin.create_topics(new, request_timeout=_SECONDS).items():
            _result(answer, f"topic {name} cannot be made", fine=KafkaError.TOPIC_ALREADY_EXISTS)
        self._await_visible({one.name for one in wanted})

    def _await_visible(self, names: set[str]) -> None:
        deadline = time.monotonic() + _SECONDS
        while missing := names - self._metadata().keys():
            if time.monotonic() > deadline:
                raise KafkaUnusable(f"topic {min(missing)} was made and cannot be seen after {_SECONDS:.0f} s")
            time.sleep(0.05)

    def _adjust(self, wanted: Wanted, changes: Mapping[str, str]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in changes.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, wanted.name, incremental_configs=entries)
        for answer in self._admin.incremental_alter_configs([resource], request_timeout=_SECONDS).values():
            _result(answer, f"options of topic {wanted.name} cannot be changed")


def _result(answer: "Future[Any]", what: str, *, fine: int | None = None) -> Any:
    """Wait for an answer; an error with the code `fine` counts as one."""
    try:
        return answer.result(_SECONDS)
    except KafkaException as error:
        if error.args[0].code() == fine:
            return None
        raise KafkaUnusable(f"{what}: {error.args[0].str()}") from None
    except TimeoutError:
        raise KafkaUnreachable(f"{what}: no answer after {_SECONDS:.0f} s") from None

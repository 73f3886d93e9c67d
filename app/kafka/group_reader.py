"""What consumer groups have committed, read the way a member reads it, without joining a group.

librdkafka's admin client cannot be used for this: when a coordinator has moved or is still loading, as after a broker's
restart, it dereferences a group that it does not have, and the process dies. Nothing is subscribed or committed.
"""

import time
from collections.abc import Sequence
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata

from app.kafka.client import CONNECTION_ERRORS, READING, KafkaUnreachableError, KafkaUnusableError, client_config
from app.kafka.listening import first_answer, words_of
from app.settings import Settings

ANSWER_SECONDS: Final = 10.0

_MOVING: Final = frozenset(
    {
        KafkaError._WAIT_COORD,  # noqa: SLF001 - librdkafka's public error codes have this form in Python
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What brokers answer for a moment after a start."""

_PAUSE_SECONDS: Final = 0.1


class GroupReader:
    """Reads the committed offsets of groups, over one connection for each group. Use as a context, or close it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clients: dict[str, Consumer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        while self._clients:
            self._clients.popitem()[1].close()

    def committed(self, group: str, topic: str) -> dict[int, tuple[int, str | None]]:
        """Offset and metadata by partition, where the group has committed any; names are given without prefix.

        Empty if the topic or the group does not exist. Raises KafkaUnreachableError and KafkaUnusableError.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            answer = self._ask(group, topic)
            if not isinstance(answer, KafkaError):
                return {one.partition: (one.offset, _metadata(one)) for one in answer if one.offset >= 0}
            if answer.code() not in _MOVING or time.monotonic() > deadline:
                raise self._problem(group, answer)
            time.sleep(_PAUSE_SECONDS)

    def _ask(self, group: str, topic: str) -> Sequence[TopicPartition] | KafkaError:
        """The offsets, or the error that came instead."""
        full = self._settings.name(topic)
        is_new, client = group not in self._clients, self._client(group)

        def topics_in(seconds: float) -> ClusterMetadata:
            answer: ClusterMetadata = client.list_topics(full, timeout=seconds)
            return answer

        try:
            where = self._settings.kafka_bootstrap_servers
            known = first_answer(where, ANSWER_SECONDS, topics_in) if is_new else topics_in(ANSWER_SECONDS)
            found = known.topics[full]
            places = [TopicPartition(full, number) for number in found.partitions]
            answer: Sequence[TopicPartition] = client.committed(places, timeout=ANSWER_SECONDS) if places else ()
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            return reason
        return next((one.error for one in answer if one.error is not None), answer)

    def _client(self, group: str) -> Consumer:
        if group not in self._clients:
            options = {**READING, "group.id": self._settings.name(group), "log_level": 0}
            self._clients[group] = Consumer(client_config(self._settings) | options)
        return self._clients[group]

    def _problem(self, group: str, reason: KafkaError) -> Exception:
        where = self._settings.kafka_bootstrap_servers
        if reason.code() in _MOVING | CONNECTION_ERRORS:
            return KafkaUnreachableError(f"no Kafka broker answers at {where}: {words_of(reason.str())}")
        full = self._settings.name(group)
        return KafkaUnusableError(f"Kafka at {where} does not show the offsets of group {full}: {reason.str()}")


def _metadata(where: TopicPartition) -> str | None:
    """Text beside a committed offset. None if it is not text: then another program wrote it."""
    try:
        return where.metadata
    except UnicodeDecodeError:
        return None

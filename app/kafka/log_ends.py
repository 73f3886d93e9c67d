"""The next offset of partitions and the ids of topics, read from the brokers with an admin client.

librdkafka's admin client sends the leader epoch that it remembers. A restarted broker refuses an old epoch
(FENCED_LEADER_EPOCH) until the client has read the metadata once more. So after a refusal the metadata is read, and
the question is repeated.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.kafka.records import Partition

ANSWER_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
_UNSEEN = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART})


def log_ends(
    admin: AdminClient, partitions: Iterable[Partition], *, patience_seconds: float, readable: bool = False
) -> dict[Partition, int]:
    """Next offset of each partition; with `readable`, up to where no open transaction keeps readers back.

    The question is repeated once, and then for as long as `patience_seconds`. Raises KafkaException.
    """
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    return _listed(admin, dict.fromkeys(partitions, latest), patience_seconds, readable=readable)


def log_begins(admin: AdminClient, partitions: Iterable[Partition], *, patience_seconds: float) -> dict[Partition, int]:
    """Offset of the first record that each partition still has, or of the next one. See `log_ends`."""
    earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
    return _listed(admin, dict.fromkeys(partitions, earliest), patience_seconds)


def offsets_at(
    admin: AdminClient, times_ms: Mapping[Partition, int], *, patience_seconds: float
) -> dict[Partition, int | None]:
    """Offset of the first record of each partition that is not older than a time; None if all are. See `log_ends`."""
    places = {place: OffsetSpec.for_timestamp(time_ms) for place, time_ms in times_ms.items()}
    found = _listed(admin, places, patience_seconds, readable=True)
    return {place: offset if offset >= 0 else None for place, offset in found.items()}


def _listed(
    admin: AdminClient, wanted: Mapping[Partition, OffsetSpec], patience_seconds: float, *, readable: bool = False
) -> dict[Partition, int]:
    isolation = IsolationLevel.READ_COMMITTED if readable else IsolationLevel.READ_UNCOMMITTED
    places = {TopicPartition(topic, number): spec for (topic, number), spec in wanted.items()}
    if not places:
        return {}
    deadline, refused = time.monotonic() + patience_seconds, False
    while True:
        try:
            if refused:
                admin.list_topics(timeout=ANSWER_SECONDS)
            answers = admin.list_offsets(places, isolation_level=isolation, request_timeout=ANSWER_SECONDS)
            return {(tp.topic, tp.partition): answer.result().offset for tp, answer in answers.items()}
        except KafkaException:
            if refused and time.monotonic() > deadline:
                raise
        if refused:
            time.sleep(_PAUSE_SECONDS)
        refused = True


class TopicFacts(NamedTuple):
    """Kafka's id of a topic, which is another one after the topic was deleted and made again, and its partitions."""

    topic_id: str
    partitions: int


def topic_facts(admin: AdminClient, names: Iterable[str]) -> dict[str, TopicFacts]:
    """What topics are, by one question; those that are missing, or that we may not see, are left out.

    Raises KafkaException where no broker answers.
    """
    found = {}
    for name, answer in _described(admin, names).items():
        try:
            found[name] = _facts(answer)
        except KafkaException as error:
            if error.args[0].code() not in _UNSEEN:
                raise
    return found


def topic_ids(admin: AdminClient, names: Iterable[str]) -> dict[str, str]:
    """Kafka's id of each topic. Raises KafkaException, also for a topic that is missing."""
    return {name: _facts(answer).topic_id for name, answer in _described(admin, names).items()}


def _described(admin: AdminClient, names: Iterable[str]) -> dict[str, Any]:
    wanted = sorted(names)
    return admin.describe_topics(TopicCollection(wanted), request_timeout=ANSWER_SECONDS) if wanted else {}


def _facts(answer: Any) -> TopicFacts:
    found = answer.result()
    return TopicFacts(str(found.topic_id), len(found.partitions))

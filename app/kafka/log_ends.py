"""Where partitions end, and which topics they belong to, asked of the broker itself.

Rules: librdkafka's admin client asks with the leader epoch that it remembers, and a restarted broker refuses an old one
(FENCED_LEADER_EPOCH) for as long as nobody makes the client look again; so a refused question is followed by a look at
the metadata, and asked again. This module refuses to know what the ends are needed for.
"""

import time
from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.streaming.ledger import Partition

ANSWER_SECONDS = 5.0
_PAUSE_SECONDS = 0.2


def log_ends(admin: AdminClient, partitions: Iterable[Partition], *, patience_seconds: float) -> dict[Partition, int]:
    """Next offset of each partition; asked twice at least, and for as long as `patience_seconds`.

    Raises KafkaException.
    """
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, number): latest for topic, number in partitions}
    if not asked:
        return {}
    deadline, refused = time.monotonic() + patience_seconds, False
    while True:
        try:
            answers = admin.list_offsets(asked, request_timeout=ANSWER_SECONDS)
            return {(tp.topic, tp.partition): answer.result().offset for tp, answer in answers.items()}
        except KafkaException:
            if refused and time.monotonic() > deadline:
                raise
        if refused:
            time.sleep(_PAUSE_SECONDS)
        refused = True
        admin.list_topics(timeout=ANSWER_SECONDS)


def topic_ids(admin: AdminClient, names: Iterable[str]) -> dict[str, str]:
    """Kafka's id of each topic; a topic that is deleted and made anew gets another. Raises KafkaException."""
    asked = sorted(names)
    if not asked:
        return {}
    answers = admin.describe_topics(TopicCollection(asked), request_timeout=ANSWER_SECONDS)
    return {name: str(answer.result().topic_id) for name, answer in answers.items()}

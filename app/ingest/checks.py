"""What an ingest can know before it reads: whether settings and Kafka let it run, and how large its batches may be."""

import logging
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.ingest.opening import opening_of
from app.ingest.writer import BATCH_BYTES
from app.kafka.client import ClientConfig, KafkaUnreachableError, partition_counts
from app.kafka.topic_limits import topic_limits
from app.privacy.load import load_privacy
from app.settings import Settings
from schemas import topics

log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 5.0


def check(settings: Settings) -> None:
    """What can be checked without the turn to work. Raises as Ingest does."""
    opening_of(settings)
    load_privacy(settings)
    look_at_topics(settings)


def with_batches_for(config: ClientConfig, admin: AdminClient, topic: str) -> ClientConfig:
    """The configuration, with smaller batches where a topic takes only such: a larger one would be refused whole."""
    try:
        limit = topic_limits(admin, [topic]).get(topic)
    except KafkaException:  # no broker answers, which is waited for
        return config
    return config if limit is None or limit >= BATCH_BYTES else config | {"batch.size": limit}


def look_at_topics(settings: Settings) -> None:
    """Refuse to start without the topics. A Kafka that is away is waited for later."""
    try:
        written = (topics.RAW, topics.COVERAGE, topics.PROBES, topics.PLACEMENTS)
        partition_counts(settings, tuple(map(settings.name, written)), _ANSWER_SECONDS)
    except KafkaUnreachableError as error:
        log.warning("%s; events are buffered meanwhile", error)

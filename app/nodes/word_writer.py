"""Writes the word of an authority to `runtime.coverage`: acknowledged before the next thing is said."""

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from agents.coverage.keys import node_partition, record_key
from app.kafka.client import KafkaUnreachableError, client_config
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from app.stages.worker import registered_id
from schemas import topics
from schemas.coverage import CoverageGap, encode

ANSWER_SECONDS: Final = 30.0


class WordWriter:
    """Publishes words about nodes."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaUnreachableError, KafkaUnusableError, SchemasMissingError, RegistryError."""
        self._where = settings.kafka_bootstrap_servers
        self._topic = settings.name(topics.COVERAGE)
        self._schema_id = registered_id(settings, topics.COVERAGE)
        with TopicReader(settings) as reader:
            self._partitions = reader.partitions(self._topic)
        options = {"acks": "all", "enable.idempotence": True, "log_level": 0}
        limits = {"message.timeout.ms": int(ANSWER_SECONDS * 1000), "queue.buffering.max.messages": 100_000}
        self._producer = Producer(client_config(settings) | options | limits)
        self._problems: list[KafkaError] = []

    def say(self, words: Iterable[CoverageGap]) -> None:
        """Publish words; returns when the broker has all of them. Raises KafkaUnreachableError."""
        for word in words:
            partition = node_partition(word.node_id, self._partitions)
            value = encode(word, self._schema_id)
            self._producer.produce(self._topic, value, record_key(word), partition, on_delivery=self._on_delivery)
            self._producer.poll(0)
        left = self._producer.flush(ANSWER_SECONDS + 1.0)
        if self._problems or left:
            reason = self._problems[0].str() if self._problems else "no answer"
            raise KafkaUnreachableError(f"Kafka at {self._where} did not take the record: {reason}")

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._problems.append(error)

"""Reading a topic from somewhere to its present end, once, outside of every consumer group.

Rules: partitions are assigned and positions given, so no group is joined, nothing is committed, and only the right to
read the topic is needed. "The end" is the end when reading began: a topic that grows is not followed. This module
refuses to know what records mean.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from app.kafka.client import KafkaUnreachable, KafkaUnusable, client_config, partition_count
from app.kafka.records import OffsetRange
from app.settings import Settings

ANSWER_SECONDS: Final = 10.0
"""For one question to the brokers."""

_CONNECTION_ERRORS: Final = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}  # noqa: SLF001 - public error codes
)

Answer = TypeVar("Answer")

SILENCE_SECONDS: Final = 30.0
"""Without a record although there are more: the brokers do not answer."""

_AT_ONCE: Final = 2_000

_LEADER_CHANGES: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
"""What brokers answer for a moment after a topic was made or a broker went."""


class TopicReader:
    """Reads one topic, its name given with prefix. Use as a context.

    Every method raises KafkaUnreachable where no broker answers, KafkaUnusable where the topic is missing or refused.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._where = settings.kafka_bootstrap_servers
        self._topic = topic
        self._partitions = partition_count(settings, topic, ANSWER_SECONDS)
        options: dict[str, Any] = {
            "group_id": "callstream-reader",  # librdkafka wants a name; the group is never joined
            "enable_auto_commit": False,
            "enable_auto_offset_store": False,
            "auto_offset_reset": "error",
        }
        self._consumer = Consumer(client_config(settings, **options) | {"log_level": 0})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def extents(self) -> dict[int, OffsetRange]:
        """First and end offset of every partition, as the brokers say now."""
        return {number: self._extent(number) for number in range(self._partitions)}

    def offsets_at(self, time_ms: int) -> dict[int, int]:
        """For every partition the first offset whose record is not older than `time_ms`; its end where none is."""
        asked = [TopicPartition(self._topic, number, time_ms) for number in range(self._partitions)]
        found = self._answered(lambda: self._offsets_for_times(asked))
        ends = self.extents()
        return {tp.partition: tp.offset if tp.offset >= 0 else ends[tp.partition].next for tp in found}

    def records(self, starts: Mapping[int, int] | None = None) -> Iterator[Message]:
        """All records from `starts` (where not given, from the first) to the present ends, partitions intermixed.

        A start before the first offset that exists means that one.
        """
        extents = self.extents()
        begins = {number: max((starts or {}).get(number, 0), extent.first) for number, extent in extents.items()}
        waiting = {number for number, extent in extents.items() if begins[number] < extent.next}
        if not waiting:
            return
        self._consumer.assign([TopicPartition(self._topic, number, begins[number]) for number in sorted(waiting)])
        heard_at = time.monotonic()
        while waiting:
            for message in self._consumer.consume(_AT_ONCE, 0.5):
                if self._passes(message):
                    continue
                heard_at = time.monotonic()
                number, offset = message.partition(), message.offset()
                assert number is not None
                assert offset is not None
                if offset < extents[number].next:
                    yield message
                if offset >= extents[number].next - 1:
                    waiting.discard(number)
            if time.monotonic() - heard_at > 1.0:
                waiting -= {number for number in waiting if self._position(number) >= extents[number].next}
            if time.monotonic() - heard_at > SILENCE_SECONDS:
                raise KafkaUnreachable(f"Kafka at {self._where} has records of {self._topic} and does not send them")
        self._consumer.unassign()

    def record_at(self, partition: int, offset: int) -> Message | None:
        """The record at a position, or None where it does not exist or has expired."""
        extent = self._extent(partition)
        if not extent.first <= offset < extent.next:
            return None
        self._consumer.assign([TopicPartition(self._topic, partition, offset)])
        deadline = time.monotonic() + SILENCE_SECONDS
        while time.monotonic() < deadline:
            message = self._consumer.poll(0.5)
            if message is not None and not self._passes(message):
                return message if message.offset() == offset else None
            if self._position(partition) > offset:
                return None
        raise KafkaUnreachable(f"Kafka at {self._where} has records of {self._topic} and does not send them")

    def _extent(self, partition: int) -> OffsetRange:
        where = TopicPartition(self._topic, partition)
        found = self._answered(
            lambda: self._consumer.get_watermark_offsets(where, timeout=ANSWER_SECONDS, cached=False)
        )
        if found is None:
            raise KafkaUnreachable(f"Kafka at {self._where} does not say where {self._topic} ends")
        return OffsetRange(partition, *found)

    def _offsets_for_times(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        found = self._consumer.offsets_for_times(asked, timeout=ANSWER_SECONDS)
        for answer in found:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return found

    def _answered(self, ask: Callable[[], Answer]) -> Answer:
        """What the brokers answer, asked again for a while where a partition has no leader yet."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error.args[0].code() not in _LEADER_CHANGES or time.monotonic() > deadline:
                    raise self._problem(error.args[0]) from None
                time.sleep(0.1)

    def _position(self, partition: int) -> int:
        """Next offset that would be read: offsets may be missing in front of it."""
        (found,) = self._consumer.position([TopicPartition(self._topic, partition)])
        return int(found.offset)

    def _passes(self, message: Message) -> bool:
        """Whether a message is an error that the client gets over by itself: a silence that lasts has its own limit."""
        error = message.error()
        if error is not None and error.code() not in _CONNECTION_ERRORS | _LEADER_CHANGES:
            raise self._problem(error)
        return error is not None

    def _problem(self, error: KafkaError) -> Exception:
        if error.code() in _CONNECTION_ERRORS:
            return KafkaUnreachable(f"no Kafka broker answers at {self._where}: {error.str()}")
        return KafkaUnusable(f"Kafka at {self._where} does not let us read {self._topic}: {error.str()}")

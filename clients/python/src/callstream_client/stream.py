"""Records of one topic as batches, read by a member of a consumer group.

A position is committed when the caller says so, so what was not worked on comes again. What cannot be used, and what
was deleted before it was read, is told in the batch: it costs nobody the rest. While no broker answers, no batch comes;
reading goes on where it was.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from callstream_client.connection import Connection
from callstream_client.decoding import Decoder, TopicKind
from callstream_client.errors import ClientError, UnreachableError
from callstream_client.quiet import quiet

log = logging.getLogger(__name__)
kafka_log = log.getChild("librdkafka")
quiet(log, kafka_log)

RecordT = TypeVar("RecordT")

_POLL_SECONDS: Final = 0.2
"""How long a batch that is not full waits for more."""
_REQUEST_SECONDS: Final = 10.0
_NOT_ALLOWED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's public codes have this form in Python
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)
"""Errors that do not go away by waiting."""


@dataclass(frozen=True, slots=True)
class Received(Generic[RecordT]):
    """A record and its position. `timestamp_ms` is the time of receipt of the raw record, not the event's own."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    record: RecordT


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that cannot be used, and why."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    reason: str


@dataclass(frozen=True, slots=True)
class LostRecords:
    """Offsets `first` to before `next` were deleted before they were read; `next` is below `first` in a new topic."""

    partition: int
    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Batch(Generic[RecordT]):
    """What came in one piece, in the order of each partition. `tombstones` are keys whose record was removed."""

    records: tuple[Received[RecordT], ...]
    refused: tuple[RefusedRecord, ...] = ()
    lost: tuple[LostRecords, ...] = ()
    tombstones: tuple[bytes, ...] = ()
    repeated: int = 0
    """Records that were left out because they came before."""
    nexts: Mapping[int, int] = field(default_factory=dict)
    """Offset after the last of each partition: what a commit stores."""
    marks: Mapping[int, str] = field(default_factory=dict)
    """A word for each partition that is stored beside its offset, and is there again where reading goes on."""


class RecordStream(Generic[RecordT]):
    """A member of a group that reads one topic. Not for several threads at once."""

    def __init__(
        self,
        connection: Connection,
        kind: TopicKind[RecordT],
        *,
        group: str,
        from_newest: bool = False,
        max_records: int = 1_000,
    ) -> None:
        """Where the group has no position yet, reading begins at the oldest record, or behind the newest one.

        Raises UnreachableError if no broker answers, and ClientError if it refuses or has no such topic.
        """
        self._topic = connection.topic(kind.topic)
        self._decoder = Decoder(connection, kind)
        self._from_newest = from_newest
        self._max_records = max_records
        self._nexts: dict[int, int] = {}
        self._lost: list[LostRecords] = []
        self._refusal: KafkaError | None = None
        self._is_member = False
        self._closing = threading.Event()
        options = connection.consumer_options(group) | {"error_cb": self._hear}
        self._consumer = Consumer(options, logger=kafka_log)
        self._find_topic(connection)
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the group."""
        self._closing.set()
        self._consumer.close()
        self._decoder.close()

    def batches(self, *, idle_s: float | None = None) -> Iterator[Batch[RecordT]]:
        """Batches as they come. With `idle_s`, they end when nothing has come for so long since the group let us read.

        Raises ClientError if Kafka refuses, and RegistryError if the registry is away for too long.
        """
        heard = time.monotonic()
        while not self._closing.is_set():
            messages = self._consumer.consume(self._max_records, _POLL_SECONDS)
            if self._refusal is not None:
                raise ClientError(f"Kafka refuses: {self._refusal.str()}")
            batch = self._batch(messages)
            if batch.nexts or batch.lost:
                heard = time.monotonic()
                yield batch
            elif not self._is_member:
                heard = time.monotonic()  # a member that died without a word is waited for
            elif idle_s is not None and time.monotonic() - heard > idle_s:
                return

    def commit(self, batch: Batch[RecordT]) -> bool:
        """Store the positions behind a batch.

        False if partitions have moved to another member meanwhile: it gets their records again.
        """
        offsets = [
            TopicPartition(self._topic, number, offset, metadata=batch.marks.get(number, ""))
            for number, offset in batch.nexts.items()
            if number in self._nexts
        ]
        if offsets:
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            except KafkaException as error:
                log.warning("positions were not stored, their records come again: %s", error.args[0].str())
                return False
        return len(offsets) == len(batch.nexts)

    def _batch(self, messages: list[Message]) -> Batch[RecordT]:
        records: list[Received[RecordT]] = []
        refused: list[RefusedRecord] = []
        tombstones: list[bytes] = []
        nexts: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._meet(error, message)
                continue
            partition, offset, key, value = message.partition(), message.offset(), message.key(), message.value()
            assert partition is not None
            assert offset is not None
            nexts[partition] = self._nexts[partition] = offset + 1
            found = "it is empty" if value is None else self._decoder.decode(value)
            timestamp_ms = message.timestamp()[1]
            if isinstance(found, str):
                if value is None and key is not None:
                    tombstones.append(key)
                else:
                    refused.append(RefusedRecord(partition, offset, timestamp_ms, key, found))
            else:
                records.append(Received(partition, offset, timestamp_ms, key, found))
        lost, self._lost = tuple(self._lost), []
        return Batch(tuple(records), tuple(refused), lost, tuple(tombstones), nexts=nexts)

    def _meet(self, error: KafkaError, message: Message) -> None:
        """An error in place of a record: deleted records are passed over and told; all others go away or end it."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - as above
            partition = message.partition()
            assert partition is not None
            first, oldest = self._nexts.get(partition, 0), self._oldest(partition)
            self._lost.append(LostRecords(partition, first, oldest))
            self._nexts[partition] = oldest
            self._passed_over(partition, was_made_again=oldest < first)
            self._consumer.seek(TopicPartition(self._topic, partition, oldest))
        else:
            self._hear(error)

    def _hear(self, error: KafkaError) -> None:
        if error.code() in _NOT_ALLOWED or error.fatal():
            self._refusal = error
        else:
            log.warning("Kafka: %s", error.str())

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Go on where the group stopped, or say what is gone."""
        for stored in consumer.committed(partitions, timeout=_REQUEST_SECONDS) if partitions else []:
            oldest, newest = consumer.get_watermark_offsets(stored, timeout=_REQUEST_SECONDS)
            if stored.offset < 0:
                begin = newest if self._from_newest else oldest
            elif stored.offset < oldest or stored.offset > newest:
                self._lost.append(LostRecords(stored.partition, stored.offset, oldest))
                begin = oldest
            else:
                begin = stored.offset
            self._nexts[stored.partition] = begin
            self._resumed(stored.partition, stored.metadata if begin == stored.offset else None)
        self._is_member = True
        consumer.assign([TopicPartition(self._topic, one.partition, self._nexts[one.partition]) for one in partitions])

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._is_member = False
        for one in partitions:
            self._nexts.pop(one.partition, None)

    def _resumed(self, partition: int, mark: str | None) -> None:
        """Reading of a partition begins; `mark` is what was stored beside its position."""

    def _passed_over(self, partition: int, *, was_made_again: bool) -> None:
        """Records of a partition are gone; `was_made_again`: the topic is a new one."""

    def _oldest(self, partition: int) -> int:
        return int(self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), _REQUEST_SECONDS)[0])

    def _find_topic(self, connection: Connection) -> None:
        partitions_of(self._consumer, self._topic, connection)


def partitions_of(consumer: Consumer, topic: str, connection: Connection) -> list[int]:
    """Numbers of a topic's partitions. Raises UnreachableError and ClientError."""
    try:
        found: Any = consumer.list_topics(topic, timeout=connection.patience_s).topics[topic]
    except KafkaException as error:
        consumer.close()
        raise UnreachableError(f"no broker answers at {connection.bootstrap_servers}: {error.args[0].str()}") from None
    if found.error is not None:
        consumer.close()
        raise ClientError(f"topic {topic}: {found.error.str()}; is topic_prefix right, and may you read it?")
    return sorted(found.partitions)

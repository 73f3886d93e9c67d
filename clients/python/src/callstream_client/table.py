"""The newest record of each key of a compacted topic, as it stands now: hot symbols, and answers to watches."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from callstream_client.connection import Connection
from callstream_client.decoding import Decoder, TopicKind
from callstream_client.errors import ClientError, UnreachableError
from callstream_client.stream import RefusedRecord, kafka_log, partitions_of

RecordT = TypeVar("RecordT")

_READER: Final = "callstream-client"
"""librdkafka wants a group's name, also of a consumer that belongs to none and commits nothing."""

_REQUEST_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Table(Generic[RecordT]):
    """Rows by their key as text, and what cannot be used."""

    rows: dict[str, RecordT]
    refused: tuple[RefusedRecord, ...]


def newest(connection: Connection, kind: TopicKind[RecordT], *, max_rows: int = 1_000_000) -> Table[RecordT]:
    """All rows of a compacted topic. They are in memory at once, so there is a limit.

    Raises UnreachableError, RegistryError, and ClientError above the limit.
    """
    found: dict[bytes, Message] = {}
    refused: list[RefusedRecord] = []
    for message in read_to_end(connection, kind.topic):
        key = message.key()
        if key is None:
            refused.append(_refused(message, "it has no key"))
        elif message.value() is None:
            found.pop(key, None)
        else:
            found[key] = message
            if len(found) > max_rows:
                raise ClientError(f"topic {connection.topic(kind.topic)} has more than {max_rows} rows: raise max_rows")
    decoder = Decoder(connection, kind)
    rows: dict[str, RecordT] = {}
    try:
        for key in sorted(found):
            row = decoder.decode(found[key].value() or b"")
            if isinstance(row, str):
                refused.append(_refused(found[key], row))
            else:
                rows[key.decode("utf-8", "backslashreplace")] = row
    finally:
        decoder.close()
    return Table(rows, tuple(refused))


def read_to_end(connection: Connection, topic: str, since_ms: int = 0) -> Iterator[Message]:
    """Records of a topic that were received since a time, up to its present end, in no group.

    Raises UnreachableError if no broker answers, at the beginning or meanwhile.
    """
    name = connection.topic(topic)
    options = connection.consumer_options(_READER) | {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
    consumer = Consumer(options, logger=kafka_log)
    numbers = partitions_of(consumer, name, connection)
    try:
        since = [TopicPartition(name, number, since_ms) for number in numbers]
        begins: Any = consumer.offsets_for_times(since, timeout=_REQUEST_SECONDS) if since_ms else since
        # offsets_for_times says -1 (the end) where all records are older
        consumer.assign([TopicPartition(name, one.partition, one.offset if since_ms else 0) for one in begins])
        left, heard = set(numbers), time.monotonic()
        while left:
            for message in consumer.consume(1_000, 0.1):
                heard = time.monotonic()
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public codes look like this
                    left.discard(message.partition())
            if time.monotonic() - heard > connection.patience_s:
                raise UnreachableError(
                    f"{connection.bootstrap_servers} has stopped to answer; {name} was not read whole"
                )
    finally:
        consumer.close()


def _refused(message: Message, reason: str) -> RefusedRecord:
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return RefusedRecord(partition, offset, message.timestamp()[1], message.key(), reason)

"""Reads a public topic from end to end and lets the verifier look at every record: `callstream privacy audit`.

Rules: the end is where the partitions ended when the audit began, so it always finishes. Records are decoded with the
packaged schema of their topic; a record that is not of it, and topics without one, are looked at as bytes. A restricted
topic holds private data by design and is refused. Findings name positions, fields and rules, never values. This module
refuses to know what the verifier's rules are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from agents.privacy.verifier import Finding, Verifier
from app.kafka.client import KafkaUnreachable, KafkaUnusable, client_config, partition_count
from app.operators.errors import OperatorError
from app.settings import Settings
from schemas import records
from schemas.topics import TOPICS, Topic

_TIMEOUT_S: Final = 10.0
_BATCH: Final = 1000
_MAX_SILENT_POLLS: Final = 6


class RestrictedTopic(OperatorError):  # noqa: N818 - reads as what it says
    """The topic holds private data by design; there is nothing to audit."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and where its record is."""

    partition: int
    offset: int
    finding: Finding


@dataclass(slots=True)
class Progress:
    """How far an audit has come, in records; `report` is told now and then. `total` counts what was deleted as well."""

    report: Callable[["Progress"], None] | None = None
    total: int = 0
    done: int = 0


def audit(settings: Settings, name: str, verifier: Verifier, progress: Progress) -> Iterator[Found]:
    """Findings in the topic `name` (without prefix, or any other topic of the cluster).

    Raises RestrictedTopic, KafkaUnreachable, KafkaUnusable.
    """
    topic = next((one for one in TOPICS if one.name == name), None)
    if topic is not None and topic.restricted:
        raise RestrictedTopic(f"{name} is restricted: it may hold what must not leave, and only operators read it")
    full_name = settings.name(name) if topic is not None else name
    partitions = partition_count(settings, full_name, _TIMEOUT_S)
    consumer = Consumer(
        client_config(settings, group_id="callstream-audit", enable_auto_commit=False, enable_auto_offset_store=False)
        | {"auto.offset.reset": "error", "isolation.level": "read_committed"}
    )
    try:
        ends = _assign(consumer, full_name, partitions)
        progress.total = sum(ends.values())
        for message in _messages(consumer, full_name, ends):
            progress.done += 1
            yield from _looked_at(message, topic, verifier)
            if progress.report is not None and progress.done % _BATCH == 0:
                progress.report(progress)
    except KafkaException as error:
        raise KafkaUnreachable(f"Kafka at {settings.kafka_bootstrap_servers}: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _assign(consumer: Consumer, name: str, partitions: int) -> dict[int, int]:
    """Assign every partition that holds records from its start; their ends."""
    ends: dict[int, int] = {}
    starts: list[TopicPartition] = []
    for partition in range(partitions):
        low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=_TIMEOUT_S)
        if high > low:
            ends[partition] = high
            starts.append(TopicPartition(name, partition, low))
    consumer.assign(starts)
    return ends


def _messages(consumer: Consumer, name: str, ends: dict[int, int]) -> Iterator[Message]:
    """Records of the assigned partitions up to `ends`. Raises KafkaUnusable where they stop before."""
    left = dict(ends)
    silent = 0
    while left:
        messages: Sequence[Message] = consumer.consume(_BATCH, timeout=1.0)
        silent = 0 if messages else silent + 1
        if silent > _MAX_SILENT_POLLS:
            raise KafkaUnusable(f"{name} gives no more records before its end in partitions {sorted(left)}")
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            partition, offset = message.partition(), message.offset()
            if partition is not None and offset is not None and offset < ends[partition]:
                yield message
        _finish(consumer, name, left)


def _finish(consumer: Consumer, name: str, ends: dict[int, int]) -> None:
    """Take partitions that were read to their end out of `ends`."""
    for position in consumer.position([TopicPartition(name, partition) for partition in ends]):
        if position.offset >= ends[position.partition]:
            del ends[position.partition]


def _looked_at(message: Message, topic: Topic | None, verifier: Verifier) -> Iterator[Found]:
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    for field, content in (("key", message.key()), ("value", _decoded(message.value(), topic))):
        for finding in verifier.findings(content, "" if isinstance(content, dict) else field):
            yield Found(partition, offset, finding)


def _decoded(value: Any, topic: Topic | None) -> Any:
    if topic is None or topic.value_schema is None or not isinstance(value, bytes):
        return value
    try:
        return records.decode(topic.value_schema, value)
    except (ValueError, EOFError, IndexError, KeyError, TypeError):
        return value  # looked at as bytes: what cannot be decoded can still leak

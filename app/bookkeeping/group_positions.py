"""What the stages' consumer groups have committed, with the accounts in it, and the extents of all topics.

Rules: groups are read and never changed; committed offsets are read before the topics' ends, so that an end is never
behind them. This module refuses to know what balances.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from app.bookkeeping.balance import SourcePartition, StageSource
from app.bookkeeping.topic_reading import Extent, TopicReader
from app.kafka import KafkaUnreachable, KafkaUnusable, client_config
from app.settings import Settings
from app.streaming.account import read_note
from app.topology import PIPELINE
from schemas.topics import Stage

_SECONDS: Final = 10.0
_AWAY: Final = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}  # noqa: SLF001 - public error codes
)

Committed = Mapping[tuple[str, int], tuple[int, str | None]]
"""Committed offset and metadata by full topic name and partition."""


def committed_by(settings: Settings, stages: Iterable[Stage]) -> dict[Stage, Committed]:
    """What each stage's group has committed; nothing where it has never run.

    Raises KafkaUnreachable and KafkaUnusable.
    """
    admin = AdminClient(client_config(settings) | {"log_level": 0})
    found: dict[Stage, Committed] = {}
    for stage in stages:
        group = settings.name(stage.group)
        try:
            asked = [ConsumerGroupTopicPartitions(group)]
            answer = admin.list_consumer_group_offsets(asked, request_timeout=_SECONDS)[group].result()
        except KafkaException as error:
            reason = error.args[0]
            where = settings.kafka_bootstrap_servers
            if reason.code() in _AWAY:
                raise KafkaUnreachable(f"no Kafka broker answers at {where}: {reason.str()}") from None
            raise KafkaUnusable(f"Kafka at {where} does not tell offsets of group {group}: {reason.str()}") from None
        except UnicodeDecodeError:  # see `app.streaming.account`
            raise KafkaUnusable(f"offsets of group {group} were committed by another program, with a note") from None
        found[stage] = {
            (tp.topic, tp.partition): (tp.offset, tp.metadata)
            for tp in answer.topic_partitions or ()
            if tp.offset is not None and tp.offset >= 0
        }
    return found


def extents_of(settings: Settings, topics: Iterable[str]) -> dict[str, dict[int, Extent]]:
    """Extents of every partition of the topics, by unprefixed name. Raises KafkaUnreachable and KafkaUnusable."""
    extents = {}
    for topic in topics:
        with TopicReader(settings, settings.name(topic)) as reader:
            extents[topic] = reader.extents()
    return extents


def stage_sources(
    settings: Settings, committed: Mapping[Stage, Committed], extents: Mapping[str, Mapping[int, Extent]]
) -> list[StageSource]:
    """Every stage with each of its sources, in data order."""
    sources = []
    for shape in PIPELINE:
        for topic in shape.sources:
            known = committed[shape.stage]
            partitions = {}
            for number, extent in extents[topic].items():
                offset, note = known.get((settings.name(topic), number), (None, None))
                partitions[number] = SourcePartition(offset, read_note(note), extent)
            sources.append(StageSource(shape.stage, topic, partitions))
    return sources

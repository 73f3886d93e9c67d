"""What the stages' consumer groups have committed, with the accounts beside it, and the ends of all topics.

Groups are read and never changed. Committed offsets are read before the topics' ends, so an end is never behind them.
"""

from collections.abc import Iterable, Mapping

from app.books.balance import SourcePartition, StageSource
from app.kafka.group_reader import GroupReader
from app.kafka.records import OffsetRange
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from app.streaming.account import read_note
from app.topology import PIPELINE
from schemas.topics import Stage

Committed = Mapping[tuple[Stage, str], Mapping[int, tuple[int, str | None]]]
"""Committed offset and metadata by stage and unprefixed topic name, and then by partition."""


def committed_by(settings: Settings) -> Committed:
    """What each stage's group has committed; no partitions if the stage has never run.

    Raises KafkaUnreachableError and KafkaUnusableError.
    """
    with GroupReader(settings) as reader:
        return {
            (shape.stage, topic): reader.committed(shape.group, topic) for shape in PIPELINE for topic in shape.sources
        }


def ends_of(settings: Settings, topics: Iterable[str]) -> dict[str, dict[int, OffsetRange]]:
    """The ends of every partition of the topics, by unprefixed name.

    Raises KafkaUnreachableError and KafkaUnusableError.
    """
    with TopicReader(settings) as reader:
        return {topic: reader.all_ends(settings.name(topic)) for topic in topics}


def stage_sources(committed: Committed, ends: Mapping[str, Mapping[int, OffsetRange]]) -> list[StageSource]:
    """Every stage with each of its sources, in data order."""
    sources = []
    for (stage, topic), known in committed.items():
        partitions = {}
        for number, found in ends[topic].items():
            offset, note = known.get(number, (None, None))
            partitions[number] = SourcePartition(offset, read_note(note), found)
        sources.append(StageSource(stage, topic, partitions))
    return sources

"""Reads from the brokers how far a version's stages are.

Committed offsets are read before the topics' ends; groups are never changed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from app.kafka.group_reader import GroupReader
from app.kafka.topic_reader import TopicReader
from app.reprocess.catching_up import PartitionSample, StageSample
from app.settings import Settings
from app.streaming.account import Account, read_note
from app.topology import StageShape

Sample = Callable[[], tuple[StageSample, ...]]
"""Takes a sample of each stage, in data order. Raises KafkaUnreachableError and KafkaUnusableError."""


@contextmanager
def sampler(settings: Settings, shapes: tuple[StageShape, ...]) -> Iterator[Sample]:
    """A `Sample` of one version's stages. Raises KafkaUnreachableError and KafkaUnusableError."""
    with GroupReader(settings) as groups, TopicReader(settings) as reader:
        yield partial(_sample, settings, shapes, groups, reader)


def _sample(
    settings: Settings, shapes: tuple[StageShape, ...], groups: GroupReader, reader: TopicReader
) -> tuple[StageSample, ...]:
    committed = [groups.committed(shape.group, shape.sources[0]) for shape in shapes]
    samples = []
    for known, shape in zip(committed, shapes, strict=True):
        stage = {}
        for number, ends in reader.all_ends(settings.name(shape.sources[0])).items():
            offset, note = known.get(number, (ends.first, None))
            stage[number] = PartitionSample(ends.first, ends.next, offset, read_note(note) or Account(offset))
        samples.append(stage)
    return tuple(samples)

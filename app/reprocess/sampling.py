"""Reads from the brokers how far a version's stages are.

Committed offsets are read before the topics' ends; groups are never changed.
"""

from contextlib import ExitStack
from typing import Self

from app.kafka.group_reader import GroupReader
from app.kafka.topic_reader import TopicReader
from app.reprocess.catching_up import PartitionSample, StageSample
from app.settings import Settings
from app.streaming.account import Account, read_note
from app.topology import StageShape


class Sampler:
    """Takes samples of one version's stages. Use as a context; raises KafkaUnreachableError and KafkaUnusableError."""

    def __init__(self, settings: Settings, shapes: tuple[StageShape, ...]) -> None:
        self._shapes = shapes
        self._open = ExitStack()
        self._groups = self._open.enter_context(GroupReader(settings))
        self._reader = self._open.enter_context(TopicReader(settings))
        self._sources = [settings.name(shape.sources[0]) for shape in shapes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def sample(self) -> tuple[StageSample, ...]:
        """A sample of each stage, in data order."""
        committed = [self._groups.committed(shape.group, shape.sources[0]) for shape in self._shapes]
        samples = []
        for known, source in zip(committed, self._sources, strict=True):
            stage = {}
            for number, ends in self._reader.all_ends(source).items():
                offset, note = known.get(number, (ends.first, None))
                stage[number] = PartitionSample(ends.first, ends.next, offset, read_note(note) or Account(offset))
            samples.append(stage)
        return tuple(samples)

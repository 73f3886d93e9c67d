"""Which raw events an operator asked for, and what that means on the topic now.

This module refuses to know how it was asked and what is done with the events.
"""

from dataclasses import dataclass
from typing import Final

from app.kafka import positions
from app.kafka.client import partition_count
from app.kafka.positions import First, Last, Position, PositionError, RangeChoice
from app.kafka.records import OffsetRange
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.settings import Settings

_ANSWER_SECONDS: Final = 10.0
_FIRST: Final = First()
_LAST: Final = Last()


@dataclass(frozen=True, slots=True)
class RawChoice:
    """The events, and from where on the loader events are read that their frames depend on."""

    events: RangeChoice
    loaders_from: Position

    @property
    def is_everything(self) -> bool:
        """Whether nothing was left out."""
        return self == RawChoice(RangeChoice(_FIRST, _LAST, None, self.events.by_event_time), _FIRST)

    def resolve(
        self, settings: Settings, reader: TopicReader, topic: str, progress: Progress
    ) -> tuple[tuple[OffsetRange, ...], tuple[int, ...]]:
        """The ranges that are meant now, and for each from which offset its loader events are read.

        Raises PositionError where there is nothing, and what reading the topic raises.
        """
        count = partition_count(settings, topic, _ANSWER_SECONDS)
        progress.begin("records looked at")
        ranges = positions.resolve(reader, topic, count, self.events, progress.add)
        if not sum(one.offsets for one in ranges):
            raise PositionError(f"topic {topic} has no records there")
        return ranges, tuple(self._loaders_from(reader, topic, one) for one in ranges)

    def _loaders_from(self, reader: TopicReader, topic: str, part: OffsetRange) -> int:
        """From where loader events are read: never after the range's first event."""
        return min(part.first, positions.offset_of(reader, topic, part.partition, self.loaders_from))

"""What a person asks a replay to do: which raw events, under which configuration, in how many processes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.kafka import positions
from app.kafka.positions import First, Last, Position, PositionError, RangeChoice
from app.kafka.records import OffsetRange
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.progress import Progress
from app.settings import Settings

BATCH_RECORDS: Final = 1_000
"""The size that live stages use. Any size gives the same bytes."""

_FIRST: Final = First()
_LAST: Final = Last()


class ReplayError(OperatorError):
    """A replay cannot be made as requested, or its books do not balance; the message says why."""


@dataclass(frozen=True, slots=True)
class RawChoice:
    """The chosen events. Loader events that their frames depend on are read from `loaders_from` on."""

    events: RangeChoice
    loaders_from: Position

    @property
    def is_everything(self) -> bool:
        """Whether nothing was left out."""
        return self == RawChoice(RangeChoice(_FIRST, _LAST, None, self.events.by_event_time), _FIRST)

    def resolve(
        self, reader: TopicReader, topic: str, progress: Progress
    ) -> tuple[tuple[OffsetRange, ...], tuple[int, ...]]:
        """The ranges that the choice means now, and for each the offset from which its loader events are read.

        Raises PositionError if the ranges hold no records, and what reading the topic raises.
        """
        progress.begin("records looked at")
        ranges = positions.resolve(reader, topic, self.events, progress.add)
        if not sum(one.offsets for one in ranges):
            raise PositionError(f"topic {topic} has no records there")
        return ranges, tuple(self._loaders_from(reader, topic, one) for one in ranges)

    def _loaders_from(self, reader: TopicReader, topic: str, part: OffsetRange) -> int:
        """The offset from which loader events are read: never after the range's first event."""
        return min(part.first, positions.offset_of(reader, topic, part.partition, self.loaders_from))


EVERYTHING: Final = RawChoice(RangeChoice(_FIRST, _LAST, None, by_event_time=False), _FIRST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What is replayed, and how. The command makes it, and every process of the run receives it.

    Without an `archive` the raw topic is replayed, and `choice` says which of its events. `snapshot` names a snapshot
    of the symbol store; None means the current one. `call_schema` is the text of the schema of calls that digests are
    of; None means this program's. With `published` the run is compared with what the live stages published.
    """

    settings: Settings
    archive: Path | None = None
    choice: RawChoice = EVERYTHING
    snapshot: str | None = None
    call_schema: str | None = None
    published: bool = False
    processes: int = 1
    batch_records: int = BATCH_RECORDS

"""A topic as the source of a replay, from the offsets that were asked for.

This module refuses to know how offsets and start states were found.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from app.evidence.digests import span_of
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.replay.start_state import Rows
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class TopicSource:
    """Ranges of a raw topic, with their start states by partition, and from where those were read; a `ReplaySource`."""

    settings: Settings
    topic: str
    parts: tuple[OffsetRange, ...]
    loaders_from: Mapping[int, int]
    states: Mapping[int, Rows]

    def ranges(self) -> tuple[OffsetRange, ...]:
        """What was asked for."""
        return self.parts

    def state_from(self, partition: int) -> int:
        """The raw offset from which loader events were read for the start state."""
        return self.loaders_from[partition]

    def start_rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows of module state that the partition's first event sees."""
        return iter(self.states[partition])

    def batches(self, partition: int, first: int, last: int, max_records: int) -> Iterator[list[Recorded]]:
        """Raw records with offsets `first` to `last`, over a connection of their own."""
        with TopicReader(self.settings) as reader:
            yield from _batches(reader.read(self.topic, partition, first, last), max_records)


def _batches(runs: Iterable[Sequence[Recorded]], max_records: int) -> Iterator[list[Recorded]]:
    """The same records in lists of at most `max_records`, none of two spans in one list."""
    for run in runs:
        for _, part in groupby(run, lambda record: span_of(record.offset)):
            whole = list(part)
            for begin in range(0, len(whole), max_records):
                yield whole[begin : begin + max_records]

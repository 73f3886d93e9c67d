"""A window of `runtime.calls`: which records are meant, and what was read of them.

A window is given by positions (app/kafka/positions.py): first, last, offsets, or times of receipt. It is
fixed when reading begins, and partitions are read one after the other in the order of their numbers. So the same window
gives the same result. A call that came again counts once: a record is a repetition if its raw offset is not above the
highest seen in its partition.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.kafka.positions import Position, RangeChoice, resolve
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics

OnRead = Callable[[int], None]
"""Learns how many records more were read."""


@dataclass(slots=True)
class ExportBooks:
    """What became of the records of a window. Times are of events, nanoseconds since the Unix epoch."""

    ranges: tuple[OffsetRange, ...] = ()
    records: int = 0
    repeated: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    """By reason; none of them is in the export."""
    first_unreadable: dict[str, str] = field(default_factory=dict)
    """By reason, partition and offset of the first of them."""
    not_asked_for: int = 0
    """Calls outside of the wanted namespaces and images."""
    without_stack: int = 0
    calls: int = 0
    """Calls in the export."""
    first_ns: int = 0
    last_ns: int = 0

    def refuse(self, reason: str, partition: int, offset: int) -> None:
        """Count a record that is not in the export."""
        self.unreadable[reason] += 1
        self.first_unreadable.setdefault(reason, f"{partition}@{offset}")

    def include_times(self, first_ns: int, last_ns: int) -> None:
        """Note the times of the first and the last of some events that are in the export."""
        self.first_ns = min(self.first_ns, first_ns) if self.last_ns else first_ns
        self.last_ns = max(self.last_ns, last_ns)

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "ranges": [{"partition": one.partition, "from": one.first, "to": one.next} for one in self.ranges],
            "records": self.records,
            "calls": self.calls,
            "repeated": self.repeated,
            "unreadable": dict(sorted(self.unreadable.items())),
            "first_unreadable": dict(sorted(self.first_unreadable.items())),
            "not_asked_for": self.not_asked_for,
            "without_stack": self.without_stack,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }


@dataclass(frozen=True, slots=True)
class CallWindow:
    """One window of a topic, and a reader that is open. `partitions` is the topic's number of them."""

    reader: TopicReader
    topic: str
    partitions: int
    ranges: tuple[OffsetRange, ...]

    @property
    def offsets(self) -> int:
        """At least as many as there are records."""
        return sum(one.offsets for one in self.ranges)

    def runs(self, on_read: OnRead) -> Iterator[tuple[int, Sequence[Recorded]]]:
        """Partition and records, as they are fetched, in offset order.

        Raises DamagedError if records were deleted meanwhile, KafkaUnreachableError, KafkaUnusableError.
        """
        for one in self.ranges:
            for records in self.reader.read(self.topic, one.partition, one.first, one.next - 1):
                yield one.partition, records
                on_read(len(records))


@contextmanager
def open_window(settings: Settings, start: Position, end: Position) -> Iterator[CallWindow]:
    """The window as it is now.

    Raises PositionError for a window that the topic does not have, KafkaUnreachableError, KafkaUnusableError.
    """
    topic = settings.name(topics.CALLS)
    with TopicReader(settings) as reader:
        found = resolve(reader, topic, RangeChoice(start, end, None, by_event_time=False))
        yield CallWindow(reader, topic, reader.partitions(topic), tuple(one for one in found if one.offsets))

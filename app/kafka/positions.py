"""Which offsets are meant: `--from` and `--to` as an operator writes them, into a range for each partition.

A position is `first`, `last` (as of now), an offset for every partition (`1000`) or for some (`0:1000,3:77`), or a
time: RFC 3339 (`2026-01-07T12:00:00Z`), or so long ago (`90m`, `2h`, `7d`). A time means the time of receipt, which is
Kafka's timestamp and ascends, or the event's own, which does not: then a range is the shortest that holds every event
of that time, and is found by reading the partition.

Rules: `--from` is included, `--to` is not. This module refuses to know what is done with the offsets.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from app.ingest.keys import event_time_ns
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError

_AGO: Final = re.compile(r"(\d+)([smhd])")
_UNITS: Final[Mapping[str, str]] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_OFFSETS: Final = re.compile(r"\d+:\d+(,\d+:\d+)*")

_NS_PER_MS: Final = 1_000_000


class PositionError(OperatorError):
    """A text is no position, or a range is empty or not there; the message says which."""


@dataclass(frozen=True, slots=True)
class Edge:
    """`first`, `last`, or nothing said."""

    at_end: bool


@dataclass(frozen=True, slots=True)
class Offsets:
    """An offset for each partition; `every` is for those that are not named."""

    every: int | None
    named: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, in milliseconds since the Unix epoch."""

    timestamp_ms: int


Position = Edge | Offsets | Moment


def parse(text: str, now: datetime) -> Position:
    """Read a position; `now` is what "ago" is relative to. Raises PositionError."""
    if text in {"first", "last"}:
        return Edge(text == "last")
    if text.isascii() and text.isdigit():
        return Offsets(int(text), {})
    if _OFFSETS.fullmatch(text):
        pairs = [entry.split(":") for entry in text.split(",")]
        return Offsets(None, {int(partition): int(offset) for partition, offset in pairs})
    if found := _AGO.fullmatch(text):
        return _moment(now - timedelta(**{_UNITS[found[2]]: int(found[1])}))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PositionError(
            f"{text!r} is no position: write first, last, an offset, PARTITION:OFFSET,..., a time like "
            "2026-01-07T12:00:00Z, or 90m for so long ago"
        ) from None
    return _moment(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _moment(moment: datetime) -> Moment:
    return Moment(int(moment.timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asked for."""

    start: Position
    end: Position
    partitions: frozenset[int] | None
    by_event_time: bool


def resolve(
    reader: TopicReader, topic: str, count: int, wanted: Wanted, report: Callable[[int], None] = lambda _records: None
) -> tuple[OffsetRange, ...]:
    """Ranges of a topic of `count` partitions; `report` learns how many records were read to find them.

    Raises PositionError for a partition or offset that is not there, and what reading raises.
    """
    chosen = sorted(wanted.partitions) if wanted.partitions is not None else range(count)
    for partition in {*chosen, *_named(wanted.start), *_named(wanted.end)}:
        if partition >= count:
            raise PositionError(f"topic {topic} has no partition {partition}; it has {count}")
    ranges = [_range(reader, topic, partition, wanted, report) for partition in chosen]
    return tuple(one for one in ranges if one is not None)


def _named(position: Position) -> Iterable[int]:
    return position.named if isinstance(position, Offsets) else ()


def _range(
    reader: TopicReader, topic: str, partition: int, wanted: Wanted, report: Callable[[int], None]
) -> OffsetRange | None:
    """The range of one partition; None where offsets are given for other partitions only."""
    ends = reader.ends(topic, partition)
    for position in (wanted.start, wanted.end):
        if isinstance(position, Offsets) and position.every is None and partition not in position.named:
            return None
    if wanted.by_event_time:
        runs = reader.read(topic, partition, ends.first, ends.next - 1)
        return _by_event_time(runs, wanted, OffsetRange(partition, ends.first, ends.next), report)
    first = _offset(reader, topic, partition, wanted.start, ends)
    following = _offset(reader, topic, partition, wanted.end, ends)
    for position, offset in ((wanted.start, first), (wanted.end, following)):
        if isinstance(position, Offsets) and not ends.first <= offset <= ends.next:
            raise PositionError(
                f"topic {topic}, partition {partition}: offset {offset} is not there; it has {ends.first} to "
                f"{ends.next - 1}"
            )
    return OffsetRange(partition, first, max(first, following))


def offset_of(reader: TopicReader, topic: str, partition: int, position: Position) -> int:
    """The offset that a position means in one partition now; its first where offsets are given for others only."""
    ends = reader.ends(topic, partition)
    if isinstance(position, Offsets) and position.every is None and partition not in position.named:
        return ends.first
    return max(ends.first, _offset(reader, topic, partition, position, ends))


def _offset(reader: TopicReader, topic: str, partition: int, position: Position, ends: OffsetRange) -> int:
    match position:
        case Edge(at_end):
            return ends.next if at_end else ends.first
        case Offsets(every, named):
            offset = named.get(partition, every)
            assert offset is not None
            return offset
        case Moment(timestamp_ms):
            return max(ends.first, reader.offset_at(topic, partition, timestamp_ms))


def _by_event_time(
    runs: Iterable[list[Recorded]], wanted: Wanted, whole: OffsetRange, report: Callable[[int], None]
) -> OffsetRange:
    """The shortest range that has all events of the time wanted; an empty one at the end where there are none."""
    start_ns = wanted.start.timestamp_ms * _NS_PER_MS if isinstance(wanted.start, Moment) else None
    end_ns = wanted.end.timestamp_ms * _NS_PER_MS if isinstance(wanted.end, Moment) else None
    first = last = None
    for taken in runs:
        for record in taken:
            time_ns = event_time_ns(record.value or b"")
            if time_ns is None or (start_ns and time_ns < start_ns) or (end_ns and time_ns >= end_ns):
                continue
            first = record.offset if first is None else first
            last = record.offset
        report(len(taken))
    if first is None or last is None:
        return OffsetRange(whole.partition, whole.next, whole.next)
    return OffsetRange(whole.partition, first, last + 1)

"""Which records are meant: places in a topic and times, as an operator writes them, turned into offsets.

    first, last      the first record of each partition, and the end of each partition as of now
    last-20          20 offsets before the end of each partition
    offset:1000      this offset of every partition
    0:1000,3:77      PARTITION:OFFSET for some partitions; the others are left out
    now, 90m         now, and so long before now: s, m, h and d are seconds, minutes, hours and days
    2026-01-31T12:00:00Z   a time in ISO 8601, with its zone

Every option and parameter of callstream that takes a place or a time reads it with `parse` or `parse_time`, so a word
means the same everywhere. A time means the time of receipt, which is Kafka's timestamp and ascends in a partition. With
`by_event_time` it means the event's own time, which does not ascend: then a range is the shortest one that holds all
events of that time, and it is found by reading the whole partition. The start of a range is in it, its end is not.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, assert_never

from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from schemas.raw_event import event_time_ns
from schemas.units import NS_PER_MS, NS_PER_SECOND

TIME_FORMS: Final = "now, 90m, 2h or 7d for that long ago, or a time like 2026-01-31T12:00:00Z"
POSITION_FORMS: Final = f"first, last, last-20, offset:1000, PARTITION:OFFSET,..., {TIME_FORMS}"

_LAST: Final = re.compile(r"last-([0-9]{1,18})")
_AGO: Final = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_OFFSET: Final = re.compile(r"offset:([0-9]{1,18})")
_OFFSETS: Final = re.compile(r"[0-9]{1,9}:[0-9]{1,18}(,[0-9]{1,9}:[0-9]{1,18})*")
_BARE_NUMBER: Final = re.compile(r"(-?)([0-9]+)")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class PositionError(OperatorError):
    """A text is not a position, or a topic does not have the position. The message says which, and what to write."""


class UnknownFormError(PositionError):
    """A text has none of the forms of a position."""


@dataclass(frozen=True, slots=True)
class First:
    """The first record of each partition."""


@dataclass(frozen=True, slots=True)
class Last:
    """So many offsets `before` the end of each partition, as of now."""

    before: int = 0


@dataclass(frozen=True, slots=True)
class SameOffset:
    """One offset, for every partition."""

    offset: int


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """An offset for each partition that is named."""

    by_partition: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, in nanoseconds since the Unix epoch."""

    time_ns: int

    @property
    def timestamp_ms(self) -> int:
        """The first Kafka timestamp that is not before it."""
        return max(0, -(-self.time_ns // NS_PER_MS))


Position = First | Last | SameOffset | PartitionOffsets | Moment


def parse(text: str, now_ns: int) -> Position:
    """Read a position. `now_ns` is what `now` means. Raises PositionError, with what can be written."""
    if text == "first":
        return First()
    if text == "last":
        return Last()
    if found := _LAST.fullmatch(text):
        return Last(int(found[1]))
    if found := _OFFSET.fullmatch(text):
        return SameOffset(int(found[1]))
    if _OFFSETS.fullmatch(text):
        pairs = [entry.split(":") for entry in text.split(",")]
        return PartitionOffsets({int(partition): int(offset) for partition, offset in pairs})
    return Moment(_time_ns(text, now_ns))


def parse_time(text: str, now_ns: int) -> int:
    """Read a time, in nanoseconds since the Unix epoch. Raises PositionError for a place in a topic, by its name."""
    try:
        position = parse(text, now_ns)
    except UnknownFormError:
        raise PositionError(f"{text!r} is not a time: write {TIME_FORMS}") from None
    match position:
        case Moment(time_ns):
            return time_ns
        case First() | Last():
            kind = "a place in a topic"
        case SameOffset() | PartitionOffsets():
            kind = "an offset"
        case other:
            assert_never(other)
    raise PositionError(f"{text!r} is {kind}, but a time is needed here: {TIME_FORMS}")


def _time_ns(text: str, now_ns: int) -> int:
    if text == "now":
        return now_ns
    if found := _AGO.fullmatch(text):
        return now_ns - int(found[1]) * _UNIT_SECONDS[found[2]] * NS_PER_SECOND
    if found := _BARE_NUMBER.fullmatch(text):
        offset = f"last-{found[2]}" if found[1] else f"offset:{found[2]}"
        raise PositionError(f"{text!r} is a bare number: write {offset}, or a time like 2026-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnknownFormError(f"{text!r} is not a position: write {POSITION_FORMS}") from None
    if moment.tzinfo is None:
        raise PositionError(f"{text!r} has no time zone: write {moment.isoformat()}Z, or +01:00 instead of Z")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


@dataclass(frozen=True, slots=True)
class RangeChoice:
    """The records that an operator chose: from `start` to before `end`, of all partitions or some."""

    start: Position
    end: Position
    partitions: frozenset[int] | None
    by_event_time: bool


def resolve(
    reader: TopicReader,
    topic: str,
    choice: RangeChoice,
    report: Callable[[int], None] = lambda _records: None,
) -> tuple[OffsetRange, ...]:
    """The chosen ranges of a topic.

    `report` receives how many more records were read to find them. Raises PositionError if the topic does not have a
    partition or an offset, and what reading raises.
    """
    count = reader.partitions(topic)
    chosen = sorted(choice.partitions) if choice.partitions is not None else range(count)
    for partition in {*chosen, *_named(choice.start), *_named(choice.end)}:
        if partition >= count:
            raise PositionError(f"topic {topic} has no partition {partition}; it has {count}")
    places = SameOffset | PartitionOffsets
    if choice.by_event_time and (isinstance(choice.start, places) or isinstance(choice.end, places)):
        raise PositionError(f"an offset cannot be compared with the events' own times: write {TIME_FORMS}")
    ranges = [_range(reader, topic, partition, choice, report) for partition in chosen]
    return tuple(one for one in ranges if one is not None)


def _named(position: Position) -> Iterable[int]:
    return position.by_partition if isinstance(position, PartitionOffsets) else ()


def leaves_out(position: Position, partition: int) -> bool:
    """Whether the position names other partitions only."""
    return isinstance(position, PartitionOffsets) and partition not in position.by_partition


def _range(
    reader: TopicReader, topic: str, partition: int, choice: RangeChoice, report: Callable[[int], None]
) -> OffsetRange | None:
    """The range of one partition; None if an offset is given for other partitions only."""
    if leaves_out(choice.start, partition) or leaves_out(choice.end, partition):
        return None
    there = reader.ends(topic, partition)
    if choice.by_event_time:
        runs = reader.read(topic, partition, there.first, there.next - 1)
        return _by_event_time(runs, choice, there, report)
    offset_at = partial(reader.offset_at, topic, partition)
    first, following = offset_in(choice.start, there, offset_at), offset_in(choice.end, there, offset_at)
    for position, offset in ((choice.start, first), (choice.end, following)):
        if isinstance(position, SameOffset | PartitionOffsets) and not there.first <= offset <= there.next:
            raise PositionError(
                f"topic {topic}, partition {partition} does not have offset {offset}; it has {there.first} to "
                f"{there.next - 1}"
            )
    return OffsetRange(partition, first, max(first, following))


def offset_of(reader: TopicReader, topic: str, partition: int, position: Position) -> int:
    """The offset that a position means in one partition now; the first one if it names other partitions only."""
    there = reader.ends(topic, partition)
    if leaves_out(position, partition):
        return there.first
    return max(there.first, offset_in(position, there, partial(reader.offset_at, topic, partition)))


def offset_in(position: Position, there: OffsetRange, offset_at: Callable[[int], int]) -> int:
    """The offset that a position means in a partition that has the offsets `there`.

    `offset_at` gives the first offset whose record is not older than a time in milliseconds. A position that leaves the
    partition out must not be given.
    """
    match position:
        case First():
            return there.first
        case Last(before):
            return max(there.first, there.next - before)
        case SameOffset(offset):
            return offset
        case PartitionOffsets(by_partition):
            return by_partition[there.partition]
        case Moment():
            return max(there.first, offset_at(position.timestamp_ms))
        case _:
            assert_never(position)


def _by_event_time(
    runs: Iterable[list[Recorded]], choice: RangeChoice, whole: OffsetRange, report: Callable[[int], None]
) -> OffsetRange:
    """The shortest range that holds all events of the chosen time; an empty range at the end if there are none."""
    start_ns = choice.start.time_ns if isinstance(choice.start, Moment) else None
    end_ns = choice.end.time_ns if isinstance(choice.end, Moment) else None
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

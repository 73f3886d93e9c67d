"""The events that a count can be checked by: the first, the last, and the first of each of the newest hours.

Which they are depends only on the events that were counted, not on how they were cut into batches and partitions.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from agents.hot_symbols.reading.times import backward_id, forward_id, time_of

HOURS_CITED: Final = 3
"""A row on every topic and in every table carries them, at some 60 bytes each."""


MAX_CITED: Final = 2 + HOURS_CITED
"""Of one row or answer: the first, the last, and those of hours."""


class Citation(NamedTuple):
    """An event: its time in nanoseconds since the Unix epoch, its id, and where its raw record is."""

    time_ns: int
    event_id: str
    partition: int
    offset: int

    def as_record(self) -> dict[str, Any]:
        """Fields of CitedEvent in schemas/avro/hot_symbol.avsc."""
        return {
            "event_id": self.event_id,
            "partition": self.partition,
            "offset": self.offset,
            "time_ns": self.time_ns,
        }


def cited(events: Iterable[Citation]) -> list[Citation]:
    """Of events that several counts are cited by: the first, the newest, and each once; the oldest first."""
    ordered = sorted(set(events))
    return ordered if len(ordered) <= MAX_CITED else [ordered[0], *ordered[1 - MAX_CITED :]]


Cited = tuple[int, str, int, int]
"""The fields of a `Citation` as a plain tuple, which is cheap, with the id backwards: it sorts as moments do."""


def cited_event(moment: bytes, offset: int, partition: int) -> Cited:
    """An event by its moment and its raw position."""
    return time_of(moment), backward_id(moment), partition, offset


@dataclass(slots=True, eq=False)
class Citations:
    """Events by hour since the Unix epoch, and the first and last of all; None as long as there is none."""

    first: Cited | None = None
    last: Cited | None = None
    by_hour: dict[int, Cited] = field(default_factory=dict)

    def note(self, first: Cited, last: Cited, by_hour: Mapping[int, Cited]) -> None:
        """Take over the first and last of some events, and the first of each hour."""
        self.first = first if self.first is None or first < self.first else self.first
        self.last = last if self.last is None or last > self.last else self.last
        known = self.by_hour
        for hour, cited_one in by_hour.items():
            if hour not in known or cited_one < known[hour]:
                known[hour] = cited_one
        if len(known) > HOURS_CITED:
            self.by_hour = {hour: known[hour] for hour in sorted(known)[-HOURS_CITED:]}

    def add(self, other: "Citations") -> None:
        """Take over all that another has."""
        if other.first is not None and other.last is not None:
            self.note(other.first, other.last, other.by_hour)

    def listed(self) -> list[Citation]:
        """All of them, each once, the oldest first."""
        return [
            Citation(time_ns, forward_id(name), partition, offset)
            for time_ns, name, partition, offset in sorted(
                {*filter(None, (self.first, self.last)), *self.by_hour.values()}
            )
        ]

    def write_to(self, numbers: list[int], texts: list[str]) -> None:
        """Append them to packed state, in an order of its own."""
        if self.first is None or self.last is None:
            numbers.append(0)
            return
        hours = sorted(self.by_hour)
        found = [self.first, self.last, *[self.by_hour[hour] for hour in hours]]
        times, ids, partitions, offsets = zip(*found, strict=True)
        numbers.append(len(found))
        numbers += hours
        numbers += times
        numbers += partitions
        numbers += offsets
        texts += ids

    @classmethod
    def read_from(cls, numbers: Iterator[int], texts: Iterator[str]) -> "Citations":
        """Take them from packed state, as `write_to` appended them; state of before has none."""
        count = next(numbers, 0)
        if not count:
            return cls()
        rest = [*islice(numbers, 4 * count - 2)]
        hours, rest = rest[: count - 2], rest[count - 2 :]
        found = [*zip(rest, islice(texts, count), rest[count:], rest[2 * count :], strict=False)]
        return cls(found[0], found[1], dict(zip(hours, found[2:], strict=True)))

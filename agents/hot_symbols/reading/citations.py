"""The events that a count can be checked by: the first, the last, and the first of each of the newest hours.

Which they are depends only on the events that were counted, not on how they were cut into batches and partitions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

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


@dataclass(slots=True, eq=False)
class Citations:
    """Events by hour since the Unix epoch, and the first and last of all; None as long as there is none."""

    first: Citation | None = None
    last: Citation | None = None
    by_hour: dict[int, Citation] = field(default_factory=dict)

    def note(self, first: Citation, last: Citation, by_hour: Mapping[int, Citation]) -> None:
        """Take over the first and last of some events, and the first of each hour. Call `settle` after a round."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        for hour, cited in by_hour.items():
            known = self.by_hour.get(hour)
            if known is None or cited < known:
                self.by_hour[hour] = cited

    def add(self, other: "Citations") -> None:
        """Take over all that another has, and settle."""
        if other.first is not None and other.last is not None:
            self.note(other.first, other.last, other.by_hour)
            self.settle()

    def settle(self) -> None:
        """Drop the oldest hours."""
        if len(self.by_hour) > HOURS_CITED:
            self.by_hour = {hour: self.by_hour[hour] for hour in sorted(self.by_hour)[-HOURS_CITED:]}

    def listed(self) -> list[Citation]:
        """All of them, each once, the oldest first."""
        return sorted({*filter(None, (self.first, self.last)), *self.by_hour.values()})

    def write_to(self, numbers: list[int], texts: list[str]) -> None:
        """Append them to packed state, in an order of its own."""
        if self.first is None or self.last is None:
            numbers.append(0)
            return
        hours = sorted(self.by_hour)
        cited = [self.first, self.last, *(self.by_hour[hour] for hour in hours)]
        numbers.append(len(cited))
        numbers += hours
        for one in cited:
            numbers += (one.time_ns, one.partition, one.offset)
            texts.append(one.event_id)

    @classmethod
    def read_from(cls, numbers: Iterable[int], texts: Iterable[str]) -> "Citations":
        """Take them from packed state, as `write_to` appended them."""
        rest, names = iter(numbers), iter(texts)
        count = next(rest, 0)
        if not count:
            return cls()
        hours = [next(rest) for _ in range(count - 2)]
        cited = [_citation(next(rest), next(rest), next(rest), next(names)) for _ in range(count)]
        return cls(cited[0], cited[1], dict(zip(hours, cited[2:], strict=True)))


def _citation(time_ns: int, partition: int, offset: int, event_id: str) -> Citation:
    return Citation(time_ns, event_id, partition, offset)

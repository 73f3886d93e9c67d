"""Events of one kind that wait in memory: when and where they happened, and their raw offsets.

Offsets of one `Sightings` rise strictly, so those above an offset are the end of the list. A `Summary` is what is left
of any number of them once nothing is added.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.hot_symbols.reading.evidence import EventPlace
from agents.hot_symbols.reading.times import sortable, time_of

HOUR_NS = 3_600_000_000_000


@dataclass(slots=True, eq=False)
class Sightings:
    """Times (as bytes that sort, see times.py) and raw offsets of events of one kind, partition and place."""

    place: EventPlace
    times: list[bytes]
    offsets: list[int]

    def add(self, time_ns: int, offset: int) -> None:
        """Take one event."""
        self.times.append(sortable(time_ns))
        self.offsets.append(offset)

    def above(self, offset: int) -> "Sightings":
        """Those with a higher offset."""
        begin = bisect_right(self.offsets, offset)
        return Sightings(self.place, self.times[begin:], self.offsets[begin:]) if begin else self


@dataclass(frozen=True, slots=True)
class Summary:
    """How many events, between which times and offsets (all included), by hour since the Unix epoch, and where last."""

    events: int
    first_ns: int
    last_ns: int
    first_offset: int
    last_offset: int
    hours: Mapping[int, int]
    places: Mapping[EventPlace, int]
    """Time of the last event by place."""


def summarized(sightings: Sightings) -> Summary:
    """The summary of sightings; there must be one."""
    times, offsets = sightings.times, sightings.offsets
    first, last = time_of(min(times)), time_of(max(times))
    hours = _single_hour(first, last, len(times)) or Counter([time_of(time) // HOUR_NS for time in times])
    return Summary(len(times), first, last, offsets[0], offsets[-1], hours, {sightings.place: last})


def added_up(summaries: Sequence[Summary]) -> Summary:
    """The summary of all events of several; there must be one."""
    if len(summaries) == 1:
        return summaries[0]
    events = sum([one.events for one in summaries])
    first, last = min([one.first_ns for one in summaries]), max([one.last_ns for one in summaries])
    hours = _single_hour(first, last, events)
    if hours is None:
        hours = Counter()
        for one in summaries:
            hours.update(one.hours)
    places: dict[EventPlace, int] = {}
    for one in summaries:
        for place, when_ns in one.places.items():
            if when_ns >= places.get(place, when_ns):
                places[place] = when_ns
    first_offset = min([one.first_offset for one in summaries])
    last_offset = max([one.last_offset for one in summaries])
    return Summary(events, first, last, first_offset, last_offset, hours, places)


def _single_hour(first_ns: int, last_ns: int, events: int) -> dict[int, int] | None:
    """Events by hour where all are in one."""
    hour = first_ns // HOUR_NS
    return {hour: events} if hour == last_ns // HOUR_NS else None

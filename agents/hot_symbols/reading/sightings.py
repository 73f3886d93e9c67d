"""Events of one kind that wait in memory: when they happened, which they are, and their raw offsets.

Offsets of one `Sightings` rise strictly, so those above an offset are the end of the list. A `Summary` is what is left
of any number of them once nothing is added.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.hot_symbols.reading.evidence import EventPlace
from agents.hot_symbols.reading.times import moment, time_of

HOUR_NS = 3_600_000_000_000


@dataclass(slots=True, eq=False)
class Sightings:
    """Moments (bytes that sort by time, see times.py) and raw offsets of events of one kind, partition and place."""

    place: EventPlace
    moments: list[bytes]
    offsets: list[int]

    def add(self, time_ns: int, event_id: str, offset: int) -> None:
        """Take one event."""
        self.moments.append(moment(time_ns, event_id))
        self.offsets.append(offset)

    def above(self, offset: int) -> "Sightings":
        """Those with a higher offset."""
        begin = bisect_right(self.offsets, offset)
        return Sightings(self.place, self.moments[begin:], self.offsets[begin:]) if begin else self


Seen = tuple[bytes, int]
"""An event's moment and its raw offset."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How many events, between which times and offsets (all included), by hour since the Unix epoch, and where last.

    No hour is later than that of receipt. `first`, `last` and `first_of_hours` say which events those were.
    """

    events: int
    first_ns: int
    last_ns: int
    first_offset: int
    last_offset: int
    hours: Mapping[int, int]
    places: Mapping[EventPlace, int]
    """Time of the last event by place."""
    first: Seen
    last: Seen
    first_of_hours: Mapping[int, Seen]


def summarized(sightings: Sightings, latest_hour: int) -> Summary:
    """The summary of sightings; there must be one. None was received later than in `latest_hour`."""
    moments, offsets = sightings.moments, sightings.offsets
    earliest, latest = min(moments), max(moments)
    first = (earliest, offsets[moments.index(earliest)])
    last = first if latest is earliest else (latest, offsets[moments.index(latest)])
    first_ns, last_ns = time_of(earliest), time_of(latest)
    hour = min(first_ns // HOUR_NS, latest_hour)
    hours: Mapping[int, int] = {hour: len(moments)}
    first_of_hours: Mapping[int, Seen] = {hour: first}
    if hour != min(last_ns // HOUR_NS, latest_hour):
        by_hour: dict[int, list[Seen]] = {}
        for one in zip(moments, offsets, strict=True):
            by_hour.setdefault(min(time_of(one[0]) // HOUR_NS, latest_hour), []).append(one)
        hours = {number: len(found) for number, found in by_hour.items()}
        first_of_hours = {number: min(found) for number, found in by_hour.items()}
    places = {sightings.place: last_ns}
    return Summary(len(moments), first_ns, last_ns, offsets[0], offsets[-1], hours, places, first, last, first_of_hours)


def added_up(summaries: Sequence[Summary]) -> Summary:
    """The summary of all events of several; there must be one."""
    if len(summaries) == 1:
        return summaries[0]
    events = sum([one.events for one in summaries])
    first, last = min([one.first for one in summaries]), max([one.last for one in summaries])
    first_of_hours = firsts_of_hours(summaries, first)
    hours: Mapping[int, int] = dict.fromkeys(first_of_hours, events)
    if len(hours) > 1:
        hours = Counter()
        for one in summaries:
            hours.update(one.hours)
    places: dict[EventPlace, int] = {}
    for one in summaries:
        for place, when_ns in one.places.items():
            if when_ns >= places.get(place, when_ns):
                places[place] = when_ns
    first_ns, last_ns = min([one.first_ns for one in summaries]), max([one.last_ns for one in summaries])
    first_offset = min([one.first_offset for one in summaries])
    last_offset = max([one.last_offset for one in summaries])
    return Summary(events, first_ns, last_ns, first_offset, last_offset, hours, places, first, last, first_of_hours)


def firsts_of_hours(summaries: Sequence[Summary], first: Seen) -> Mapping[int, Seen]:
    """The first event of each hour that any of these summaries has; `first` is the first of all."""
    hours = summaries[0].hours.keys()
    if len(hours) == 1 and all(one.hours.keys() == hours for one in summaries):
        return dict.fromkeys(hours, first)
    firsts: dict[int, Seen] = {}
    for one in summaries:
        for hour, seen in one.first_of_hours.items():
            firsts[hour] = min(seen, firsts.get(hour, seen))
    return firsts

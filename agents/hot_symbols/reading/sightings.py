"""Events of one kind that wait in memory: when they happened, which they are, and their raw offsets.

Offsets of one `Sightings` rise strictly, so those above an offset are the end of the list. A `Summary` is what is left
of any number of them once nothing is added.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agents.hot_symbols.reading.citations import Citation
from agents.hot_symbols.reading.evidence import EventPlace
from agents.hot_symbols.reading.times import event_id_of, moment, time_of

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


@dataclass(frozen=True, slots=True)
class Received:
    """Where events come from: their raw partition, and the latest hour in which one can have been received."""

    partition: int
    latest_hour: int


@dataclass(frozen=True, slots=True)
class Summary:
    """How many events, the first and the last, between which offsets (included), by hour, and where last.

    Hours are since the Unix epoch, and none is later than that of receipt.
    """

    events: int
    first: Citation
    last: Citation
    first_offset: int
    last_offset: int
    hours: Mapping[int, int]
    first_of_hours: Mapping[int, Citation]
    places: Mapping[EventPlace, int]
    """Time of the last event by place."""


def summarized(sightings: Sightings, received: Received) -> Summary:
    """The summary of sightings; there must be one."""
    moments, offsets = sightings.moments, sightings.offsets

    def cited(one: bytes) -> Citation:
        return Citation(time_of(one), event_id_of(one), received.partition, offsets[moments.index(one)])

    first, last = cited(min(moments)), cited(max(moments))
    hour = min(first.time_ns // HOUR_NS, received.latest_hour)
    hours: Mapping[int, int] = {hour: len(moments)}
    first_of_hours: Mapping[int, Citation] = {hour: first}
    if hour != min(last.time_ns // HOUR_NS, received.latest_hour):
        by_hour: dict[int, list[bytes]] = {}
        for one in moments:
            by_hour.setdefault(min(time_of(one) // HOUR_NS, received.latest_hour), []).append(one)
        hours = {number: len(found) for number, found in by_hour.items()}
        first_of_hours = {number: cited(min(found)) for number, found in by_hour.items()}
    return Summary(
        len(moments), first, last, offsets[0], offsets[-1], hours, first_of_hours, {sightings.place: last.time_ns}
    )


def added_up(summaries: Sequence[Summary]) -> Summary:
    """The summary of all events of several; there must be one."""
    if len(summaries) == 1:
        return summaries[0]
    places: dict[EventPlace, int] = {}
    for one in summaries:
        for place, when_ns in one.places.items():
            if when_ns >= places.get(place, when_ns):
                places[place] = when_ns
    return Summary(
        sum([one.events for one in summaries]),
        min([one.first for one in summaries]),
        max([one.last for one in summaries]),
        min([one.first_offset for one in summaries]),
        max([one.last_offset for one in summaries]),
        _joined_hours(summaries),
        _joined_firsts(one.first_of_hours for one in summaries),
        places,
    )


def _joined_hours(summaries: Sequence[Summary]) -> Mapping[int, int]:
    hours: Counter[int] = Counter()
    for one in summaries:
        for hour, events in one.hours.items():
            hours[hour] += events
    return hours


def _joined_firsts(found: Iterable[Mapping[int, Citation]]) -> Mapping[int, Citation]:
    firsts: dict[int, Citation] = {}
    for one in found:
        for hour, cited in one.items():
            known = firsts.get(hour)
            if known is None or cited < known:
                firsts[hour] = cited
    return firsts

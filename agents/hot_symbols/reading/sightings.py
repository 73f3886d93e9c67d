"""Events of one kind that wait in memory: when they happened, which they are, and their raw offsets.

Offsets of one `Sightings` rise strictly, so those above an offset are the end of the list. A `Summary` is what is left
of any number of them once nothing is added.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

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


_OFFSET_BYTES: Final = 8


def seen_at(one: bytes, offset: int) -> bytes:
    """A moment with the event's raw offset behind it: bytes that sort as the moments do."""
    return one + offset.to_bytes(_OFFSET_BYTES, "big")


def moment_and_offset(seen: bytes) -> tuple[bytes, int]:
    """What `seen_at` joined."""
    return seen[:-_OFFSET_BYTES], int.from_bytes(seen[-_OFFSET_BYTES:], "big")


class Summary(NamedTuple):
    """How many events, between which times and offsets (all included), by hour since the Unix epoch, and where last.

    A tuple, because a flush makes one for each kind of event and each thing that is said.

    No hour is later than that of receipt; `hour` is the only one, or None where there are several. `first`, `last` and
    `first_of_hours` say which events those were, see `seen_at`.
    """

    events: int
    first_ns: int
    last_ns: int
    first_offset: int
    last_offset: int
    hour: int | None
    hours: Mapping[int, int]
    places: Mapping[EventPlace, int]
    """Time of the last event by place."""
    first: bytes
    last: bytes
    first_of_hours: Mapping[int, bytes]


def summarized(sightings: Sightings, latest_hour: int) -> Summary:
    """The summary of sightings; there must be one. None was received later than in `latest_hour`."""
    moments, offsets = sightings.moments, sightings.offsets
    earliest, latest = min(moments), max(moments)
    # as a rule they come in the order of time
    first_at = 0 if moments[0] == earliest else moments.index(earliest)
    last_at = -1 if moments[-1] == latest else moments.index(latest)
    first, last = seen_at(earliest, offsets[first_at]), seen_at(latest, offsets[last_at])
    first_ns, last_ns = time_of(earliest), time_of(latest)
    first_hour, last_hour = first_ns // HOUR_NS, last_ns // HOUR_NS
    hour: int | None = None
    if first_hour == last_hour or first_hour >= latest_hour:
        hour = only = min(first_hour, latest_hour)
        hours: Mapping[int, int] = {only: len(moments)}
        first_of_hours: Mapping[int, bytes] = {only: first}
    else:
        hours, first_of_hours = _by_hour(sightings, latest_hour)
    places = {sightings.place: last_ns}
    return Summary(
        len(moments), first_ns, last_ns, offsets[0], offsets[-1], hour, hours, places, first, last, first_of_hours
    )


def _by_hour(sightings: Sightings, latest_hour: int) -> tuple[Mapping[int, int], Mapping[int, bytes]]:
    """Events by hour, and the first of each."""
    found: dict[int, list[bytes]] = {}
    for one, offset in zip(sightings.moments, sightings.offsets, strict=True):
        found.setdefault(min(time_of(one) // HOUR_NS, latest_hour), []).append(seen_at(one, offset))
    return {hour: len(seen) for hour, seen in found.items()}, {hour: min(seen) for hour, seen in found.items()}


def added_up(summaries: Sequence[Summary]) -> Summary:
    """The summary of all events of several; there must be one."""
    if len(summaries) == 1:
        return summaries[0]
    numbers, first_ns, last_ns, first_offsets, last_offsets, _, hours_of, places_of, firsts, lasts, _ = zip(
        *summaries, strict=True
    )
    events, first = sum(numbers), min(firsts)
    hour, first_of_hours = firsts_of_hours(summaries, first)
    hours: Mapping[int, int] = {} if hour is None else {hour: events}
    if hour is None:
        hours = Counter()
        for one in hours_of:
            hours.update(one)
    places: dict[EventPlace, int] = {}
    for one in places_of:
        for place, when_ns in one.items():
            if when_ns >= places.get(place, when_ns):
                places[place] = when_ns
    return Summary(
        events,
        min(first_ns),
        max(last_ns),
        min(first_offsets),
        max(last_offsets),
        hour,
        hours,
        places,
        first,
        max(lasts),
        first_of_hours,
    )


def firsts_of_hours(summaries: Sequence[Summary], first: bytes) -> tuple[int | None, Mapping[int, bytes]]:
    """The only hour that these summaries have, or None, and the first event of each; `first` is the first of all."""
    hour = summaries[0].hour
    if hour is not None and {one.hour for one in summaries} == {hour}:
        return hour, {hour: first}
    firsts: dict[int, bytes] = {}
    for one in summaries:
        for number, seen in one.first_of_hours.items():
            firsts[number] = min(seen, firsts.get(number, seen))
    return None, firsts

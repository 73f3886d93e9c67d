"""Calls of one partition that wait in memory, gathered by what they say and where they happened.

A raw offset not above the highest ever seen is a call that came again, and is left out. Two events are of one kind if
they have the same evidence and place, compared by identity. A reader that recognizes calls by their bytes finds a kind
by those, too (`looks`): equal looks must mean equal evidence.
"""

import enum
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from agents.contract import UNREADABLE_BATCH_REASON, SourceRecord
from agents.hot_symbols.reading.evidence import EventEvidence, EventPlace
from agents.hot_symbols.reading.meaning import Observation
from agents.hot_symbols.reading.sightings import Sightings

NONE_YET = -1
"""Highest raw offset before the first call."""


class Unreadable(enum.Enum):
    """Why a record cannot be read as a call; values are dead-letter reasons."""

    EMPTY = "empty"
    NOT_FRAMED = "not_framed"
    UNKNOWN_SCHEMA = "unknown_schema"  # the registry has no schema with the id in the header
    MALFORMED = "malformed_call"
    BATCH_TOO_LARGE = UNREADABLE_BATCH_REASON
    NO_RAW_POSITION = "no_raw_position"  # without it nobody knows whether the call came before


@dataclass(frozen=True, slots=True)
class CountRefusal:
    """A record that cannot be counted: its offset in the calls topic, its timestamp and the reason."""

    offset: int
    timestamp_ms: int
    reason: Unreadable


Looks = dict[Hashable, Sightings]
"""Maps the raw bytes that identify a call to the sightings of that kind of event, at one place."""


class _LooksByPlace(dict[EventPlace, Looks]):
    def __missing__(self, place: EventPlace) -> Looks:
        looks = self[place] = {}
        return looks


@dataclass(slots=True)
class Gathered:
    """What waits of a partition. A flush empties everything but `highest`."""

    partition: int | None
    """The partition number, the same on the calls topic and the raw topic; None where it does not matter."""
    highest: int = NONE_YET
    counted: int = 0
    repeated: int = 0
    refusals: list[CountRefusal] = field(default_factory=list)
    kinds: dict[tuple[EventEvidence, EventPlace], Sightings] = field(default_factory=dict)
    looks: _LooksByPlace = field(default_factory=_LooksByPlace)
    most_touches: int = 0
    """At most so many different things are said: what kinds have in common is counted for each."""
    _touches: set[int] = field(default_factory=set)
    _not_in_touches: list[EventEvidence] = field(default_factory=list)

    def kind(self, evidence: EventEvidence, place: EventPlace) -> Sightings:
        """The sightings of events with this evidence at this place; the caller adds to them."""
        found = self.kinds.get((evidence, place))
        if found is None:
            found = self.kinds[evidence, place] = Sightings(place, [], [])
            self.most_touches += len(evidence.touches)
            self._not_in_touches.append(evidence)
        return found

    def note(self, record: SourceRecord, observation: Observation | Unreadable) -> None:
        """Take one record."""
        if isinstance(observation, Unreadable):
            self.refusals.append(CountRefusal(record.offset, record.timestamp, observation))
            return
        offset, time_ns, event_id, evidence, place = observation
        if offset < 0:
            self.refusals.append(CountRefusal(record.offset, record.timestamp, Unreadable.NO_RAW_POSITION))
        elif offset <= self.highest:
            self.repeated += 1
        else:
            self.highest = offset
            self.counted += 1
            self.kind(evidence, place).add(time_ns, event_id, offset)

    def size(self) -> int:
        """Kinds of event that wait, or their looks where those are more."""
        return max(len(self.kinds), sum(map(len, self.looks.values())))

    def touches(self) -> int:
        """How many different things the kinds say; equal ones are one object as a rule."""
        for evidence in self._not_in_touches:
            self._touches.update(map(id, evidence.touches))
        self._not_in_touches.clear()
        return len(self._touches)

    def forget(self) -> None:
        """Empty everything but `highest`, after a flush."""
        self.kinds, self.refusals, self.looks = {}, [], _LooksByPlace()
        self.counted = self.repeated = self.most_touches = 0
        self._touches, self._not_in_touches = set(), []


Gather = Callable[[Sequence[SourceRecord], Gathered], None]
"""Takes a batch of one partition, in offset order."""


def one_by_one(observe: Callable[[bytes | None], Observation | Unreadable]) -> Gather:
    """Gather what a reader of single records reads."""

    def gather(records: Sequence[SourceRecord], gathered: Gathered) -> None:
        for record in records:
            gathered.note(record, observe(record.value))

    return gather

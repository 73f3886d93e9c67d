"""The dead letters of the pipeline, one for each event, with what has become of the event since.

A dead letter says where a refused record is. After a crash a stage may read a record again, so one raw record can have
several dead letters, from one stage or from two; the last one stands for all. Where the raw position is not known, a
dead letter stands for itself.

Sending an event again adds two notes with the stage `retry`, under the raw position of the refused record. The first
says from which raw offset on the copy is to be found, should the sending be cut short. The second says where it is. A
copy that is refused in its turn has a raw position of its own. Records of other programs are counted, and otherwise
left alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from agents.dead_letters import RETRY, SENDING
from app.kafka.refused import RefusedRecords


class RefusedPosition(NamedTuple):
    """The position of a refused record: full topic name, partition, offset."""

    topic: str
    partition: int
    offset: int


class LetterState(StrEnum):
    """What has become of the event of a dead letter."""

    OPEN = "open"
    WAITING = "waiting"  # the stages will read the record again, or have not read what follows from it
    PUBLISHED = "published"  # a later pass over the same raw record made a call of it
    SENT_AGAIN = "sent again"


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """One refusal, as the topic has it. The raw partition and offset are -1 if the stage did not know them."""

    source: RefusedPosition
    stage: str
    reason: str
    error_class: str | None
    raw_partition: int
    raw_offset: int
    timestamp_ms: int
    """Of the raw record: when ingest received the event."""

    @property
    def raw(self) -> tuple[int, int] | None:
        """Partition and offset of the raw record, if known."""
        return None if self.raw_offset < 0 else (self.raw_partition, self.raw_offset)

    def event(self, raw_topic: str) -> RefusedPosition:
        """What tells its event from others: the raw position, or the source position if that is not known."""
        return self.source if self.raw is None else RefusedPosition(raw_topic, *self.raw)


class RefusalKind(NamedTuple):
    """What several dead letters have in common."""

    stage: str
    reason: str
    error_class: str | None


@dataclass(frozen=True, slots=True)
class DeadLetterChoice:
    """Which dead letters are meant; an empty collection means all."""

    stages: Collection[str] = ()
    reasons: Collection[str] = ()

    def includes(self, letter: StoredDeadLetter) -> bool:
        """Whether a dead letter is among them."""
        return (not self.stages or letter.stage in self.stages) and (not self.reasons or letter.reason in self.reasons)


ALL_LETTERS: Final = DeadLetterChoice()


@dataclass(slots=True)
class Inventory:
    """All dead letters of a topic. Add every record, in the order of its partition."""

    raw_topic: str
    """Full name."""
    by_event: dict[RefusedPosition, StoredDeadLetter] = field(default_factory=dict)
    sent_again: dict[RefusedPosition, tuple[int, int]] = field(default_factory=dict)
    """By event, partition and offset of the raw record that it was sent again as."""
    sending: dict[RefusedPosition, int] = field(default_factory=dict)
    """By event, the raw offset from which on its copy is to be found; only where it is not known to be sent."""
    published: set[tuple[int, int]] = field(default_factory=set)
    """Raw positions of dead letters that have a published call."""
    waiting: set[tuple[int, int]] = field(default_factory=set)
    """Raw positions of dead letters of which nobody knows yet whether a call will be published."""
    strangers: int = 0
    unreadable: RefusedRecords = field(default_factory=RefusedRecords)
    """The same, by reason, with where the first is."""

    def add(self, document: Mapping[str, Any] | None, timestamp_ms: int) -> None:
        """Add a record's decoded value; None if it is not a dead letter."""
        if document is None:
            self.strangers += 1
            return
        source = RefusedPosition(document["source_topic"], document["source_partition"], document["source_offset"])
        if document["stage"] == RETRY:
            self._take_note(source, document)
            return
        letter = StoredDeadLetter(
            source=source,
            stage=document["stage"],
            reason=document["reason"],
            error_class=document["error_class"],
            raw_partition=document["raw_partition"],
            raw_offset=document["raw_offset"],
            timestamp_ms=timestamp_ms,
        )
        self.by_event[letter.event(self.raw_topic)] = letter

    def _take_note(self, event: RefusedPosition, document: Mapping[str, Any]) -> None:
        if document["reason"] != SENDING:
            self.sent_again[event] = (document["raw_partition"], document["raw_offset"])
            self.sending.pop(event, None)
        elif event not in self.sent_again:
            self.sending.setdefault(event, document["raw_offset"])

    def state(self, letter: StoredDeadLetter) -> LetterState:
        """What has become of its event."""
        if letter.event(self.raw_topic) in self.sent_again:
            return LetterState.SENT_AGAIN
        if letter.raw in self.published:
            return LetterState.PUBLISHED
        return LetterState.WAITING if letter.raw in self.waiting else LetterState.OPEN

    def states(self) -> dict[LetterState, int]:
        """How many events are in each state, in the order of the states."""
        found = Counter(map(self.state, self.by_event.values()))
        return {state: found[state] for state in LetterState}

    def counted_twice(self) -> int:
        """How many events were sent again although they have a call; known only of the calls that were looked for."""
        return sum(letter.raw in self.published for event, letter in self.by_event.items() if event in self.sent_again)

    def chosen(self, wanted: DeadLetterChoice, state: LetterState | None = None) -> list[StoredDeadLetter]:
        """The dead letters that are meant, and in this state if one is given, in the order in which they were read."""
        letters = (letter for letter in self.by_event.values() if wanted.includes(letter))
        return [letter for letter in letters if state is None or self.state(letter) is state]


@dataclass(slots=True)
class DeadLetterGroup:
    """Dead letters of one kind: how many, what became of them, and when the first and last were received."""

    letters: int = 0
    sent_again: int = 0
    published: int = 0
    waiting: int = 0
    first_ms: int = 0
    last_ms: int = 0

    @property
    def open(self) -> int:
        """How many have no call and were not sent again."""
        return self.letters - self.sent_again - self.published - self.waiting


def grouped(letters: Inventory, wanted: DeadLetterChoice) -> dict[RefusalKind, DeadLetterGroup]:
    """Groups by kind, the largest first."""
    groups: dict[RefusalKind, DeadLetterGroup] = {}
    for letter in letters.chosen(wanted):
        group = groups.setdefault(
            RefusalKind(letter.stage, letter.reason, letter.error_class), DeadLetterGroup(first_ms=letter.timestamp_ms)
        )
        state = letters.state(letter)
        group.letters += 1
        group.sent_again += state is LetterState.SENT_AGAIN
        group.published += state is LetterState.PUBLISHED
        group.waiting += state is LetterState.WAITING
        group.first_ms = min(group.first_ms, letter.timestamp_ms)
        group.last_ms = max(group.last_ms, letter.timestamp_ms)
    return dict(sorted(groups.items(), key=lambda item: (-item[1].letters, str(item[0]))))


def counted(kinds: Iterable[RefusalKind]) -> dict[str, int]:
    """How often each kind occurs, as `stage/reason`."""
    return dict(Counter(f"{kind.stage}/{kind.reason}" for kind in kinds).most_common())

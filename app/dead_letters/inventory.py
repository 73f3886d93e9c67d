"""The dead letters of the pipeline, each once, with whether its event was sent again.

A dead letter says where a refused record is. Sending the event again adds a second record under the same source
position, with the stage `retry`, that says where the event went. A dead letter that came twice, as after a crash,
counts once. An event that was refused again after a retry has a source position of its own. Records of other programs
are counted, and otherwise left alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

RETRY: Final = "retry"
"""Stage of the records that say where an event went; their only reason too."""


class RefusedPosition(NamedTuple):
    """The position of a refused record: full topic name, partition, offset."""

    topic: str
    partition: int
    offset: int


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


@dataclass(slots=True)
class Inventory:
    """All dead letters of a topic. Add every record, in the order of its partition."""

    by_source: dict[RefusedPosition, StoredDeadLetter] = field(default_factory=dict)
    sent_again: dict[RefusedPosition, tuple[int, int]] = field(default_factory=dict)
    """Partition and offset of the raw record that an event was sent again as."""
    strangers: int = 0

    def add(self, document: Mapping[str, Any] | None, timestamp_ms: int) -> None:
        """Add a record's decoded value; None if it is not a dead letter."""
        if document is None:
            self.strangers += 1
            return
        source = RefusedPosition(document["source_topic"], document["source_partition"], document["source_offset"])
        if document["stage"] == RETRY:
            self.sent_again[source] = (document["raw_partition"], document["raw_offset"])
            return
        self.by_source[source] = StoredDeadLetter(
            source=source,
            stage=document["stage"],
            reason=document["reason"],
            error_class=document["error_class"],
            raw_partition=document["raw_partition"],
            raw_offset=document["raw_offset"],
            timestamp_ms=timestamp_ms,
        )

    def chosen(self, wanted: DeadLetterChoice) -> list[StoredDeadLetter]:
        """The dead letters that are meant, in the order in which they were read."""
        return [letter for letter in self.by_source.values() if wanted.includes(letter)]

    def open(self, wanted: DeadLetterChoice) -> list[StoredDeadLetter]:
        """The dead letters that are meant and were not sent again."""
        return [letter for letter in self.chosen(wanted) if letter.source not in self.sent_again]


@dataclass(slots=True)
class DeadLetterGroup:
    """Dead letters of one kind: how many, how many were sent again, and when the first and last were received."""

    letters: int = 0
    sent_again: int = 0
    first_ms: int = 0
    last_ms: int = 0

    @property
    def open(self) -> int:
        """How many were not sent again."""
        return self.letters - self.sent_again


def grouped(letters: Inventory, wanted: DeadLetterChoice) -> dict[RefusalKind, DeadLetterGroup]:
    """Groups by kind, the largest first."""
    groups: dict[RefusalKind, DeadLetterGroup] = {}
    for letter in letters.chosen(wanted):
        group = groups.setdefault(
            RefusalKind(letter.stage, letter.reason, letter.error_class), DeadLetterGroup(first_ms=letter.timestamp_ms)
        )
        group.letters += 1
        group.sent_again += letter.source in letters.sent_again
        group.first_ms = min(group.first_ms, letter.timestamp_ms)
        group.last_ms = max(group.last_ms, letter.timestamp_ms)
    return dict(sorted(groups.items(), key=lambda item: (-item[1].letters, str(item[0]))))


def counted(kinds: Iterable[RefusalKind]) -> dict[str, int]:
    """How often each kind occurs, as `stage/reason`."""
    return dict(Counter(f"{kind.stage}/{kind.reason}" for kind in kinds).most_common())

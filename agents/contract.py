"""What a stage is: a pure step over a batch of source records, and the shapes that go in and out.

A step is a function of its records and of the values it was built with (policy, symbol store, schema ids), so any cut
into batches gives the same bytes. It never raises on data: a record that it cannot process becomes a dead letter by
position. An exception out of a step means broken machinery and ends the process.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from agents.event_facts import EventFacts

UNREADABLE_BATCH: Final = b"\xffbatch"
"""Value of the records that stand for a batch which cannot be inflated. It is compared by identity; no step can read
it."""

UNREADABLE_BATCH_REASON: Final = "batch_too_large"
"""Why such a record is a dead letter."""


class SourceRecord(Protocol):
    """A consumed record, as Kafka clients hand it out."""

    @property
    def topic(self) -> str:
        """Full topic name, prefix included."""

    @property
    def partition(self) -> int:
        """Partition number."""

    @property
    def offset(self) -> int:
        """Position in the partition."""

    @property
    def timestamp(self) -> int:
        """Time of receipt of the raw record, in milliseconds since the Unix epoch."""

    @property
    def key(self) -> bytes | None:
        """Record key as stored."""

    @property
    def value(self) -> bytes | None:
        """Record value as stored; None is a tombstone."""


class OutRecord(NamedTuple):
    """A record to produce, to the partition number and with the timestamp of the raw record it derives from.

    A named tuple, because one is made for every event, and a frozen dataclass costs three times as much.
    """

    key: bytes | None
    value: bytes | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a stage could not process: where it is and why, never what it holds.

    `reason` is a word of a closed set; `error_class` is the name of an exception class, never its text.
    """

    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    error_class: str | None
    raw_partition: int
    raw_offset: int
    timestamp_ms: int


@dataclass(slots=True)
class StepResult:
    """What a step made of one batch: outputs in the order of their sources, and where every record went.

    `outputs`, `dead_letters` and `skipped` account for every record of the batch exactly once: `skipped` counts, by
    reason, records that rightly produce nothing (loader and throttle events). `tally` counts things inside records
    (frames by resolution, redactions by rule) for metrics; its keys are (metric, label) with labels from closed sets.
    `raw_offsets` has the raw record's offset for each of `outputs`, for audit. `configuration` names by digest what
    decided the result, where that can change while a process runs.
    """

    outputs: list[OutRecord] = field(default_factory=list)
    raw_offsets: list[int] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    tally: dict[tuple[str, str], int] = field(default_factory=dict)
    state: dict[bytes, bytes | None] = field(default_factory=dict)
    configuration: str | None = None


class Step(Protocol):
    """A stage's pure function over one batch: records of one topic and partition, in offset order."""

    def __call__(self, records: Sequence[SourceRecord]) -> StepResult:
        """Account for every record exactly once."""


class TellingStep(Step, Protocol):
    """A step that can say what a log line may say of an event that it refuses."""

    def facts(self, record: SourceRecord) -> EventFacts:
        """The names of a record's event; no private value is among them."""


class StatefulStep(Step, Protocol):
    """A step that remembers something by source partition, in rows that outlive its process."""

    def restore(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Replace what is remembered of a partition; called before its first batch after every assignment."""

    def release(self, partition: int, position: int) -> None:
        """Forget what only records before `position` need; none of them comes again.

        The next result's state has what this changes.
        """

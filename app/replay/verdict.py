"""What a verification found, as values: for a person, for a machine, and for the exit code."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.evidence.documents import Difference
from app.replay.diff import lines_of


@dataclass(frozen=True, slots=True)
class RunFinding:
    """One thing that is not as it should be: where it is, and what is wrong."""

    place: str
    matter: str

    def __str__(self) -> str:
        return f"{self.place}: {self.matter}"


@dataclass(frozen=True, slots=True)
class EventDifference:
    """The first event that differs: `then` is what was recorded, `now` what its raw record gives.

    `fields` is empty if one side does not have the event at all; `matter` says so.
    """

    partition: int
    raw_offset: int
    event_id: str
    matter: str
    fields: tuple[Difference, ...] = ()

    def lines(self) -> Iterator[str]:
        """For a person to read."""
        yield (
            f"first event that differs: {self.event_id}, raw partition {self.partition}, offset {self.raw_offset}: "
            f"{self.matter}"
        )
        yield from lines_of(list(self.fields), "recorded", "replayed")

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "event_id": self.event_id,
            "partition": self.partition,
            "raw_offset": self.raw_offset,
            "matter": self.matter,
            "fields": [{"path": one.path, "recorded": one.left, "replayed": one.right} for one in self.fields],
        }


@dataclass(slots=True)
class RunVerdict:
    """All that a verification found. Notes do not count against the run."""

    findings: list[RunFinding] = field(default_factory=list)
    first_event: EventDifference | None = None
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def proved(self) -> bool:
        """Whether everything is as it was."""
        return not self.findings and self.first_event is None

    def find(self, place: object, matter: object) -> None:
        """Add a finding."""
        self.findings.append(RunFinding(str(place), str(matter)))

    def lines(self) -> Iterator[str]:
        """For a person to read."""
        yield from map(str, self.findings)
        if self.first_event is not None:
            yield from self.first_event.lines()
        yield from (f"note: {note}" for note in self.notes)

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "proved": self.proved,
            "findings": [{"place": one.place, "matter": one.matter} for one in self.findings],
            "first_event": None if self.first_event is None else self.first_event.document(),
            "notes": self.notes,
            **self.facts,
        }

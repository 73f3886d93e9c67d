"""What a verification found, as values: for a person, for a machine, and for the exit code."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from app.replay.diff import ChangedEvent


@dataclass(frozen=True, slots=True)
class RunFinding:
    """One thing that is not as it should be: where it is, and what is wrong."""

    place: str
    matter: str

    def __str__(self) -> str:
        return f"{self.place}: {self.matter}"


@dataclass(slots=True)
class RunVerdict:
    """All that a verification found. Notes do not count against the run."""

    findings: list[RunFinding] = field(default_factory=list)
    first_event: ChangedEvent | None = None
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
            first, *fields = self.first_event.lines("recorded", "replayed")
            yield f"first event that differs: {first}"
            yield from fields
        yield from (f"note: {note}" for note in self.notes)

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "proved": self.proved,
            "findings": [asdict(one) for one in self.findings],
            "first_event": self.first_event and self.first_event.document("recorded", "replayed"),
            "notes": self.notes,
            **self.facts,
        }

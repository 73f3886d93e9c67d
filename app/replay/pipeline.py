"""Raw records of a partition through the live stages' own steps, with a span line for every span of offsets.

A partition is taken in order from its start state, because a step may remember earlier records. Nothing depends on how
records arrive in batches. Digests of calls cover their Avro bodies only: the schema header in front of a body holds an
id that differs between registries.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final, Protocol

from agents.contract import DeadLetter, SourceRecord, StatefulStep, Step, StepResult
from agents.privacy.stage import MASKED_WHOLE_TALLY
from app.evidence.digests import Columns, RecordDigest, span_of
from app.evidence.record_file import RECORDS_DOMAIN, columns_of
from app.evidence.results import OutputDigest, columns_of_result, dead_letter_line, domain_of, without_schema_headers
from app.evidence.span_lines import SpanLine
from app.kafka.records import Recorded
from schemas.topics import Stage

_CANONICAL: Final = "(replayed canonical events)"
"""Takes the place of a topic's name in the records that go from one step to the next."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The stages' steps under one configuration; `call_schema` is the fingerprint of the calls' schema."""

    canonicalize: StatefulStep
    privacy: Step
    call_schema: str

    def domain(self, stage: Stage) -> str:
        """The domain of the digests of a stage's records."""
        return domain_of(stage, self.call_schema)


@dataclass(slots=True)
class RunBooks:
    """Where every record of a run went. `inside` counts what the steps found inside records."""

    records: int = 0
    calls: int = 0
    not_calls: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)

    def add(self, other: "RunBooks") -> None:
        """Add the books of another lane."""
        self.records += other.records
        self.calls += other.calls
        self.not_calls.update(other.not_calls)
        self.dead_letters.update(other.dead_letters)
        self.inside.update(other.inside)

    @property
    def balance(self) -> bool:
        """Whether every record went to exactly one place."""
        return self.records == self.calls + self.not_calls.total() + self.dead_letters.total()


class Sink(Protocol):
    """Where calls go."""

    def calls(self, records: Columns, values: Sequence[bytes | None], /) -> None:
        """Take calls of the open span; `values` has the same bodies with their schema headers, as a topic gets them."""

    def end_span(self, refused: Sequence[str]) -> tuple[int, int, str]:
        """End the span, with its dead letters as lines.

        Returns where its calls were stored: begin, end and digest; 0, 0 and "" if no file has them.
        """

    def close(self) -> None:
        """Called after the last span, and not when a lane failed."""


class Witness(Protocol):
    """Sees all that the stages make, to compare it with what was published."""

    def saw(self, stage: Stage, records: Columns, dead_letters: Sequence[DeadLetter]) -> None:
        """A stage made these records and dead letters; their raw records follow those of the call before."""

    def result(self) -> object:
        """What the witness found, after the last record. It may be sent to another process."""


class _ReplayedSpan:
    """The span that is open."""

    def __init__(self, first: int, steps: Steps) -> None:
        self.first = self.last = first
        self.records = RecordDigest(RECORDS_DOMAIN)
        self.stages = {stage: OutputDigest(steps.domain(stage)) for stage in (Stage.CANONICALIZE, Stage.PRIVACY)}
        self.dead_letters: list[DeadLetter] = []


class Pipeline:
    """Takes one partition through the steps, from a start state on."""

    def __init__(self, steps: Steps, sink: Sink, witness: Witness | None = None) -> None:
        self._steps = steps
        self._sink = sink
        self._witness = witness
        self._span: _ReplayedSpan | None = None
        self.books = RunBooks()

    def take(self, batch: Sequence[Recorded]) -> SpanLine | None:
        """Take the next records, all of one span. Returns the line of the span before, if a new span begins."""
        number = span_of(batch[0].offset)
        done = self.finish() if self._span is not None and span_of(self._span.first) != number else None
        if self._span is None:
            self._span = _ReplayedSpan(batch[0].offset, self._steps)
        self._take(self._span, batch)
        return done

    def finish(self) -> SpanLine | None:
        """End the open span, and return its line; None if no span is open."""
        span, self._span = self._span, None
        if span is None:
            return None
        dead_letters = sorted(span.dead_letters, key=lambda one: one.raw_offset)
        begin, end, stored = self._sink.end_span([dead_letter_line(one) for one in dead_letters])
        return SpanLine(
            span=span_of(span.first),
            first=span.first,
            last=span.last,
            records=span.records.counted(),
            canonical=span.stages[Stage.CANONICALIZE].digests(),
            calls=span.stages[Stage.PRIVACY].digests(),
            begin=begin,
            end=end,
            stored=stored,
        )

    def _take(self, span: _ReplayedSpan, batch: Sequence[Recorded]) -> None:
        span.last = batch[-1].offset
        span.records.add(columns_of(batch))
        self._steps.canonicalize.release(batch[0].partition, batch[0].offset)  # a replay never goes back
        canonical = self._steps.canonicalize(batch)
        events = columns_of_result(canonical)
        self._book(span, Stage.CANONICALIZE, canonical, events)
        filtered = self._steps.privacy(_as_source(events, batch[0].partition))
        published = columns_of_result(filtered)
        calls = without_schema_headers(published)
        self._book(span, Stage.PRIVACY, filtered, calls)
        self._sink.calls(calls, published.bodies)
        self.books.records += len(batch)
        self.books.calls += len(filtered.outputs)

    def _book(self, span: _ReplayedSpan, stage: Stage, result: StepResult, records: Columns) -> None:
        span.stages[stage].add(records, result.dead_letters)
        span.dead_letters += result.dead_letters
        self.books.not_calls.update(result.skipped)
        self.books.dead_letters.update(f"{one.stage}/{one.reason}" for one in result.dead_letters)
        # how many texts were masked whole follows from the redactions; and older runs do not have it
        tallies = ((key, count) for key, count in result.tally.items() if key[0] != MASKED_WHOLE_TALLY)
        self.books.inside.update({f"{name}/{label}": count for (name, label), count in tallies})
        if self._witness is not None:
            self._witness.saw(stage, records, result.dead_letters)


def _as_source(events: Columns, partition: int) -> Sequence[SourceRecord]:
    """Canonical events as the privacy step takes them, at their raw offsets."""
    rows: Iterable[tuple[str, int, int, int, bytes | None, bytes | None]] = zip(
        repeat(_CANONICAL), repeat(partition), events.offsets, events.timestamps_ms, events.keys, events.bodies
    )  # fmt: skip
    return list(map(Recorded._make, rows))

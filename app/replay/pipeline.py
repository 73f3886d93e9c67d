"""Raw records of a partition through the stages' own pure steps, with a ledger line for every span of offsets.

Rules: the steps are those of the live stages. A partition is taken in order from its start state, because a step may
remember earlier records; nothing depends on how records arrive in batches. Digests of calls are of their Avro bodies,
for the five bytes in front of them hold a registry's numbering. This module refuses to know files, topics, processes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final, Protocol

from agents.contract import DeadLetter, SourceRecord, StatefulStep, Step, StepResult
from app.evidence.digests import Columns, RecordDigest, TextDigest, span_of
from app.evidence.record_file import RECORDS_DOMAIN, columns_of
from app.evidence.results import REFUSED_DOMAIN, columns_of_result, domain_of, letter_line, without_frames
from app.evidence.span_lines import SpanLine, StageTally, Tally
from app.kafka.records import Recorded
from schemas.topics import Stage

_CANONICAL: Final = "(replayed canonical events)"
"""Stands for a topic in the records that go from one step to the next."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The stages' steps under one configuration; `call_schema` is the fingerprint of the calls' schema."""

    canonicalize: StatefulStep
    privacy: Step
    call_schema: str

    def domain(self, stage: Stage) -> str:
        """What a stage's records are digested as."""
        return domain_of(stage, self.call_schema)


@dataclass(slots=True)
class Books:
    """Where every record went, and what was found inside records."""

    records: int = 0
    calls: int = 0
    not_calls: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Books") -> None:
        """Add another run's, or another partition's."""
        self.records += other.records
        self.calls += other.calls
        self.not_calls.update(other.not_calls)
        self.dead_letters.update(other.dead_letters)
        self.inside.update(other.inside)

    @property
    def balance(self) -> bool:
        """Whether every record went somewhere, once."""
        return self.records == self.calls + self.not_calls.total() + self.dead_letters.total()


class Sink(Protocol):
    """Where calls go."""

    def calls(self, records: Columns, framed: Sequence[bytes | None]) -> None:
        """Take calls of the span that is open; `framed` has the same bodies as they go to a topic."""

    def end_span(self, refused: Sequence[str]) -> tuple[int, int, str]:
        """End the span, with its dead letters as lines: where its calls were stored, or 0, 0 and nothing."""


class Witness(Protocol):
    """Looks on, to compare with what was published."""

    def saw(self, stage: Stage, records: Columns, letters: Sequence[DeadLetter]) -> None:
        """A stage made these records and dead letters of raw records that follow those it was shown before."""

    def result(self) -> object:
        """What was found, after the last record; it may be given to another process."""


class _OpenStage:
    """A stage's digests of the span that is open."""

    def __init__(self, stage: Stage, steps: Steps) -> None:
        self.written = RecordDigest(steps.domain(stage))
        self.refused = TextDigest(REFUSED_DOMAIN)

    def tally(self) -> StageTally:
        return StageTally(
            Tally(self.written.count, self.written.hexdigest()), Tally(self.refused.count, self.refused.hexdigest())
        )


class _OpenSpan:
    """The span that is open."""

    def __init__(self, first: int, steps: Steps) -> None:
        self.first = self.last = first
        self.records = RecordDigest(RECORDS_DOMAIN)
        self.stages = {stage: _OpenStage(stage, steps) for stage in (Stage.CANONICALIZE, Stage.PRIVACY)}
        self.letters: list[DeadLetter] = []


class Pipeline:
    """One partition's way through the steps, from a start state on."""

    def __init__(self, steps: Steps, sink: Sink, witness: Witness | None = None) -> None:
        self._steps = steps
        self._sink = sink
        self._witness = witness
        self._span: _OpenSpan | None = None
        self.books = Books()

    def take(self, batch: Sequence[Recorded]) -> SpanLine | None:
        """Take the next records, all of one span; the line of the span before it where that is complete now."""
        number = span_of(batch[0].offset)
        done = self.finish() if self._span is not None and span_of(self._span.first) != number else None
        if self._span is None:
            self._span = _OpenSpan(batch[0].offset, self._steps)
        self._take(self._span, batch)
        return done

    def finish(self) -> SpanLine | None:
        """End the open span."""
        span, self._span = self._span, None
        if span is None:
            return None
        letters = sorted(span.letters, key=lambda letter: letter.raw_offset)
        begin, end, stored = self._sink.end_span([letter_line(letter) for letter in letters])
        return SpanLine(
            span=span_of(span.first),
            first=span.first,
            last=span.last,
            records=Tally(span.records.count, span.records.hexdigest()),
            canonical=span.stages[Stage.CANONICALIZE].tally(),
            calls=span.stages[Stage.PRIVACY].tally(),
            begin=begin,
            end=end,
            stored=stored,
        )

    def _take(self, span: _OpenSpan, batch: Sequence[Recorded]) -> None:
        span.last = batch[-1].offset
        span.records.add(columns_of(batch))
        self._steps.canonicalize.release(batch[0].partition, batch[0].offset)  # a replay never goes back
        canonical = self._steps.canonicalize(batch)
        events = columns_of_result(canonical)
        self._book(span, Stage.CANONICALIZE, canonical, events)
        filtered = self._steps.privacy(_as_source(events, batch[0].partition))
        framed = columns_of_result(filtered)
        calls = without_frames(framed)
        self._book(span, Stage.PRIVACY, filtered, calls)
        self._sink.calls(calls, framed.bodies)
        self.books.records += len(batch)
        self.books.calls += len(filtered.outputs)

    def _book(self, span: _OpenSpan, stage: Stage, result: StepResult, records: Columns) -> None:
        open_stage = span.stages[stage]
        open_stage.written.add(records)
        open_stage.refused.add(map(letter_line, result.dead_letters))
        span.letters += result.dead_letters
        self.books.not_calls.update(result.skipped)
        self.books.dead_letters.update(f"{letter.stage}/{letter.reason}" for letter in result.dead_letters)
        self.books.inside.update({f"{name}/{label}": count for (name, label), count in result.tally.items()})
        if self._witness is not None:
            self._witness.saw(stage, records, result.dead_letters)


def _as_source(events: Columns, partition: int) -> Sequence[SourceRecord]:
    """Canonical events as the privacy step takes them, at their raw offsets."""
    rows: Iterable[tuple[str, int, int, int, bytes | None, bytes | None]] = zip(
        repeat(_CANONICAL), repeat(partition), events.offsets, events.timestamps_ms, events.keys, events.bodies
    )  # fmt: skip
    return list(map(Recorded._make, rows))

"""What a stage says it has published, in a form that a replay can prove: digests over runs of raw offsets.

A stage's own topic positions mean nothing to a replay, for batches are repeated after a crash. Raw positions do: within
a run they ascend, a repetition begins a new run, and each run has the digest of exactly what was published for it. So
any number of repetitions leaves records that all are true, or show what was not.

Rules: a run's digest does not depend on the registry's numbering, nor on how batches were cut inside of the run. This
module refuses to know topics and who commits what.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final, Self

from agents.contract import DeadLetter, SourceRecord, StepResult
from app.evidence.digests import Columns, RecordDigest, TextDigest
from app.evidence.results import REFUSED_DOMAIN, columns_of_result, dead_letter_line, without_schema_headers
from schemas import records
from schemas.topics import Stage

_RUN_DOMAIN: Final = b"callstream audit run 1\x00"


@dataclass(frozen=True, slots=True)
class AuditRun:
    """Raw offsets `raw_first` to `raw_last`: how many records were written and refused, and their digest."""

    raw_first: int
    raw_last: int
    written: int
    dead_letters: int
    digest: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What a stage published for offsets `first` to `last` of its source, under one configuration."""

    stage: str
    configuration: str
    program: str
    partition: int
    first: int
    last: int
    records: int
    runs: tuple[AuditRun, ...]

    @property
    def key(self) -> bytes:
        """Key in the compacted topic: a range that is published again, and alike, replaces its record."""
        return f"{self.stage}/{self.partition}/{self.first}/{self.configuration[:16]}".encode()

    def encode(self, schema_id: int) -> bytes:
        """The framed record."""
        return records.encode(records.AUDIT_RECORD, schema_id, asdict(self))

    @classmethod
    def decode(cls, value: bytes, writer_schema: Any = None) -> Self:
        """Read a framed record. Raises what `records.decode` raises, TypeError or KeyError."""
        found = records.decode(records.AUDIT_RECORD, value, writer_schema)
        return cls(**{**found, "runs": tuple(AuditRun(**run) for run in found["runs"])})


class RunDigest:
    """Digest of a run, from records and dead letters in order, in any portions."""

    def __init__(self, domain: str) -> None:
        self._written = RecordDigest(domain)
        self._refused = TextDigest(REFUSED_DOMAIN)

    def add(self, written: Columns, letters: Iterable[DeadLetter]) -> None:
        """Take what follows."""
        self._written.add(written)
        self._refused.add(map(dead_letter_line, letters))

    def run(self, raw_first: int, raw_last: int) -> AuditRun:
        """The run, with the digest of everything so far."""
        both = self._written.hexdigest() + self._refused.hexdigest()
        digest = hashlib.sha256(_RUN_DOMAIN + both.encode()).hexdigest()
        return AuditRun(raw_first, raw_last, self._written.count, self._refused.count, digest)


def runs_of(stage: Stage, domain: str, batch: Sequence[SourceRecord], result: StepResult) -> Iterator[AuditRun]:
    """The runs of one batch of a stage, whose records are digested as `domain`.

    A dead letter without a raw position belongs to no run.
    """
    written = columns_of_result(result)
    if stage is Stage.CANONICALIZE:  # its source is the raw topic, whose offsets ascend
        yield _run(domain, written, result.dead_letters, (batch[0].offset, batch[-1].offset))
        return
    written = without_schema_headers(written)
    if not result.dead_letters and _ascends(written.offsets):
        if written.offsets:
            yield _run(domain, written, (), (written.offsets[0], written.offsets[-1]))
        return
    for part, letters in _ascending_parts(batch, written, result.dead_letters):
        places = [*part.offsets, *(letter.raw_offset for letter in letters)]
        yield _run(domain, part, letters, (min(places), max(places)))


def _run(domain: str, written: Columns, letters: Iterable[DeadLetter], place: tuple[int, int]) -> AuditRun:
    digest = RunDigest(domain)
    digest.add(written, letters)
    return digest.run(*place)


def _ascends(offsets: Sequence[int]) -> bool:
    return all(before < after for before, after in pairwise(offsets))


def _ascending_parts(
    batch: Sequence[SourceRecord], written: Columns, letters: Sequence[DeadLetter]
) -> Iterator[tuple[Columns, list[DeadLetter]]]:
    """Cut a batch's results wherever raw offsets do not ascend, dead letters taken in at their place in the source."""
    by_source = {letter.offset: letter for letter in letters}
    begin = end = 0
    highest = -1
    taken: list[DeadLetter] = []
    for record in batch:
        letter = by_source.get(record.offset)
        raw_offset = written.offsets[end] if letter is None else letter.raw_offset
        if raw_offset < 0:
            continue
        if raw_offset <= highest:
            yield written.part(begin, end), taken
            begin, taken = end, []
        highest = raw_offset
        if letter is None:
            end += 1
        else:
            taken.append(letter)
    if begin < end or taken:
        yield written.part(begin, end), taken

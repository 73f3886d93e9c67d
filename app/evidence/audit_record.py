"""What a stage says it published, in a form that a replay can prove: digests over sequences of raw offsets.

A replay cannot use positions in a stage's own topics, because batches are repeated after a crash. It uses raw offsets.
An `AuditRun` is a sequence of ascending raw offsets; a repetition begins a new one. Each has the digest of exactly what
the stage published for it. So after any number of repetitions each audit record is true, or shows what was not.

The digest does not depend on the registry's ids, or on how batches were cut within the sequence.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

from agents.contract import DeadLetter, SourceRecord, StepResult
from app.evidence.digests import Columns
from app.evidence.results import OutputDigest, columns_of_result, without_schema_headers
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
        """Key in the compacted topic: the same range under the same configuration replaces its record."""
        return f"{self.stage}/{self.partition}/{self.first}/{self.configuration[:16]}".encode()

    def encode(self, schema_id: int) -> bytes:
        """The record's value, with its schema header."""
        return records.encode(records.AUDIT_RECORD, schema_id, _fields(self) | {"runs": [*map(_fields, self.runs)]})

    @classmethod
    def decode(cls, value: bytes, writer_schema: Any = None) -> Self:
        """Read a value with its schema header. Raises what `records.decode` raises, TypeError or KeyError."""
        found = records.decode(records.AUDIT_RECORD, value, writer_schema)
        return cls(**{**found, "runs": tuple(AuditRun(**run) for run in found["runs"])})


def _fields(one: AuditRecord | AuditRun) -> dict[str, Any]:
    """By name. `dataclasses.asdict` copies every value and takes many times as long, each second for each partition."""
    return {name: getattr(one, name) for name in one.__slots__}


def audit_run(raw_first: int, raw_last: int, made: OutputDigest) -> AuditRun:
    """The run of these raw offsets, of which the stage made `made`."""
    digests = made.digests()
    both = digests.written.digest + digests.refused.digest
    digest = hashlib.sha256(_RUN_DOMAIN + both.encode()).hexdigest()
    return AuditRun(raw_first, raw_last, digests.written.count, digests.refused.count, digest)


def runs_of(stage: Stage, domain: str, batch: Sequence[SourceRecord], result: StepResult) -> Iterator[AuditRun]:
    """The runs of what a stage took of one batch; `domain` is that of its records' digests.

    A dead letter without a raw position belongs to no run.
    """
    written = columns_of_result(result)
    if not batch:
        return
    if stage is Stage.CANONICALIZE:  # its source is the raw topic, whose offsets ascend
        yield _run(domain, written, result.dead_letters, (batch[0].offset, batch[-1].offset))
        return
    written = without_schema_headers(written)
    if not result.dead_letters and all(before < after for before, after in pairwise(written.offsets)):
        if written.offsets:
            yield _run(domain, written, (), (written.offsets[0], written.offsets[-1]))
        return
    for part, dead_letters in _ascending_parts(batch, written, result.dead_letters):
        places = [*part.offsets, *(one.raw_offset for one in dead_letters)]
        yield _run(domain, part, dead_letters, (min(places), max(places)))


def _run(domain: str, written: Columns, dead_letters: Iterable[DeadLetter], place: tuple[int, int]) -> AuditRun:
    made = OutputDigest(domain)
    made.add(written, dead_letters)
    return audit_run(*place, made)


def _ascending_parts(
    batch: Sequence[SourceRecord], written: Columns, dead_letters: Sequence[DeadLetter]
) -> Iterator[tuple[Columns, list[DeadLetter]]]:
    """Cut a batch's results where raw offsets do not ascend; a dead letter counts at its place in the source."""
    by_source = {one.offset: one for one in dead_letters}
    begin = end = 0
    highest = -1
    taken: list[DeadLetter] = []
    for record in batch:
        dead_letter = by_source.get(record.offset)
        raw_offset = written.offsets[end] if dead_letter is None else dead_letter.raw_offset
        if raw_offset < 0:
            continue
        if raw_offset <= highest:
            yield written.part(begin, end), taken
            begin, taken = end, []
        highest = raw_offset
        if dead_letter is None:
            end += 1
        else:
            taken.append(dead_letter)
    if begin < end or taken:
        yield written.part(begin, end), taken

"""What a stage published, in the form that evidence digests cover.

Audit records of live stages and span lines of a replay use the same form, so that the two can be compared.
"""

from collections.abc import Iterable
from typing import Final

from agents.contract import DeadLetter, StepResult
from app.evidence.digests import NO_RECORDS, Columns, RecordDigest, TextDigest
from app.evidence.span_lines import StageDigests
from schemas import avro_wire
from schemas.topics import Stage

CANONICAL_DOMAIN: Final = "callstream canonical events 1"
CALLS_DOMAIN: Final = "callstream calls 1 schema "
REFUSED_DOMAIN: Final = "callstream dead letters 1"


class OutputDigest:
    """Digest of what a stage made, in order, however it is divided among calls of `add`."""

    def __init__(self, domain: str) -> None:
        """`domain` is that of the stage's records, as `domain_of` gives it."""
        self._written = RecordDigest(domain)
        self._refused = TextDigest(REFUSED_DOMAIN)

    def add(self, written: Columns, dead_letters: Iterable[DeadLetter]) -> None:
        """Take the next records and dead letters."""
        self._written.add(written)
        self._refused.add(map(dead_letter_line, dead_letters))

    def digests(self) -> StageDigests:
        """The digests of everything so far."""
        return StageDigests(self._written.counted(), self._refused.counted())


def domain_of(stage: Stage, call_schema: str) -> str:
    """The domain of the digests of a stage's records; `call_schema` is the fingerprint of the calls' schema."""
    return CANONICAL_DOMAIN if stage is Stage.CANONICALIZE else CALLS_DOMAIN + call_schema


def dead_letter_line(dead_letter: DeadLetter) -> str:
    """A dead letter as digests cover it: with its raw offset, because its offset on the stage's source may differ."""
    return f"{dead_letter.raw_offset}\t{dead_letter.stage}\t{dead_letter.reason}\t{dead_letter.error_class or ''}"


def columns_of_result(result: StepResult) -> Columns:
    """A step's outputs as columns."""
    if not result.outputs:
        return NO_RECORDS
    keys, values, timestamps_ms = zip(*result.outputs, strict=True)
    return Columns(result.raw_offsets, timestamps_ms, keys, values)


def without_schema_headers(records: Columns) -> Columns:
    """The same records, their values without Confluent's schema header."""
    header = avro_wire.SCHEMA_HEADER_BYTES
    return records._replace(bodies=[value and value[header:] for value in records.bodies])

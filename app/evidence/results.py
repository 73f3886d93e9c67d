"""What a stage published, in the form that is digested as evidence.

Audit records of live stages and the span lines of a replay use the same form, so that the two compare.
"""

from typing import Final

from agents.contract import DeadLetter, StepResult
from app.evidence.digests import NO_RECORDS, Columns
from schemas import avro_wire
from schemas.topics import Stage

CANONICAL_DOMAIN: Final = "callstream canonical events 1"
CALLS_DOMAIN: Final = "callstream calls 1 schema "
REFUSED_DOMAIN: Final = "callstream dead letters 1"


def domain_of(stage: Stage, call_schema: str) -> str:
    """What a stage's records are digested as; `call_schema` is the fingerprint of the calls' schema."""
    return CANONICAL_DOMAIN if stage is Stage.CANONICALIZE else CALLS_DOMAIN + call_schema


def letter_line(letter: DeadLetter) -> str:
    """A dead letter as it is digested: by raw position, for the position on a stage's own source may differ."""
    return f"{letter.raw_offset}\t{letter.stage}\t{letter.reason}\t{letter.error_class or ''}"


def columns_of_result(result: StepResult) -> Columns:
    """A step's outputs as columns."""
    if not result.outputs:
        return NO_RECORDS
    keys, values, timestamps_ms = zip(*result.outputs, strict=True)
    return Columns(result.raw_offsets, timestamps_ms, keys, values)


def without_frames(records: Columns) -> Columns:
    """The same records, their values without Confluent's five bytes."""
    frame = avro_wire.SCHEMA_HEADER_BYTES
    return records._replace(bodies=[value and value[frame:] for value in records.bodies])

"""Dead letters: where an event is and why a stage refused it. They hold only positions and fixed words."""

from typing import Final, NamedTuple

from agents.contract import DeadLetter, OutRecord, SourceRecord
from schemas import records
from schemas.topics import Stage

NO_RAW_POSITION = -1
"""Stands for a raw partition or offset that nobody knows."""


RETRY: Final = "retry"
"""Stage of the notes that say where an event went that was sent again; the reason of the second one too."""

SENDING: Final = "sending"
"""Reason of the first note of an event that is sent again."""


class RecordPosition(NamedTuple):
    """Where a record is, for a step that does not keep the record itself."""

    topic: str
    partition: int
    offset: int
    timestamp: int


def dead_letter(
    record: SourceRecord | RecordPosition,
    stage: Stage,
    reason: str,
    error_class: str | None = None,
    *,
    raw_partition: int = NO_RAW_POSITION,
    raw_offset: int = NO_RAW_POSITION,
) -> DeadLetter:
    """The dead letter of a record that `stage` could not process; see `DeadLetter` for the words."""
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        stage=stage.value,
        reason=reason,
        error_class=error_class,
        raw_partition=raw_partition,
        raw_offset=raw_offset,
        timestamp_ms=record.timestamp,
    )


def encode_dead_letter(letter: DeadLetter, schema_id: int) -> OutRecord:
    """The record for `runtime.dead-letters`; `schema_id` is the registry's for DeadLetter."""
    value = records.encode(
        records.DEAD_LETTER,
        schema_id,
        {
            "source_topic": letter.topic,
            "source_partition": letter.partition,
            "source_offset": letter.offset,
            "stage": letter.stage,
            "reason": letter.reason,
            "error_class": letter.error_class,
            "raw_partition": letter.raw_partition,
            "raw_offset": letter.raw_offset,
        },
    )
    return OutRecord(f"{letter.topic}-{letter.partition}".encode(), value, letter.timestamp_ms)

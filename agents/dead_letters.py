"""A dead letter as a record: where the event is and why it was refused, keyed by its source partition.

Rules: positions and words of closed sets only, so nothing private can be in it. This module refuses to know what the
event held.
"""

from agents.contract import DeadLetter, OutRecord
from schemas import records


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

"""The privacy stage as a pure step: a batch of canonical records in, encoded calls and dead letters out.

Every record of the batch ends in exactly one of outputs and dead letters. A call's key is its process id. The call
keeps the timestamp and goes to the same partition number. Only a `FilteredCall` is encoded, and only the filter makes
one.
"""

from collections import Counter
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from agents.contract import DeadLetter, OutRecord, SourceRecord, StepResult
from agents.dead_letters import NO_RAW_POSITION, dead_letter
from agents.privacy.calls import CallRefused, PrivacyFilter
from agents.privacy.redaction.answers import MASKED_WHOLE, Hits
from schemas import avro_wire
from schemas.canonical_parts_pb2 import CanonicalEventParts
from schemas.topics import Stage

REDACTIONS_TALLY = "redactions"
"""Tally of redactions by rule."""

MASKED_WHOLE_TALLY = "masked_whole"
"""Tally of texts of which nothing left, by rule."""


class PrivacyStep:
    """Step over batches of one `runtime.canonical` partition; `schema_id` is the registry's for RuntimeCallEvent."""

    def __init__(self, privacy_filter: PrivacyFilter, schema_id: int) -> None:
        self._filter = privacy_filter.filter
        self._schema_header = avro_wire.schema_header(schema_id)

    def __call__(self, records: Sequence[SourceRecord]) -> StepResult:
        """Account for every record exactly once."""
        result = StepResult()
        outputs, raw_offsets, header, filter_ = result.outputs, result.raw_offsets, self._schema_header, self._filter
        redactions: Counter[Hits] = Counter()
        for record in records:
            outcome = filter_(record.value)
            if isinstance(outcome, CallRefused):
                result.dead_letters.append(_dead_letter(record, outcome))
                continue
            outputs.append(OutRecord(outcome.key, header + outcome.body, record.timestamp))
            raw_offsets.append(outcome.raw_offset)
            if outcome.hits:
                redactions[outcome.hits] += 1
        for hits, events in redactions.items():
            for rule, count in hits:
                key = (REDACTIONS_TALLY, rule)
                result.tally[key] = result.tally.get(key, 0) + events * count
        for rule in MASKED_WHOLE:
            if (redacted := result.tally.get((REDACTIONS_TALLY, rule))) is not None:
                result.tally[MASKED_WHOLE_TALLY, rule] = redacted
        return result


def _dead_letter(record: SourceRecord, refused: CallRefused) -> DeadLetter:
    raw_partition, raw_offset = _raw_position(record.value)
    return dead_letter(
        record,
        Stage.PRIVACY,
        refused.reason,
        refused.error_class,
        raw_partition=raw_partition,
        raw_offset=raw_offset,
    )


def _raw_position(value: bytes | None) -> tuple[int, int]:
    """Position of the raw record, or -1 twice if the canonical record does not say it."""
    try:
        event = CanonicalEventParts.FromString(value or b"")
    except DecodeError:
        return NO_RAW_POSITION, NO_RAW_POSITION
    if not event.event_id:
        return NO_RAW_POSITION, NO_RAW_POSITION
    return event.raw_partition, event.raw_offset

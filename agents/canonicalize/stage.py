"""The canonicalize stage as a pure step: a batch of raw records in, canonical records and dead letters out.

Every record of the batch ends in exactly one of outputs, skipped and dead letters. The canonical record keeps the raw
record's key and timestamp, and goes to the same partition number.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import assert_never

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical, EventRefusal, NotACall, Resolutions
from agents.canonicalize.raw_facts import raw_facts
from agents.canonicalize.unknown_fields import UNKNOWN_TALLY
from agents.contract import OutRecord, SourceRecord, StepResult
from agents.dead_letters import dead_letter
from agents.event_facts import EventFacts
from schemas.topics import Stage

FRAMES_TALLY = "frames"
"""Tally of frames by resolution."""

PROBES_TALLY = "probe_types"
"""Tally of converted events by probe type, as its number."""


class CanonicalizeStep:
    """Step over batches of one `tetragon.raw` partition."""

    def __init__(self, canonicalizer: Canonicalizer) -> None:
        self._canonicalize = canonicalizer.canonicalize
        self._modules = canonicalizer.modules
        self._unknown = canonicalizer.unknown

    def restore(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Replace what loader events of a partition said."""
        self._modules.restore(partition, rows)

    def release(self, partition: int, position: int) -> None:
        """Forget what only events before `position` can see."""
        self._modules.release(partition, position)

    def facts(self, record: SourceRecord) -> EventFacts:
        """What a log line may say of a record's event."""
        return raw_facts(record.value)

    def __call__(self, records: Sequence[SourceRecord]) -> StepResult:
        """Account for every record exactly once."""
        result = StepResult()
        outputs, raw_offsets = result.outputs, result.raw_offsets
        resolutions_seen: list[Resolutions] = []
        probe_types: list[int] = []
        canonicalize = self._canonicalize
        for record in records:
            outcome = canonicalize(record.value, record.partition, record.offset, record.timestamp)
            if isinstance(outcome, Canonical):  # nearly all; a pattern for it takes three times as long
                value, _, probe_type, resolutions = outcome
                outputs.append(OutRecord(record.key, value, record.timestamp))
                raw_offsets.append(record.offset)
                resolutions_seen.append(resolutions)
                probe_types.append(probe_type)
                continue
            match outcome:
                case NotACall():
                    result.skipped[outcome.value] = result.skipped.get(outcome.value, 0) + 1
                case EventRefusal():
                    result.dead_letters.append(
                        dead_letter(
                            record,
                            Stage.CANONICALIZE,
                            outcome.reason.value,
                            outcome.error_class,
                            raw_partition=record.partition,
                            raw_offset=record.offset,
                        )
                    )
                case _:
                    assert_never(outcome)
        # By identity first: the tuples are cached with their stacks, and hashing one for every event would cost more.
        distinct = {id(resolutions): resolutions for resolutions in resolutions_seen}
        for number, events in Counter(map(id, resolutions_seen)).items():
            for resolution, frames in distinct[number]:
                key = (FRAMES_TALLY, resolution)
                result.tally[key] = result.tally.get(key, 0) + events * frames
        for probe_type, events in Counter(probe_types).items():
            result.tally[PROBES_TALLY, str(probe_type)] = events
        for field, count in self._unknown.take().items():
            result.tally[UNKNOWN_TALLY, field] = count
        if records:
            result.state.update(self._modules.take_changes(records[0].partition))
        return result

"""Compares a replay with what was published, and with what an earlier run wrote to a topic.

Every copy of a call and every audit record for the replayed range is compared; of an earlier run's topic, every copy.
The replay is run once. Each partition is then one lane, because audit runs cross spans. A finding names topic,
partition and offset.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from agents.contract import DeadLetter
from app.evidence.audit_record import AuditRecord
from app.evidence.configuration import Configuration, stage_digest
from app.evidence.digests import Columns
from app.evidence.results import domain_of
from app.kafka.records import OffsetRange
from app.replay.compare.audit_witness import AuditWitness, StageAudit
from app.replay.compare.copies import CopiesFound, CopyCheck, Slots, SlotWriter
from app.replay.compare.published import CopySource, PublishedSource, audit_record, decode_call, raw_position
from app.replay.diff import ChangedEvent
from app.replay.engine import Lane, OpenWitness, RunResult
from app.replay.event_search import first_difference, replay_range
from app.replay.request import ReplayRequest
from app.replay.sources import ReplaySource
from app.replay.verdict import RunVerdict
from schemas import avro_wire
from schemas.topics import Stage

_STAGES: Final = (Stage.CANONICALIZE, Stage.PRIVACY)


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """Counts of copies and audit records by partition; `written` counts the copies in an earlier run's topic."""

    copies: Mapping[int, CopiesFound]
    audits: Mapping[int, Mapping[Stage, StageAudit]]
    written: Mapping[int, CopiesFound]

    def document(self) -> dict[str, Any]:
        """The numbers on what was published, as they stand in a manifest."""
        return {
            "copies": [{"partition": number, **found.document()} for number, found in sorted(self.copies.items())],
            "audit": [
                {"partition": number, "stage": stage.value, **found.document()}
                for number, stages in sorted(self.audits.items())
                for stage, found in sorted(stages.items())
            ],
        }


class PublishedCheck:
    """Compares one replay with what was published, and with what an earlier run wrote; either may be None."""

    def __init__(
        self,
        published: PublishedSource | None,
        written: CopySource | None,
        ranges: Sequence[OffsetRange],
        configuration: Configuration,
        scratch: Path,
    ) -> None:
        """`scratch` is a folder for 17 bytes for each raw offset.

        Raises OSError, and what reading audit records raises.
        """
        self._published = published
        self._written = written
        self._configuration = configuration
        self._slots = {one.partition: Slots(scratch, one) for one in ranges}
        for slots in self._slots.values():
            slots.create()
        self._audits = {} if published is None else {part.partition: tuple(_audit(published, part)) for part in ranges}

    def witness(self) -> OpenWitness:
        """Opens a witness for a lane, which keeps the digests of its calls, and compares audit records."""
        return partial(_PublishedWitness, self._slots, self._audits, self._configuration.call_schema)

    def conclude(self, result: RunResult) -> PublishedResult:
        """Read the copies. Raises OSError, and what reading them raises."""
        audits = {} if self._published is None else {one.lane.partition: one.witness for one in result.lanes}
        return PublishedResult(self._compared(self._published), audits, self._compared(self._written))

    def _compared(self, source: CopySource | None) -> dict[int, CopiesFound]:
        if source is None:
            return {}
        return {
            number: CopyCheck(slots, source.schemas).run(source.copies(slots.range))
            for number, slots in self._slots.items()
        }


def _audit(source: PublishedSource, part: OffsetRange) -> Iterator[AuditRecord]:
    for taken in source.audit(part):
        for record in taken:
            found = audit_record(record, source.schemas)
            if found is not None:
                yield found


class _PublishedWitness:
    """A `Witness` for one lane, which is a whole partition."""

    def __init__(
        self, slots: Mapping[int, Slots], audits: Mapping[int, Sequence[AuditRecord]], call_schema: str, lane: Lane
    ) -> None:
        here = slots[lane.partition]
        domains = {stage: domain_of(stage, call_schema) for stage in _STAGES}
        self._slots = SlotWriter(here)
        self._audit = AuditWitness(here.range, audits.get(lane.partition, ()), domains)

    def saw(self, stage: Stage, records: Columns, dead_letters: Sequence[DeadLetter]) -> None:
        if stage is Stage.PRIVACY:
            self._slots.write(records)
        self._audit.saw(stage, records, dead_letters)

    def result(self) -> Mapping[Stage, StageAudit]:
        self._slots.close()
        return self._audit.result()


def report(result: PublishedResult, configuration: Configuration, verdict: RunVerdict) -> None:
    """Add what differs to a verdict."""
    _report_copies("published calls", "published", result.copies, verdict)
    _report_copies("output topic", "written", result.written, verdict)
    for number, stages in sorted(result.audits.items()):
        for stage, audit in sorted(stages.items()):
            _report_audit(number, stage, audit, configuration, verdict)


def _report_copies(name: str, verb: str, copies: Mapping[int, CopiesFound], verdict: RunVerdict) -> None:
    for number, found in sorted(copies.items()):
        place = f"{name}, partition {number}"
        if found.first_differing is not None:
            copy = found.first_differing
            verdict.find(f"{copy.topic}, partition {number}, offset {copy.offset}", "is not what its raw record gives")
        if found.first_strange is not None:
            copy = found.first_strange
            verdict.find(f"{copy.topic}, partition {number}, offset {copy.offset}", "is not a readable call")
        if found.missing:
            verdict.find(place, f"{found.missing} calls were never {verb}, first that of raw {found.first_missing}")


def _report_audit(
    number: int, stage: Stage, audit: StageAudit, configuration: Configuration, verdict: RunVerdict
) -> None:
    place = f"audit of {stage.value}, partition {number}"
    if audit.contradictions:
        one = audit.contradictions[0]
        other = one.record.configuration != stage_digest(configuration, stage)
        verdict.find(
            f"{place}, raw offsets {one.run.raw_first} to {one.run.raw_last}",
            f"published were {one.run.written} records and {one.run.dead_letters} dead letters with digest "
            f"{one.run.digest}, the replay gives {one.replayed.written} and {one.replayed.dead_letters} with "
            f"{one.replayed.digest}" + (", under another configuration" if other else ""),
        )
    if audit.unaudited:
        verdict.find(place, f"{audit.unaudited} records have no audit record, first raw {audit.first_unaudited}")
    if audit.at_edges:
        verdict.notes.append(f"{place}: {audit.at_edges} runs reach out of the range and were not compared")


def differing_event(
    copies: Mapping[int, CopiesFound], published: CopySource, request: ReplayRequest, source: ReplaySource
) -> ChangedEvent | None:
    """The first copy that differs, field by field; `published` is where the copies come from."""
    for number, found in sorted(copies.items()):
        copy = found.first_differing
        if copy is None or copy.value is None:
            continue
        position = raw_position(copy.value, published.schemas)
        assert position is not None
        try:
            then = decode_call(copy.value, published.schemas)
        except ValueError:
            return ChangedEvent("", number, position[1], "its published copy cannot be decoded")
        now = replay_range(request, source, number, position[1], position[1]).calls
        difference = first_difference(number, [then], now)
        if difference is None:  # what surrounds the call differs, and its fields do not
            matter = "key or timestamp of its published copy differ"
            if not published.schemas.is_our_call(avro_wire.schema_id_of(copy.value)):
                matter = "its published copy has the same fields, written under another schema"
            return ChangedEvent(then["event_id"], number, position[1], matter)
        return difference
    return None

"""What a stage has published, stated before it is committed: one audit record for each partition and commit.

A batch is digested when all that followed from it is acknowledged. Its record is written, and acknowledged, before
the offsets are committed that cover it. So every committed offset has its statement, and after a crash in between the
statement is only repeated.

A batch whose partition was lost is left out: the partition's new owner publishes it. Memory holds only what is not
committed yet.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from agents.contract import OutRecord, StepResult
from app.evidence.audit_record import AuditRecord, AuditRun, runs_of
from app.kafka.records import Partition
from app.processes.process_end import Fail, end_process
from app.streaming.batch import RecordBatch
from app.streaming.delivery import Delivery, Parcel, delivered_or_ended
from app.streaming.ledger import HandOut
from schemas.topics import Stage
from schemas.units import NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class StageIdentity:
    """Who publishes: the stage, what decides its output (by digest), the program's version, and its digests' domain.

    A result that says what decided it comes before `configuration`.
    """

    stage: Stage
    configuration: str
    program: str
    domain: str


@dataclass(frozen=True, slots=True)
class _Entry:
    hand_out: HandOut
    configuration: str
    runs: tuple[AuditRun, ...]


class AuditTrail:
    """Audit records of one stage process."""

    def __init__(
        self, identity: StageIdentity, delivery: Delivery, *, topic: str, schema_id: int, fail: Fail = end_process
    ) -> None:
        """`topic` is the full name of the audit topic, `schema_id` the registry's for AuditRecord."""
        self._identity = identity
        self._delivery = delivery
        self._topic = topic
        self._schema_id = schema_id
        self._fail = fail
        self._entries: dict[Partition, list[_Entry]] = {}

    def note(self, batch: RecordBatch, result: StepResult) -> None:
        """Take a batch of which everything is acknowledged, before it is finished."""
        runs = tuple(runs_of(self._identity.stage, self._identity.domain, batch.records, result))
        entry = _Entry(batch.hand_out, result.configuration or self._identity.configuration, runs)
        self._entries.setdefault((batch.topic, batch.partition), []).append(entry)

    async def before_commit(self, offsets: Mapping[Partition, int]) -> None:
        """Say what was published up to the offsets that are about to be committed; returns when that is stored."""
        parcels = [parcel for where, position in offsets.items() for parcel in self._parcels(where, position)]
        if parcels:
            with delivered_or_ended(self._fail):
                await self._delivery.deliver(parcels)

    def _parcels(self, where: Partition, position: int) -> Iterator[Parcel]:
        """A parcel of one record for each configuration that decided part of what is due."""
        current = [entry for entry in self._entries.pop(where, ()) if entry.hand_out.current]
        due = sorted((one for one in current if one.hand_out.last < position), key=lambda one: one.hand_out.first)
        later = [entry for entry in current if entry.hand_out.last >= position]
        if later:
            self._entries[where] = later
        now_ms = time.time_ns() // NS_PER_MS
        for configuration, entries in groupby(due, key=lambda one: one.configuration):
            record = self._record(configuration, where[1], list(entries))
            yield Parcel(self._topic, where[1], [OutRecord(record.key, record.encode(self._schema_id), now_ms)])

    def _record(self, configuration: str, partition: int, due: Sequence[_Entry]) -> AuditRecord:
        return AuditRecord(
            stage=self._identity.stage.value,
            configuration=configuration,
            program=self._identity.program,
            partition=partition,
            first=due[0].hand_out.first,
            last=due[-1].hand_out.last,
            records=sum(entry.hand_out.records for entry in due),
            runs=tuple(run for entry in due for run in entry.runs),
        )

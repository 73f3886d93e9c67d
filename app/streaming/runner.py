"""What happens to a batch that reaches an agent: the step, the sending, the wait for acknowledgements, the finish.

Batches are sent in the order in which they came. A bounded window of them waits for acknowledgements, so that sending
never pauses. A batch is finished only when all of its results are acknowledged. A batch whose partition was lost is
not touched. When something cannot be delivered, the process ends.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from agents.contract import (
    UNREADABLE_BATCH,
    UNREADABLE_BATCH_REASON,
    DeadLetter,
    OutRecord,
    SourceRecord,
    StatefulStep,
    Step,
    StepResult,
)
from agents.event_facts import EventFacts
from app.kafka.records import Partition
from app.processes.process_end import ExitCode, Fail, end_process
from app.streaming.account import BatchOutcome
from app.streaming.audit import AuditTrail
from app.streaming.batch import RecordBatch
from app.streaming.dead_letter_limits import DeadLetterGuard
from app.streaming.delivery import Delivery, Parcel, Receipt, delivered_or_ended
from app.streaming.table import StrictTable, TableWrite
from app.telemetry.event_lines import EventLines

log = logging.getLogger(__name__)

WINDOW_BATCHES = 8
"""Batches sent and not yet acknowledged. An acknowledgement takes some 10 ms, a step over a full batch some 20, so two
would do; eight ride out a pause of the broker's disk, and bound the repetition after a kill to 8,000 events."""

LAST_COMMIT_SECONDS = 5.0
"""For acknowledgements and a commit before a stage stops at a limit; less than a drain may take."""


class Observer(Protocol):
    """Learns what became of batches, for metrics."""

    def taken(self, topic: str, records: int) -> None:
        """Work on a batch begins."""

    def done(self, topic: str, records: int, result: StepResult, step_seconds: float) -> None:
        """Everything that followed from a batch is acknowledged."""


class Omission(Protocol):
    """Says which records of a batch a stage must leave out: the offsets of those whose event it has seen before."""

    async def __call__(self, batch: RecordBatch) -> frozenset[int]:
        """Offsets of the batch's topic."""


Late = Callable[[Sequence[SourceRecord]], Sequence[SourceRecord]]
"""The records whose events came late."""

RefuseLarge = Callable[[Sequence[SourceRecord], StepResult], None]
"""Turns outputs that their topic does not take into dead letters."""

LATE: Final = "late"
"""Reason of a line about an event that came late."""

OMITTED: Final = "sent_again"
"""Why a record that is left out produces nothing."""


class StepMemory:
    """Keeps what a step remembers in a table: restored at every assignment, written before a batch is finished."""

    def __init__(self, step: StatefulStep, table: StrictTable) -> None:
        self._step = step
        self._table = table
        self._restored: dict[int, object] = {}

    def recall(self, batch: RecordBatch) -> None:
        """Restore the partition's rows before its first batch since it was assigned; say what is committed."""
        if self._restored.get(batch.partition) is not batch.hand_out.assignment:
            self._step.restore(batch.partition, self._table.rows(batch.partition))
            self._restored[batch.partition] = batch.hand_out.assignment
        self._step.release(batch.partition, batch.hand_out.committed)

    def write(self, batch: RecordBatch, result: StepResult) -> TableWrite | None:
        """The rows to write after a batch; None when there are none. The first write also names the source topic."""
        if not result.state and self._table.keeps_source(batch.partition):
            return None
        return TableWrite(batch.partition, result.state, batch.hand_out.last + 1)

    def changes(self, write: TableWrite) -> Parcel:
        """The changelog records to deliver with the batch's results."""
        return self._table.changes(write)

    def settle(self, batch: RecordBatch, write: TableWrite, delivered: Mapping[Partition, int]) -> None:
        """Write the local rows of what was delivered, while the partition is ours."""
        if batch.hand_out.current:
            self._table.apply(write, delivered[self._table.changelog_topic_name, write.partition])


class StepRunner:
    """Runs a pure step over batches and delivers its results. One instance serves one agent."""

    def __init__(
        self,
        step: Step,
        delivery: Delivery,
        *,
        output_topic: str,
        dead_letter_topic: str,
        encode_dead_letter: Callable[[DeadLetter], OutRecord],
        observer: Observer,
        memory: StepMemory | None = None,
        limits: DeadLetterGuard | None = None,
        commit: Callable[[], Awaitable[None]] | None = None,
        trail: AuditTrail | None = None,
        facts: Callable[[SourceRecord], EventFacts] = lambda _record: EventFacts(),
        late: Late = lambda _records: (),
        omission: Omission | None = None,
        refuse_large: RefuseLarge | None = None,
        fail: Fail = end_process,
    ) -> None:
        """`commit` commits what is finished; it is called before the process ends at one of the `limits`.

        `facts` gives what a log line may say of a record's event, `late` the records whose events came too late for
        what ingest had vouched for by then.
        """
        self._omission = omission
        self._refuse_large = refuse_large
        self._facts = facts
        self._late = late
        self._lines = EventLines("an event is refused")
        self._late_lines = EventLines("an event came late")
        self._step = step
        self._memory = memory
        self._limits = limits
        self._commit = commit
        self._trail = trail
        self._delivery = delivery
        self._output_topic = output_topic
        self._dead_letter_topic = dead_letter_topic
        self._encode_dead_letter = encode_dead_letter
        self._observer = observer
        self._fail = fail
        self._window = asyncio.Semaphore(WINDOW_BATCHES)

    async def __call__(self, batch: RecordBatch) -> None:
        """Process one batch; returns when it is sent, and finishes it when it is acknowledged.

        Whatever the step raises goes through: the agent ends, and with it the process.
        """
        kept = await self._kept(batch)
        await self._window.acquire()
        if not batch.hand_out.start():
            self._window.release()
            return
        self._observer.taken(batch.topic, len(batch.records))
        memory, write = self._memory, None
        began = time.perf_counter()
        if memory is not None:
            memory.recall(batch)
        result = self._made(batch, kept)
        seconds = time.perf_counter() - began
        if result.dead_letters:
            self._log_refused(batch, result)
        self._log_late(batch)
        await self._check_limits(batch, result)
        parcels = self._parcels(batch.partition, result)
        if memory is not None and (write := memory.write(batch, result)) is not None:
            parcels = (*parcels, memory.changes(write))
        with delivered_or_ended(self._fail):
            receipt = await self._delivery.send(parcels)

        def settle(receipt: Receipt) -> None:
            self._window.release()
            if receipt.cancelled():
                return
            error = receipt.exception()
            if error is not None:
                self._fail(ExitCode.DELIVERY_FAILED, str(error))
            if memory is not None and write is not None:
                memory.settle(batch, write, receipt.result())
            if self._trail is not None:
                self._trail.note(kept, result)
            batch.hand_out.finish(_outcome_of(result))
            self._observer.done(batch.topic, len(batch.records), result, seconds)

        receipt.add_done_callback(settle)

    async def _kept(self, batch: RecordBatch) -> RecordBatch:
        """The batch without the records that are left out."""
        omitted = frozenset[int]() if self._omission is None else await self._omission(batch)
        if not omitted:
            return batch
        return replace(batch, records=[record for record in batch.records if record.offset not in omitted])

    def _made(self, batch: RecordBatch, kept: RecordBatch) -> StepResult:
        """What the step makes of the kept records, with an account of the whole batch."""
        result = self._step(kept.records)
        if self._refuse_large is not None:
            self._refuse_large(kept.records, result)
        if omitted := len(batch.records) - len(kept.records):
            result.skipped[OMITTED] = omitted
        if result.dead_letters:
            _name_unreadable(kept, result)
        return result

    def _log_refused(self, batch: RecordBatch, result: StepResult) -> None:
        by_offset = {record.offset: record for record in batch.records}
        for letter in result.dead_letters:
            record = by_offset.get(letter.offset)
            self._lines.say_refused(letter, EventFacts if record is None else partial(self._facts, record))

    def _log_late(self, batch: RecordBatch) -> None:
        """Look for late events as often as there may be a line about one."""
        if not self._late_lines.is_due(LATE):
            return
        late = self._late(batch.records)
        if late:
            place = {"topic": batch.topic, "partition": batch.partition, "offset": late[0].offset, "late": len(late)}
            self._late_lines.say(LATE, partial(self._facts, late[0]), place)

    async def _check_limits(self, batch: RecordBatch, result: StepResult) -> None:
        """End the process before a batch goes out in which too much is refused.

        What went out before is committed first. Otherwise the next start would read records again of which there are
        dead letters, and publish them after a repair.
        """
        if self._limits is None:
            return
        if result.dead_letters:
            offsets = (record.offset for record in batch.records)
            exceeded = self._limits.exceeded(offsets, (letter.offset for letter in result.dead_letters))
        else:
            exceeded = self._limits.none_refused(len(batch.records))
        if exceeded is not None:
            await self._commit_sent()
            reasons = ", ".join(sorted({letter.reason for letter in result.dead_letters}))
            self._fail(ExitCode.TOO_MANY_REFUSED, f"{batch.topic}: {exceeded} (reasons lately: {reasons})")

    async def _commit_sent(self) -> None:
        """Wait for all batches that were sent, and commit them; gives up after `LAST_COMMIT_SECONDS`."""
        try:
            async with asyncio.timeout(LAST_COMMIT_SECONDS):
                for _ in range(WINDOW_BATCHES - 1):  # this batch holds one place of the window
                    await self._window.acquire()
                if self._commit is not None:
                    await self._commit()
        except TimeoutError:
            log.warning("batches that were sent could not be committed before the end")

    def _parcels(self, partition: int, result: StepResult) -> Sequence[Parcel]:
        letters = [self._encode_dead_letter(letter) for letter in result.dead_letters]
        return (
            Parcel(self._output_topic, partition, result.outputs),
            Parcel(self._dead_letter_topic, partition, letters),
        )


def _name_unreadable(batch: RecordBatch, result: StepResult) -> None:
    """Give the letters of records that stand for a batch which was not inflated the reason for that."""
    unreadable = {record.offset for record in batch.records if record.value is UNREADABLE_BATCH}
    if unreadable:
        result.dead_letters = [
            replace(letter, reason=UNREADABLE_BATCH_REASON, error_class=None) if letter.offset in unreadable else letter
            for letter in result.dead_letters
        ]


def _outcome_of(result: StepResult) -> BatchOutcome:
    return BatchOutcome(len(result.outputs), sum(result.skipped.values()), len(result.dead_letters))

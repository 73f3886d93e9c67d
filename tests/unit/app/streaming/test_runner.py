"""A batch is finished when what followed from it is acknowledged, and not before."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, cast

import pytest

from agents.contract import DeadLetter, OutRecord, SourceRecord, StepResult
from agents.event_facts import EventFacts
from app.processes.process_end import ExitCode
from app.streaming.batch import RecordBatch
from app.streaming.dead_letter_limits import MIN_RECORDS, DeadLetterGuard, DeadLetterLimits
from app.streaming.delivery import DeliveryFailedError, Parcel, Receipt
from app.streaming.ledger import Ledger
from app.streaming.runner import OMITTED, WINDOW_BATCHES, Late, Omission, StepMemory, StepRunner
from app.streaming.table import StrictTable
from app.telemetry.logs import EventNote
from tests.support.fake_kafka import SOURCE, Ended, batch_of_two, fail

TP = (SOURCE, 0)


class _Delivery:
    """Takes parcels and acknowledges when the test says so."""

    def __init__(self) -> None:
        self.sent: list[Sequence[Parcel]] = []
        self.receipts: list[Receipt] = []
        self.refusal: DeliveryFailedError | None = None

    async def send(self, parcels: Sequence[Parcel]) -> Receipt:
        if self.refusal is not None:
            raise self.refusal
        await asyncio.sleep(0)
        self.sent.append(parcels)
        self.receipts.append(asyncio.get_running_loop().create_future())
        return self.receipts[-1]


class _Observer:
    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def taken(self, topic: str, records: int) -> None:
        assert topic == SOURCE
        self.events.append(("taken", records))

    def done(self, topic: str, records: int, result: StepResult, step_seconds: float) -> None:
        assert topic == SOURCE
        assert step_seconds >= 0
        assert len(result.outputs) + len(result.dead_letters) + result.skipped.get(OMITTED, 0) == records
        self.events.append(("done", records))


class _Scene:
    """A runner with its surroundings, and batches of two records each."""

    def __init__(
        self,
        *,
        letters: bool = False,
        limits: DeadLetterGuard | None = None,
        late: Late = lambda _records: (),
        omission: Omission | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.ledger.open(TP, 0, seek=1)
        self.delivery = _Delivery()
        self.observer = _Observer()
        self.ended: list[ExitCode] = []
        self.committed: list[dict[tuple[str, int], int]] = []
        self._numbers = count()
        delivery: Any = self.delivery

        def step(records: Sequence[SourceRecord]) -> StepResult:
            result = StepResult(outputs=[OutRecord(r.key, r.value, r.timestamp) for r in records])
            if letters:
                result.outputs.pop()
                result.dead_letters.append(_letter(records[-1].offset))
            return result

        def note_end(code: ExitCode, reason: str) -> Any:
            self.ended.append(code)
            fail(code, reason)

        self.runner = StepRunner(
            step,
            delivery,
            output_topic="output",
            dead_letter_topic="letters",
            encode_dead_letter=lambda letter: OutRecord(b"where", b"%d" % letter.offset, letter.timestamp_ms),
            observer=self.observer,
            limits=limits,
            commit=self._commit,
            facts=lambda _record: EventFacts("id", "Kprobe"),
            late=late,
            omission=omission,
            fail=note_end,
        )

    async def _commit(self) -> None:
        self.committed.append(self.ledger.committable())

    def batch(self) -> RecordBatch:
        """Next batch of the partition."""
        return batch_of_two(self.ledger, TP, next(self._numbers))


def _letter(offset: int) -> DeadLetter:
    return DeadLetter(SOURCE, 0, offset, "stage", "reason", None, 0, offset, 7)


def test_a_batch_is_finished_by_its_acknowledgement() -> None:
    """Sent is not enough."""

    async def scenario() -> None:
        scene = _Scene()
        await scene.runner(scene.batch())
        await asyncio.sleep(0)
        assert scene.ledger.committable() == {}
        assert len(list(scene.ledger.unfinished())) == 1
        scene.delivery.receipts[0].set_result({})
        await asyncio.sleep(0)
        assert scene.ledger.committable() == {TP: 2}
        assert scene.observer.events == [("taken", 2), ("done", 2)]

    asyncio.run(scenario())


def test_batches_wait_for_acknowledgements_in_a_bounded_window_and_go_out_in_order() -> None:
    """The pipe stays full up to the limit; one acknowledgement lets one more batch go."""

    async def scenario() -> None:
        scene = _Scene()
        batches = [scene.batch() for _ in range(WINDOW_BATCHES + 2)]

        async def feed() -> None:
            for batch in batches:
                await scene.runner(batch)

        feeding = asyncio.create_task(feed())
        await asyncio.sleep(0.01)
        assert len(scene.delivery.sent) == WINDOW_BATCHES
        scene.delivery.receipts[3].set_result({})
        await asyncio.sleep(0.01)
        assert len(scene.delivery.sent) == WINDOW_BATCHES + 1
        assert scene.ledger.committable() == {}
        scene.delivery.receipts[0].set_result({})
        await feeding
        assert scene.ledger.committable() == {TP: 2}
        firsts = [parcels[0].records[0].value for parcels in scene.delivery.sent]
        assert firsts == [batch.records[0].value for batch in batches]

    asyncio.run(scenario())


def test_a_batch_with_too_many_refusals_ends_the_process_before_anything_of_it_is_sent() -> None:
    """Batches before it are sent as ever; it is neither sent nor finished, so it is there after the repair."""

    async def scenario() -> None:
        scene = _Scene(letters=True, limits=DeadLetterGuard(DeadLetterLimits(max_run=0, max_percent=49)))
        batches = [scene.batch() for _ in range(MIN_RECORDS // 2)]
        for batch in batches[:-1]:
            await scene.runner(batch)
            scene.delivery.receipts[-1].set_result({})
            await asyncio.sleep(0)
        with pytest.raises(Ended, match="reasons lately: reason"):
            await scene.runner(batches[-1])
        assert scene.ended == [ExitCode.TOO_MANY_REFUSED]
        assert len(scene.delivery.sent) == len(batches) - 1
        assert scene.ledger.committable() == {TP: MIN_RECORDS - 2}

    asyncio.run(scenario())


def test_what_was_sent_before_a_limit_is_acknowledged_and_committed_before_the_end() -> None:
    """Records of which there are dead letters are not read again by the next start."""

    async def scenario() -> None:
        scene = _Scene(letters=True, limits=DeadLetterGuard(DeadLetterLimits(max_run=0, max_percent=49)))
        batches = [scene.batch() for _ in range(MIN_RECORDS // 2)]
        for batch in batches[:-3]:
            await scene.runner(batch)
            scene.delivery.receipts[-1].set_result({})
            await asyncio.sleep(0)
        for batch in batches[-3:-1]:
            await scene.runner(batch)
        ending = asyncio.create_task(scene.runner(batches[-1]))
        await asyncio.sleep(0.01)
        assert scene.ended == []
        assert scene.committed == []
        for receipt in scene.delivery.receipts[-2:]:
            receipt.set_result({})
        with pytest.raises(Ended):
            await ending
        assert scene.committed == [{TP: MIN_RECORDS - 2}]

    asyncio.run(scenario())


def test_dead_letters_go_to_their_topic_on_the_same_partition_before_the_batch_is_finished() -> None:
    """They are part of what must be acknowledged."""

    async def scenario() -> None:
        scene = _Scene(letters=True)
        await scene.runner(scene.batch())
        (parcels,) = scene.delivery.sent
        assert [(p.topic, p.partition, len(p.records)) for p in parcels] == [("output", 0, 1), ("letters", 0, 1)]
        assert parcels[1].records[0].value == b"1"

    asyncio.run(scenario())


def test_a_batch_of_a_lost_partition_is_left_alone() -> None:
    """Another worker has it; nothing is sent, and the window is free again."""

    async def scenario() -> None:
        scene = _Scene()
        batches = [scene.batch() for _ in range(WINDOW_BATCHES + 3)]
        scene.ledger.close([TP])
        for batch in batches:
            await asyncio.wait_for(scene.runner(batch), 1)
        assert scene.delivery.sent == []
        assert scene.observer.events == []

    asyncio.run(scenario())


def test_an_undeliverable_result_ends_the_process_and_finishes_nothing() -> None:
    """Whether the refusal comes at once or with the receipt."""

    async def scenario() -> None:
        scene = _Scene()
        await scene.runner(scene.batch())
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the end is raised in a callback here
        scene.delivery.receipts[0].set_exception(DeliveryFailedError("output[0]: refused"))
        await asyncio.sleep(0)
        assert scene.ended == [ExitCode.DELIVERY_FAILED]
        scene.delivery.refusal = DeliveryFailedError("output[0]: too large")
        with pytest.raises(Ended) as ended:
            await scene.runner(scene.batch())
        assert ended.value.code is ExitCode.DELIVERY_FAILED
        assert scene.ledger.committable() == {}

    asyncio.run(scenario())


class _Remembering:
    """A step that notes what it is told of its state."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def restore(self, _partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self.told.append(("restore", len(list(rows))))

    def release(self, _partition: int, position: int) -> None:
        self.told.append(("release", position))

    def __call__(self, records: Sequence[SourceRecord]) -> StepResult:
        return StepResult(skipped={"loader": len(records)})


class _Table:
    kept = True

    def keeps_source(self, _partition: int) -> bool:
        return self.kept

    def rows(self, _partition: int) -> Iterable[tuple[bytes, bytes]]:
        return [(b"key", b"row")]


def test_a_step_may_let_go_of_what_is_committed_and_of_nothing_else() -> None:
    """What is finished but not committed comes again after a crash, and must find the state that it needs."""
    scene, step, table = _Scene(), _Remembering(), cast("StrictTable", _Table())
    memory = StepMemory(step, table)

    for _ in range(2):
        batch = scene.batch()
        memory.recall(batch)
        batch.hand_out.finish()
    scene.ledger.note_committed(TP, 2)
    memory.recall(scene.batch())

    assert step.told == [("restore", 1), ("release", 0), ("release", 0), ("release", 2)]


def test_a_step_without_news_writes_what_its_rows_follow_from_once() -> None:
    """So that rows which nothing was added to for long know their source topic all the same."""
    scene, fake = _Scene(), _Table()
    memory = StepMemory(_Remembering(), cast("StrictTable", fake))
    batch, nothing = scene.batch(), StepResult()

    assert memory.write(batch, nothing) is None
    fake.kept = False
    write = memory.write(batch, nothing)
    assert write is not None
    assert (write.rows, write.position) == ({}, batch.hand_out.last + 1)


def test_a_refused_record_has_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With the names of its event, its position and the reason."""

    async def scenario() -> None:
        scene = _Scene(letters=True)
        with caplog.at_level(logging.WARNING):
            await scene.runner(scene.batch())

    asyncio.run(scenario())
    (line,) = [record for record in caplog.records if record.name == "app.telemetry.event_lines"]
    assert line.getMessage() == "an event is refused: reason"
    assert vars(line)["event"] == EventNote("id", "Kprobe", None, None)
    assert vars(line)["facts"] == {"reason": "reason", "stage": "stage", "topic": SOURCE, "partition": 0, "offset": 1}


def test_a_late_event_has_a_line_in_the_log_at_most_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """With the names of its event, and how many came late with it."""

    async def scenario() -> None:
        scene = _Scene(late=lambda records: records)
        with caplog.at_level(logging.WARNING):
            await scene.runner(scene.batch())
            await scene.runner(scene.batch())

    asyncio.run(scenario())
    (line,) = [record for record in caplog.records if record.name == "app.telemetry.event_lines"]
    assert line.getMessage() == "an event came late: late"
    assert vars(line)["event"] == EventNote("id", "Kprobe", None, None)
    assert vars(line)["facts"] == {"reason": "late", "topic": SOURCE, "partition": 0, "offset": 0, "late": 2}


def test_a_record_that_is_left_out_produces_nothing_and_is_accounted_for() -> None:
    """Also where nothing of a batch is left."""

    async def omitted(batch: RecordBatch) -> frozenset[int]:
        return frozenset(one.offset for one in batch.records if one.offset != 1)

    async def scenario() -> None:
        scene = _Scene(omission=omitted)
        for _ in range(2):
            await scene.runner(scene.batch())
            scene.delivery.receipts[-1].set_result({})
            await asyncio.sleep(0)
        assert [[len(parcel.records) for parcel in parcels] for parcels in scene.delivery.sent] == [[1, 0], [0, 0]]
        assert scene.ledger.committable() == {TP: 4}
        assert scene.observer.events == [("taken", 2), ("done", 2)] * 2

    asyncio.run(scenario())

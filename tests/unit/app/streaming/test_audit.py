"""What a stage has published is said before it is committed, once, and by whoever has the partition."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agents.contract import OutRecord, StepResult
from app.evidence.audit_record import AuditRecord
from app.processes.process_end import ExitCode
from app.streaming.audit import AuditTrail, StageIdentity
from app.streaming.batch import RecordBatch
from app.streaming.delivery import DeliveryFailedError, Parcel
from app.streaming.ledger import Ledger
from schemas.topics import Stage
from tests.support.fake_kafka import SOURCE, Ended, batch_of_two, fail

TP = (SOURCE, 2)
IDENTITY = StageIdentity(stage=Stage.CANONICALIZE, configuration="c" * 64, program="1", domain="test")


class _Delivery:
    """Keeps what it is given, or refuses."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.refusal: DeliveryFailedError | None = None

    async def deliver(self, parcels: Sequence[Parcel]) -> dict[tuple[str, int], int]:
        if self.refusal is not None:
            raise self.refusal
        await asyncio.sleep(0)
        self.parcels += parcels
        return {}

    def records(self) -> list[AuditRecord]:
        """Everything that was said."""
        return [
            AuditRecord.decode(one.value) for parcel in self.parcels for one in parcel.records if one.value is not None
        ]


class _Scene:
    """A trail, and batches of two records each."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.open(TP, 0, seek=1)
        self.delivery = _Delivery()
        delivery: Any = self.delivery
        self.trail = AuditTrail(IDENTITY, delivery, topic="audit", schema_id=4, fail=fail)

    def batch(self, number: int) -> RecordBatch:
        """Batch number `number` of the partition, from 0 on."""
        return batch_of_two(self.ledger, TP, number)

    def note(self, batch: RecordBatch, configuration: str | None = None) -> None:
        """Say that everything of a batch is acknowledged, and what decided it."""
        outputs = [OutRecord(one.key, one.value, one.timestamp) for one in batch.records]
        offsets = [one.offset for one in batch.records]
        self.trail.note(batch, StepResult(outputs=outputs, raw_offsets=offsets, configuration=configuration))
        batch.hand_out.finish()

    def commit(self) -> None:
        """What the consumer does before it commits."""
        asyncio.run(self.trail.before_commit(self.ledger.committable()))


def test_a_commit_is_preceded_by_a_record_of_all_that_it_covers() -> None:
    """One record for the partition, with the range and a run for each batch, in the partition of the same number."""
    scene = _Scene()
    for number in range(3):
        scene.note(scene.batch(number))
    scene.commit()
    (parcel,) = scene.delivery.parcels
    (said,) = scene.delivery.records()
    assert (parcel.topic, parcel.partition) == ("audit", 2)
    assert (said.partition, said.first, said.last, said.records) == (2, 0, 5, 6)
    assert [(run.raw_first, run.raw_last, run.written) for run in said.runs] == [(0, 1, 2), (2, 3, 2), (4, 5, 2)]
    assert parcel.records[0].key == said.key


def test_a_configuration_that_changed_between_commits_makes_records_of_their_own() -> None:
    """A record stands for one configuration, so that a replay under it can prove the record."""
    scene = _Scene()
    for number, configuration in enumerate([None, "d" * 64, "d" * 64, "e" * 64]):
        scene.note(scene.batch(number), configuration)
    scene.commit()
    assert [(said.configuration[0], said.first, said.last, len(said.runs)) for said in scene.delivery.records()] == [
        ("c", 0, 1, 1),
        ("d", 2, 5, 2),
        ("e", 6, 7, 1),
    ]


def test_what_is_not_committed_is_not_said_yet() -> None:
    """A batch behind one that is not finished waits for its own commit; nothing is said twice."""
    scene = _Scene()
    first, second, third = (scene.batch(number) for number in range(3))
    scene.note(third)
    scene.note(first)
    scene.commit()
    scene.commit()
    assert [(one.first, one.last) for one in scene.delivery.records()] == [(0, 1)]
    scene.note(second)
    scene.commit()
    assert [(one.first, one.last) for one in scene.delivery.records()] == [(0, 1), (2, 5)]


def test_a_lost_partition_is_left_to_who_has_it_now() -> None:
    """Batches from before a rebalance are forgotten; those after it are said."""
    scene = _Scene()
    scene.note(scene.batch(0))
    scene.ledger.open(TP, 0, seek=1)
    scene.note(scene.batch(0))
    scene.commit()
    (said,) = scene.delivery.records()
    assert len(said.runs) == 1


def test_a_refused_record_ends_the_process() -> None:
    """What cannot be said must not be committed."""
    scene = _Scene()
    scene.note(scene.batch(0))
    scene.delivery.refusal = DeliveryFailedError("audit[2]: no")
    with pytest.raises(Ended) as ended:
        scene.commit()
    assert ended.value.code == ExitCode.DELIVERY_FAILED

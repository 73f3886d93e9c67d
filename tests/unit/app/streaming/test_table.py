"""A table's rows are local only after their changelog is acknowledged, and a lost changelog is noticed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import IsolationLevel
from faust.types import TP

from agents.contract import OutRecord
from app.processes.process_end import ExitCode
from app.settings import Settings
from app.streaming.batch import RecordBatch
from app.streaming.delivery import Parcel
from app.streaming.ledger import FetchLink, HandOut, Ledger
from app.streaming.stage_app import StageApp, make_app
from app.streaming.table import POSITION_KEY, SOURCE_KEY, StrictTable, TableWrite
from tests.support.admin_answers import AdminAnswer
from tests.support.fake_kafka import Ended, fail, record

SOURCE = "runtime.calls"
CHANGELOG = "callstream-hot-symbols-hot-changelog"


class _Delivery:
    def __init__(self) -> None:
        self.delivered: list[list[Parcel]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._next_offset = 0

    async def deliver(self, parcels: Sequence[Parcel]) -> dict[tuple[str, int], int]:
        await self.gate.wait()
        self.delivered.append(list(parcels))
        offsets = {}
        for parcel in parcels:
            self._next_offset += len(parcel.records)
            offsets[parcel.topic, parcel.partition] = self._next_offset - 1
        return offsets


class _Admin:
    """One changelog topic, with its incarnation and the end of all its partitions."""

    def __init__(self) -> None:
        self.topic_id = "life-1"
        self.end = 1_000

    def describe_topics(self, _topics: Any, request_timeout: float) -> dict[str, AdminAnswer]:
        assert request_timeout > 0
        described = type("Described", (), {"topic_id": self.topic_id, "partitions": [None]})()
        return {CHANGELOG: AdminAnswer(described)}

    def list_offsets(
        self, asked: dict[Any, Any], isolation_level: Any, request_timeout: float
    ) -> dict[Any, AdminAnswer]:
        assert isinstance(isolation_level, IsolationLevel)
        assert request_timeout > 0
        return {tp: AdminAnswer(type("End", (), {"offset": self.end})()) for tp in asked}


class _Scene:
    """An app with one table, restarted at will over the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = _Admin()
        self.delivery = _Delivery()
        self._table: StrictTable | None = None

    async def start(self, partitions: Sequence[int] = (0, 1)) -> StrictTable:
        """Start the app's table again, with these partitions assigned."""
        if self._table is not None:
            stores: Any = self._table.data
            await stores.stop()
        app = make_app(Settings(data_dir=self.folder), "callstream-hot-symbols", index=0, partitions=2)
        delivery: Any = self.delivery
        admin: Any = self.admin
        self._table = StrictTable(app, name="hot", partitions=2, source_topic=SOURCE, delivery=delivery, admin=admin)
        await assign(self._table, partitions)
        return self._table


async def assign(table: StrictTable, partitions: Sequence[int]) -> None:
    """Rebalance to these partitions."""
    assigned = {TP(CHANGELOG, number) for number in partitions}
    await table.on_rebalance(assigned, set(), assigned)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Scene:
    """A table whose process end can be caught."""
    monkeypatch.setattr(StageApp, "fail", staticmethod(fail))
    return _Scene(tmp_path)


def test_rows_are_local_only_after_the_changelog_is_acknowledged(scene: _Scene) -> None:
    """And the offset that they include is the changelog's."""

    async def scenario() -> None:
        table = await scene.start()
        scene.delivery.gate.clear()
        writing = asyncio.create_task(table.write([TableWrite(0, {b"a": b"1"}, position=5)]))
        await asyncio.sleep(0.02)
        assert table.read(0, [b"a"]) == [None]
        scene.delivery.gate.set()
        await writing
        assert table.read(0, [b"a"]) == [b"1"]
        assert table.data.persisted_offset(TP(CHANGELOG, 0)) == 1
        assert table.position(0) == 5

    asyncio.run(scenario())


def test_a_write_sends_its_rows_its_position_and_what_goes_with_it_at_once(scene: _Scene) -> None:
    """One delivery for all partitions and for the records published beside them."""

    async def scenario() -> None:
        table = await scene.start()
        also = Parcel("runtime.hot-symbols", 0, [OutRecord(b"a", b"public", 1)])
        writes = [TableWrite(0, {b"a": b"1", b"b": None}, position=5), TableWrite(1, {}, position=9)]
        await table.write(writes, also=[also])
        ((first, second, third),) = scene.delivery.delivered
        assert [(r.key, r.value) for r in first.records] == [
            (b"a", b"1"),
            (b"b", None),
            (POSITION_KEY, (5).to_bytes(8, "big")),
        ]
        assert (second.topic, second.partition) == (CHANGELOG, 1)
        assert third == also
        assert table.position(1) == 9
        assert list(table.rows(0)) == [(b"a", b"1")]

    asyncio.run(scenario())


def test_a_write_past_the_changelog_is_refused(scene: _Scene) -> None:
    """Faust's mapping syntax sends behind the agent's back."""

    async def scenario() -> None:
        table = await scene.start()
        with pytest.raises(TypeError, match="write"):
            table[b"a"] = b"1"
        with pytest.raises(TypeError, match="write"):
            del table[b"a"]

    asyncio.run(scenario())


def test_rows_survive_a_restart_and_a_partition_that_comes_and_goes(scene: _Scene) -> None:
    """A folder is released with its partition, for whoever gets it next on this host."""

    async def scenario() -> None:
        table = await scene.start()
        await table.write([TableWrite(0, {b"a": b"1"}, position=5)])
        await assign(table, [1])
        with pytest.raises(KeyError):
            table.read(0, [b"a"])
        await assign(table, [0, 1])
        assert table.read(0, [b"a"]) == [b"1"]
        assert (await scene.start()).read(0, [b"a"]) == [b"1"]

    asyncio.run(scenario())


def test_recovered_batches_are_written_with_the_offset_of_their_last_record(scene: _Scene) -> None:
    """A tombstone removes; a record without a key, which nobody of ours writes, is left out."""

    async def scenario() -> None:
        table = await scene.start()
        ledger = Ledger()
        ledger.open((CHANGELOG, 0), 0, seek=1)
        hand_out = ledger.admit((CHANGELOG, 0), 0, 2, FetchLink(1, 0))
        assert isinstance(hand_out, HandOut)
        rows = [record(offset, topic=CHANGELOG, value=b"v%d" % offset) for offset in range(3)]
        event = type("Event", (), {"value": RecordBatch(CHANGELOG, 0, rows, hand_out)})()
        table.apply_changelog_batch([event])
        assert table.read(0, [b"k"]) == [b"v2"]
        assert table.data.persisted_offset(TP(CHANGELOG, 0)) == 2

    asyncio.run(scenario())


def test_state_ahead_of_its_changelog_is_rebuilt(scene: _Scene) -> None:
    """The changelog was truncated, or is another one under the same id."""

    async def scenario() -> None:
        table = await scene.start()
        await table.write([TableWrite(0, {b"a": b"1"}, position=5)])
        scene.admin.end = 1
        assert (await scene.start()).read(0, [b"a"]) == [None]

    asyncio.run(scenario())


def test_state_of_a_deleted_changelog_is_rebuilt(scene: _Scene) -> None:
    """The topic has the same name and another id."""

    async def scenario() -> None:
        table = await scene.start()
        await table.write([TableWrite(0, {b"a": b"1"}, position=5)])
        scene.admin.topic_id = "life-2"
        assert (await scene.start()).read(0, [b"a"]) == [None]

    asyncio.run(scenario())


def test_a_table_behind_the_committed_offsets_of_its_source_ends_the_process(scene: _Scene) -> None:
    """Its changelog was lost, and every count would be short from here on."""

    async def scenario() -> None:
        table = await scene.start()
        await table.write([TableWrite(0, {b"a": b"1"}, position=5)])
        (check,) = table.app.consumer.position_checks  # type: ignore[attr-defined]
        check({TP(SOURCE, 0): 5, TP("another topic", 0): 77})
        check({TP(SOURCE, 0): 4})
        with pytest.raises(Ended) as ended:
            check({TP(SOURCE, 0): 6})
        assert ended.value.code is ExitCode.WRONG_STATE
        assert CHANGELOG in ended.value.reason
        with pytest.raises(Ended):
            check({TP(SOURCE, 1): 1})

    asyncio.run(scenario())


def check_source(table: StrictTable, topic_id: str) -> None:
    """Assign the source's partition 0, whose topic has this id."""
    (check,) = table.app.consumer.source_checks  # type: ignore[attr-defined]
    check({TP(SOURCE, 0): topic_id})


def test_rows_of_a_source_that_was_made_anew_end_the_process(scene: _Scene) -> None:
    """Offsets of the new topic mean other records, so nothing of it is counted."""

    async def scenario() -> None:
        table = await scene.start()
        check_source(table, "first-life")
        await table.write([TableWrite(0, {b"a": b"1"}, position=5)])
        assert table.read(0, [SOURCE_KEY]) == [b"first-life"]

        table = await scene.start()
        check_source(table, "first-life")
        check_source(table, "")  # the broker did not answer
        with pytest.raises(Ended) as ended:
            check_source(table, "second-life")
        assert ended.value.code is ExitCode.WRONG_STATE

    asyncio.run(scenario())


def test_a_source_is_kept_by_the_first_write(scene: _Scene) -> None:
    """Until then a step that has nothing to remember writes all the same."""

    async def scenario() -> None:
        table = await scene.start()
        assert table.keeps_source(0)  # nothing to keep while the id is unknown
        check_source(table, "first-life")
        assert not table.keeps_source(0)
        await table.write([TableWrite(0, {}, position=5)])
        assert table.keeps_source(0)

    asyncio.run(scenario())

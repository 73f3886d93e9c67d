"""A Faust table whose changelog is delivered before anything is finished, and whose loss is noticed.

A write names its partition, goes to the changelog through our delivery and is awaited. Only then are the local rows
and their changelog offset written, together. Every write carries the source position up to which the rows include
everything, so that a lost changelog differs from a new one. Keys and values are bytes. Faust recovers the table from
whole batches, a million rows in seconds.

Stock Faust sends a table's changelog without the agent's knowledge and stops waiting for it after 0.1 s without
progress.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from confluent_kafka.admin import AdminClient
from faust.stores.base import Store
from faust.tables.table import Table
from faust.types import TP, EventT
from faust.types.stores import StoreT

from agents.contract import UNREADABLE_BATCH, OutRecord
from app.kafka.log_ends import log_ends, topic_ids
from app.processes.folder_lock import FolderUnusableError
from app.processes.process_end import ExitCode
from app.streaming.delivery import Delivery, Parcel
from app.streaming.foreign import ForeignRecord, cure
from app.streaming.stage_app import StageApp
from app.streaming.store import META_PREFIX, PartitionStore, Rows, StoreDamagedError
from schemas.units import NS_PER_MS

if TYPE_CHECKING:
    from app.streaming.batch import RecordBatch

POSITION_KEY = META_PREFIX + b"position"
"""Key of the changelog record that says up to which source offset the rows before it include everything."""

SOURCE_KEY = META_PREFIX + b"source"
"""Key of the changelog record that holds Kafka's id of the topic which the rows follow from."""

RECOVERY_BATCHES = 8
"""Changelog batches that Faust gathers before it has them written: 8,000 rows. (1 would make Faust go on reading the
changelog after the recovery.)"""


LEADER_SECONDS = 15.0
"""For a restarted broker to lead its partitions again: a rebalance may come before it does."""


@dataclass(frozen=True, slots=True)
class TableWrite:
    """Rows for one partition. `position` is the source offset after the last record that they include."""

    partition: int
    rows: Rows
    position: int


class StrictTable(Table[bytes, bytes]):
    """Rows by partition and key. Create before the app starts; use within the partitions assigned to the worker."""

    mundane_level = "debug"

    def __init__(
        self,
        app: StageApp,
        *,
        name: str,
        partitions: int,
        source_topic: str,
        delivery: Delivery,
        admin: AdminClient,
        sparse: bool = False,
    ) -> None:
        """`source_topic` is the full name of the topic whose positions the writes carry, partition by partition.

        `sparse` where rows are written for some batches only: then positions do not show a lost changelog, and
        the rows must be such that their loss makes no result wrong, only poorer.
        """
        changelog = f"{app.conf.id}-{name}-changelog"  # Faust's own rule
        super().__init__(
            app,
            name=name,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            recovery_buffer_size=RECOVERY_BATCHES,
            changelog_topic=app.topic(changelog, acks=False, internal=True),
        )
        self._stage_app = app
        self._source_topic = source_topic
        self._delivery = delivery
        self._stores = _Stores(app, self, admin=admin, folder=Path(app.conf.tabledir))
        app.tables.add(self)
        self._source_ids: dict[int, str] = {}
        self._kept_ids: dict[int, str] = {}
        app.batch_consumer.source_checks.append(self._check_source)
        if not sparse:
            app.batch_consumer.position_checks.append(self._check_position)

    def read(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Rows by key, in the order of the keys, None for a key without a row."""
        try:
            return self._stores.of(partition).read(keys)
        except StoreDamagedError as error:
            self._damaged(error)
        except OSError as error:
            self._stage_app.fail(ExitCode.STATE_UNUSABLE, str(error))

    def rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All rows of a partition in the order of their keys."""
        try:
            yield from self._stores.of(partition).items()
        except StoreDamagedError as error:
            self._damaged(error)

    def position(self, partition: int) -> int:
        """Source offset up to which the rows include everything; 0 before the first write."""
        raw = self.read(partition, [POSITION_KEY])[0]
        return 0 if raw is None else int.from_bytes(raw, "big")

    def keeps_source(self, partition: int) -> bool:
        """Whether the rows name the source topic that they follow from, as far as its id is known."""
        return self._kept_ids.get(partition) == self._source_ids.get(partition)

    async def write(self, writes: Sequence[TableWrite], also: Sequence[Parcel] = ()) -> None:
        """Deliver the changelog of all writes, and other parcels with it; then write the local rows.

        Raises DeliveryFailedError. If the process dies in between, recovery brings the rows up to the changelog.
        """
        offsets = await self._delivery.deliver([*[self.changes(w) for w in writes], *also])
        for w in writes:
            self.apply(w, offsets[self.changelog_topic_name, w.partition])

    def changes(self, write: TableWrite) -> Parcel:
        """The changelog records of a write, for a caller that delivers them with other parcels and then applies it."""
        now_ms = time.time_ns() // NS_PER_MS
        records = [OutRecord(key, value, now_ms) for key, value in self._changes(write)]
        return Parcel(self.changelog_topic_name, write.partition, records)

    def apply(self, write: TableWrite, changelog_offset: int) -> None:
        """Write the local rows of a delivered write; `changelog_offset` is that of its last record."""
        try:
            self._stores.of(write.partition).write(self._changes(write), changelog_offset)
        except StoreDamagedError as error:
            self._damaged(error)
        except OSError as error:
            self._stage_app.fail(ExitCode.STATE_UNUSABLE, str(error))
        if write.partition in self._source_ids:
            self._kept_ids[write.partition] = self._source_ids[write.partition]

    def _changes(self, write: TableWrite) -> Iterator[tuple[bytes, bytes | None]]:
        yield from write.rows.items()
        if source_id := self._source_ids.get(write.partition):
            yield SOURCE_KEY, source_id.encode()
        yield POSITION_KEY, write.position.to_bytes(8, "big")

    def _check_source(self, ids: Mapping[TP, str]) -> None:
        """End the process when the rows follow from a topic of that name which was deleted: counts would be wrong."""
        for tp, source_id in sorted(ids.items()):
            if tp.topic != self._source_topic:
                continue
            kept = (self.read(tp.partition, [SOURCE_KEY])[0] or b"").decode()
            if kept and source_id and kept != source_id:
                self._stage_app.fail(
                    ExitCode.WRONG_STATE,
                    f"{tp.topic} was deleted and created again, but table {self.name}[{tp.partition}] follows from the "
                    "former one and would take new records for repetitions; set another CALLSTREAM_TOPIC_PREFIX, or "
                    "delete the groups, topics and changelogs of this and all later stages",
                )
            if source_id:
                self._source_ids[tp.partition], self._kept_ids[tp.partition] = source_id, kept

    def _check_position(self, committed: Mapping[TP, int]) -> None:
        """End the process when the group has committed more than the table holds: counts would silently be short."""
        for tp, offset in sorted(committed.items()):
            if tp.topic == self._source_topic and self.position(tp.partition) < offset:
                self._stage_app.fail(
                    ExitCode.WRONG_STATE,
                    f"table {self.name}[{tp.partition}] includes {tp.topic} up to {self.position(tp.partition)}, but "
                    f"group {self.app.conf.id} has committed {offset}: its changelog {self.changelog_topic_name} was "
                    "lost; reset the group's offsets to rebuild the table from the source",
                )

    def _damaged(self, error: StoreDamagedError) -> NoReturn:
        self._stage_app.fail(ExitCode.STATE_DAMAGED, f"{error}; it is rebuilt at the next start")

    # Called by Faust

    @property
    def data(self) -> StoreT[Any, Any]:  # type: ignore[override]
        """The stores of the assigned partitions."""
        return self._stores

    def __setitem__(self, key: bytes, value: bytes) -> None:
        """Refuse: a write without a partition and a delivery is a mistake in the program."""
        raise TypeError("write to a StrictTable with `await table.write(...)`")

    def __delitem__(self, key: bytes) -> None:
        """Refuse, as `__setitem__` does."""
        raise TypeError("write to a StrictTable with `await table.write(...)`")


class _Stores(Store[Any, Any]):
    """The partition stores of one table: opened and closed as partitions come and go. Faust calls it `table.data`."""

    mundane_level = "debug"

    def __init__(self, app: StageApp, table: StrictTable, *, admin: AdminClient, folder: Path) -> None:
        super().__init__("strict://", app, table)
        self._stage_app = app
        self._changelog = table.changelog_topic_name
        self._admin = admin
        self._folder = folder / table.name
        self._open: dict[int, PartitionStore] = {}

    def of(self, partition: int) -> PartitionStore:
        """Store of an assigned partition. Raises KeyError for any other."""
        return self._open[partition]

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Close what is no longer ours and open what is, before Faust asks for the offsets to recover from."""
        del revoked, newly_assigned, generation_id
        wanted = {tp.partition for tp in assigned if tp.topic == self._changelog}
        for partition in self._open.keys() - wanted:
            self._open.pop(partition).close()
        new = sorted(wanted - self._open.keys())
        if new:
            # In a thread: a lock may have to be waited for, and /healthz answers meanwhile.
            self._open |= await asyncio.to_thread(self._open_stores, new)

    def _open_stores(self, partitions: Sequence[int]) -> dict[int, PartitionStore]:
        incarnation, ends = self._look_up(partitions)
        opened = {}
        for partition in partitions:
            try:
                store = PartitionStore(self._folder / str(partition), incarnation)
                if (store.offset or -1) >= ends[partition]:
                    store.clear()
            except (FolderUnusableError, StoreDamagedError, OSError) as error:
                self._stage_app.fail(ExitCode.STATE_UNUSABLE, str(error))
            opened[partition] = store
        return opened

    def _look_up(self, partitions: Sequence[int]) -> tuple[str, dict[int, int]]:
        """Incarnation of the changelog topic, and the end of each partition. Raises KafkaException."""
        wanted = [(self._changelog, partition) for partition in partitions]
        ends = log_ends(self._admin, wanted, patience_seconds=LEADER_SECONDS)
        return topic_ids(self._admin, [self._changelog])[self._changelog], {
            partition: end for (_, partition), end in ends.items()
        }

    def persisted_offset(self, tp: TP) -> int | None:
        """Changelog offset that the local rows include."""
        try:
            return self.of(tp.partition).offset
        except (StoreDamagedError, OSError) as error:
            self._stage_app.fail(ExitCode.STATE_UNUSABLE, str(error))

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Write recovered rows, batch by batch."""
        del to_key, to_value
        for event in batch:
            recovered = cast("RecordBatch", event.value)
            for record in recovered.records:
                if record.value is UNREADABLE_BATCH:
                    foreign = ForeignRecord(recovered.topic, recovered.partition, record.offset)
                    group = str(self._stage_app.conf.id)
                    self._stage_app.fail(ExitCode.FOREIGN_RECORD, f"{foreign}: {cure(foreign.topic, group)}")
            changes = ((record.key, record.value) for record in recovered.records if record.key is not None)
            try:
                self.of(recovered.partition).write(changes, recovered.records[-1].offset)
            except (StoreDamagedError, OSError) as error:
                self._stage_app.fail(ExitCode.STATE_UNUSABLE, str(error))

    def reset_state(self) -> None:
        """Empty the open stores, to be recovered from the start of the changelog."""
        for store in self._open.values():
            try:
                store.clear()
            except (StoreDamagedError, OSError) as error:
                self._stage_app.fail(ExitCode.STATE_UNUSABLE, str(error))

    async def backup_partition(self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Refuse: the changelog is the backup."""
        raise NotImplementedError

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:
        """Refuse, as `backup_partition` does."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Release all folders."""
        for store in self._open.values():
            store.close()
        self._open.clear()
        await super().stop()

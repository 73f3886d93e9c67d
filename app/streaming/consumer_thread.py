"""The thread in which aiokafka lives: what it fetches as batches that cover every offset, and where reading begins.

Faust's consumer thread, changed. Transactions are read as every reader here reads them (`ISOLATION_LEVEL`). aiokafka
must not choose a new position by itself: when the next record is gone, the thread finds out what was deleted, and says
so with a batch of its own. So a consumer sees each offset once, and no record is passed over in silence.

It overrides private methods of Faust; tests/unit/app/streaming/test_faust_pins.py fails when one of them changes.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from aiokafka.errors import ConsumerStoppedError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from agents.contract import SourceRecord
from app.kafka import fetched
from app.kafka.client import ISOLATION_LEVEL
from app.processes.process_end import ExitCode
from app.streaming.account import Account, read_note
from app.streaming.batch import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, FetchedBatch, cut
from app.streaming.ledger import FetchLink
from app.streaming.skipped import DELETED, MOVED, SkippedRange
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)

POSITION_RETRIES = 4
POSITION_RETRY_SECONDS = 2.0
"""A broker that has just become leader may report an old end of its log for a moment."""


class StartingPoint(NamedTuple):
    """Where a group begins in a partition, what it had committed, where the log ends, and the account.

    `skipped` are records before it that were never read, or may not have been.
    """

    position: int
    committed: int | None
    log_end: int
    account: Account | None = None
    skipped: SkippedRange | None = None


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka lives: fetches, seeks and commits run here, one after the other.

    Seeks and fetches are numbered here and nowhere else, so that a number tells which came first.
    """

    mundane_level = "debug"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._seeks = 0
        self._links: dict[TP, FetchLink] = {}
        self._following: dict[TP, int] = {}
        """The next offset of which no batch was made yet."""
        self._out_of_range = 0

    def _create_worker_consumer(self, transport: Any) -> Any:
        fetched.install()
        consumer, own = super()._create_worker_consumer(transport), cast("Any", self.consumer)
        consumer._isolation_level = ISOLATION_LEVEL  # noqa: SLF001 - Faust ties it to a guarantee that we do not use
        # Faust passes a constant of its own for the one, and nothing for the other
        consumer._fetch_max_wait_ms = own.fetch_max_wait_ms  # noqa: SLF001 - see above
        consumer._fetch_min_bytes = own.fetch_min_bytes  # noqa: SLF001 - see above
        return consumer

    def _position_at(self, partition: TP, offset: int) -> int:
        """Seek, and return the seek's number. Runs in the thread."""
        self._ensure_consumer().seek(TopicPartition(*partition), offset)
        self._seeks += 1
        self._links[partition] = FetchLink(self._seeks, 0)
        self._following[partition] = offset
        return self._seeks

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, list[FetchedBatch]]:
        try:
            found = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        except OffsetOutOfRangeError as error:
            return await self._pass_deleted({ensure_TP(tp): offset for tp, offset in error.args[0].items()})
        except NoOffsetForPartitionError:  # of a partition that is about to be positioned
            return {}
        if not self.consumer.flow_active:
            return {}
        self._out_of_range = 0
        records = {ensure_TP(tp): one for tp, one in found.items()}
        positions = {tp: fetched.position_of(consumer, tp) for tp in self._following}
        moved = {tp: at for tp, at in positions.items() if at is not None and at > self._following[tp]}
        return {tp: list(self._batches(tp, records.get(tp, ()), at)) for tp, at in moved.items()}

    def _batches(self, tp: TP, records: Sequence[SourceRecord], following: int) -> Iterator[FetchedBatch]:
        """Batches of all offsets up to `following`, which hold these records and no others."""
        runs = list(cut(records, MAX_BATCH_RECORDS, MAX_BATCH_BYTES)) or [()]
        for number, run in enumerate(runs, 1):
            last = following - 1 if number == len(runs) else run[-1].offset
            yield self._batch(tp, run, last)

    def _batch(
        self, tp: TP, records: Sequence[SourceRecord], last: int, deleted_until_ms: int | None = None
    ) -> FetchedBatch:
        link = self._links[tp]
        self._links[tp] = FetchLink(link.seek, link.number + 1)
        first, self._following[tp] = self._following[tp], last + 1
        return FetchedBatch(records, link, first, last, deleted_until_ms)

    async def _pass_deleted(self, wanted: Mapping[TP, int]) -> dict[TP, list[FetchedBatch]]:
        """Go on behind records that were deleted before they were read, with a batch that says so."""
        consumer = self._ensure_consumer()
        names = [TopicPartition(*tp) for tp in wanted]
        firsts = await consumer.beginning_offsets(names)
        found = {}
        for tp, name in zip(wanted, names, strict=True):
            if firsts[name] <= wanted[tp]:
                await self._wait_for_the_log(tp, wanted[tp])
                continue
            until_ms = await _first_time_ms(consumer, name)
            consumer.seek(name, firsts[name])
            found[tp] = [self._batch(tp, (), firsts[name] - 1, until_ms)]
        return found

    async def _wait_for_the_log(self, tp: TP, position: int) -> None:
        """A log that ends before the position ends the process, if it does not grow soon."""
        self._out_of_range += 1
        if self._out_of_range > POSITION_RETRIES:
            cast("Any", self.consumer).fail(
                ExitCode.WRONG_STATE,
                f"{tp.topic}[{tp.partition}] ends before offset {position}, which was to be read next: the topic was "
                "recreated or has lost records; reset the group's offsets to go on",
            )
        await asyncio.sleep(POSITION_RETRY_SECONDS)

    async def seek_partitions(self, positions: Mapping[TP, int]) -> dict[TP, int]:
        """Seek each partition to an offset; returns the number of each seek."""
        return cast("dict[TP, int]", await self.call_thread(self._seek_partitions, dict(positions)))

    async def _seek_partitions(self, positions: dict[TP, int]) -> dict[TP, int]:
        return {tp: self._position_at(tp, offset) for tp, offset in positions.items()}

    async def starting_points(self, partitions: set[TP]) -> dict[TP, StartingPoint]:
        """Where to begin in each partition.

        That is the committed offset, or the first that exists where nothing was ever committed (stock Faust does not
        seek then, and skips what it dropped before the first commit) or where everything up to it has expired: a topic
        of which nothing is left would look like one that is not read.
        """
        return cast("dict[TP, StartingPoint]", await self.call_thread(self._starting_points, set(partitions)))

    async def _starting_points(self, partitions: set[TP]) -> dict[TP, StartingPoint]:
        consumer = self._ensure_consumer()
        names = [TopicPartition(*tp) for tp in sorted(partitions)]
        # what `consumer.committed` asks too, and keeps only the offset of
        committed = await consumer._coordinator.fetch_committed_offsets(names)  # noqa: SLF001 - see above
        firsts, ends = await asyncio.gather(consumer.beginning_offsets(names), consumer.end_offsets(names))
        starts = {ensure_TP(tp): _starting_point(tp, committed.get(tp), firsts[tp], ends[tp]) for tp in names}
        for tp, start in starts.items():
            if start.skipped is not None:
                left = start.position == firsts[TopicPartition(*tp)]
                until_ms = await _first_time_ms(consumer, TopicPartition(*tp)) if left else _now_ms()
                starts[tp] = start._replace(skipped=replace(start.skipped, to_ms=until_ms))
        return starts

    async def _seek_wait(self, consumer: Any, partitions: Mapping[TP, int]) -> None:
        """Position changelog partitions for recovery; called by Faust, in the thread."""
        del consumer
        ledger = cast("Any", self.consumer).changelog_ledger
        for tp, offset in partitions.items():
            partition = ensure_TP(tp)
            ledger.open(partition, offset, seek=self._position_at(partition, offset))

    async def commit_accounts(self, accounts: Mapping[TP, OffsetAndMetadata]) -> bool:
        """Commit, or return False: what is not committed stays in the ledger and is tried again.

        Stock Faust ends the whole consumer on any error here, and takes one refused by a rebalance for done.
        """
        return bool(await self.call_thread(self._commit_accounts, dict(accounts)))

    async def _commit_accounts(self, accounts: dict[TP, OffsetAndMetadata]) -> bool:
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        wanted = {TopicPartition(*tp): account for tp, account in accounts.items() if tp in assigned}
        try:
            await consumer.commit(wanted)
        except (KafkaError, ConsumerStoppedError) as error:
            log.warning("offsets were not committed", extra={"facts": {"errorClass": type(error).__name__}})
            return False
        return True


async def _first_time_ms(consumer: Any, name: TopicPartition) -> int:
    """The Kafka timestamp of the first record that a partition still has; the present where it has none."""
    found = (await consumer.offsets_for_times({name: 0})).get(name)
    return _now_ms() if found is None else int(found.timestamp)


def _now_ms() -> int:
    return time.time_ns() // NS_PER_MS


def _starting_point(name: TopicPartition, committed: OffsetAndMetadata | None, first: int, end: int) -> StartingPoint:
    offset = None if committed is None or committed.offset < 0 else committed.offset
    account = None if committed is None or offset is None else read_note(committed.metadata)
    position = first if offset is None else max(offset, first)
    if offset is not None and account is None:
        skipped = SkippedRange(name.topic, name.partition, 0, position, 0, 0, MOVED) if position else None
        return StartingPoint(position, offset, end, None, skipped)
    lost = position - (offset or 0)
    if not lost:
        return StartingPoint(position, offset, end, account)
    known = account or Account(0)
    skipped = SkippedRange(name.topic, name.partition, offset or 0, position, known.until_ms, 0, DELETED)
    return StartingPoint(position, offset, end, replace(known, lost=known.lost + lost), skipped)

"""Faust's consumer, changed to hand out fetched batches and to commit finished work only.

One Faust message is one batch of a partition. Only `RecordBatch.finish` moves an offset towards a commit; Faust's own
acknowledgements commit nothing. A batch that Faust loses on its way to an agent breaks the chain of its partition and
is fetched again. Changelog topics come in batches too, but are never committed. Waiting for work in progress has a
deadline, at which the process ends.

It overrides private methods of Faust; tests/unit/app/streaming/test_faust_pins.py fails when one of them changes.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, assert_never, cast

from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode.utils.futures import notify

from app.processes.process_end import ExitCode, Fail, end_process
from app.streaming import fetched
from app.streaming.account import Account, read_note
from app.streaming.batch import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, FetchedBatch, RecordBatch, cut
from app.streaming.ledger import FetchLink, HandOut, HandOutRefusal, Ledger

log = logging.getLogger(__name__)

DRAIN_LIMIT_SECONDS = 6.0
"""Work in progress is at most a window of batches, a fraction of a second when Kafka answers. Beyond this the process
ends; it leaves the rest of the ten seconds that a SIGTERM may take to the framework."""

DRAIN_POLL_SECONDS = 0.01

POSITION_RETRIES = 4
POSITION_RETRY_SECONDS = 2.0
"""A broker that has just become leader may report an old end of its log for a moment."""


class StartingPoint(NamedTuple):
    """Where a group begins in a partition, what it had committed, where the log ends, and the account."""

    position: int
    committed: int | None
    log_end: int
    account: Account | None = None


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka lives: fetches, seeks and commits run here, one after the other.

    Seeks and fetches are numbered here and nowhere else, so that a number tells which came first.
    """

    mundane_level = "debug"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._seeks = 0
        self._links: dict[TP, FetchLink] = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        fetched.install()
        consumer, own = super()._create_worker_consumer(transport), cast("BatchConsumer", self.consumer)
        # Faust passes a constant of its own for the one, and nothing for the other
        consumer._fetch_max_wait_ms = own.fetch_max_wait_ms  # noqa: SLF001 - see above
        consumer._fetch_min_bytes = own.fetch_min_bytes  # noqa: SLF001 - see above
        return consumer

    def _position_at(self, partition: TP, offset: int) -> int:
        """Seek, and return the seek's number. Runs in the thread."""
        self._ensure_consumer().seek(TopicPartition(*partition), offset)
        self._seeks += 1
        self._links[partition] = FetchLink(self._seeks, 0)
        return self._seeks

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, list[FetchedBatch]]:
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        return {tp: list(self._number(tp, records)) for tp, records in ((ensure_TP(k), v) for k, v in fetched.items())}

    def _number(self, tp: TP, records: list[Any]) -> list[FetchedBatch]:
        link = self._links.get(tp, FetchLink(0, 0))
        runs = list(cut(records, MAX_BATCH_RECORDS, MAX_BATCH_BYTES))
        self._links[tp] = FetchLink(link.seek, link.number + len(runs))
        return [FetchedBatch(run, FetchLink(link.seek, link.number + i)) for i, run in enumerate(runs)]

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
        return {ensure_TP(tp): _starting_point(committed.get(tp), firsts[tp], ends[tp]) for tp in names}

    async def _seek_wait(self, consumer: Any, partitions: Mapping[TP, int]) -> None:
        """Position changelog partitions for recovery; called by Faust, in the thread."""
        del consumer
        ledger = cast("BatchConsumer", self.consumer).changelog_ledger
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


class BatchConsumer(driver.Consumer):
    """Hands out batches, commits what is finished."""

    mundane_level = "debug"
    drain_limit_seconds: float = DRAIN_LIMIT_SECONDS
    fetch_max_wait_ms: int = 100
    """How long a broker holds a fetch that is not worth answering yet: what an event may be late for each stage.
    Every other request on the same connection waits behind it; Faust's 1.5 s made every start six seconds
    longer. Set before the start.
    """
    fetch_min_bytes: int = 512 << 10
    """What is worth answering: some 2,000 events as they are stored. A broker that answers each event's arrival makes
    batches of a few records, and then a stage takes five times the CPU at 10,000 events a second. Set before the start.
    """
    fail: Fail = staticmethod(end_process)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledger = Ledger()
        self.changelog_ledger = Ledger()
        self.skipped_offsets: Counter[TP] = Counter()
        self.commits = 0
        self.last_commit_unix_seconds = 0.0
        self.drain_callbacks: list[Callable[[], Awaitable[None]]] = []
        """Called before partitions are given up: write what is only in memory."""
        self.position_checks: list[Callable[[Mapping[TP, int]], None]] = []
        """Called with committed offsets before work begins after them; they end the process when state lags behind."""
        self.topic_ids: Callable[[set[str]], Mapping[str, str]] = lambda _names: {}
        """Ids of topics by name, as Kafka gave them; called in a thread at every assignment. What is unknown is left
        out."""
        self.source_checks: list[Callable[[Mapping[TP, str]], None]] = []
        """Called with the ids of source topics before work begins; they end the process when state is of others."""
        self.before_commits: list[Callable[[Mapping[Any, int]], Awaitable[None]]] = []
        """Called with the offsets that are about to be committed: write what must be there when they are."""
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _batch_thread(self) -> BatchConsumerThread:
        return cast("BatchConsumerThread", self._thread)

    # Positions

    async def perform_seek(self) -> None:
        """Position every source partition where its group left off, with an empty ledger."""
        sources = {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}
        if not sources:
            return
        starts = await self._identified(await self._starting_points(sources))
        committed = {tp: start.committed for tp, start in starts.items() if start.committed is not None}
        for check in self.position_checks:
            check(committed)
        seeks = await self._batch_thread.seek_partitions({tp: start.position for tp, start in starts.items()})
        for tp, start in starts.items():
            self.ledger.open(tp, start.position, seek=seeks[tp], account=start.account)

    async def _starting_points(self, sources: set[TP]) -> dict[TP, StartingPoint]:
        starts = await self._batch_thread.starting_points(sources)
        for _ in range(POSITION_RETRIES):
            if all(start.position <= start.log_end for start in starts.values()):
                break
            await self.sleep(POSITION_RETRY_SECONDS)
            starts = await self._batch_thread.starting_points(sources)
        for tp, start in sorted(starts.items()):
            if start.position > start.log_end:
                self.fail(
                    ExitCode.WRONG_STATE,
                    f"group {self.app.conf.id} has committed offset {start.position} of {tp.topic}[{tp.partition}], "
                    f"which ends at {start.log_end}: the topic was recreated or has lost records; reset the group's "
                    "offsets to go on",
                )
        return starts

    async def _identified(self, starts: Mapping[TP, StartingPoint]) -> dict[TP, StartingPoint]:
        """The same, with the topic's id in every account; ends the process where it is not the one of the account."""
        ids = await asyncio.to_thread(self.topic_ids, {tp.topic for tp in starts})
        identified = {}
        for tp, start in sorted(starts.items()):
            account = start.account or Account(start.position)
            known = ids.get(tp.topic, account.topic)
            if account.topic not in {"", known}:
                self.fail(
                    ExitCode.WRONG_STATE,
                    f"{tp.topic} was deleted and created again since group {self.app.conf.id} committed offset "
                    f"{start.position} of partition {tp.partition}: what follows from the old records cannot be told "
                    "from what follows from the new; set another CALLSTREAM_TOPIC_PREFIX, or delete the groups and "
                    "topics of this and all later stages",
                )
            identified[tp] = start._replace(account=replace(account, topic=known))
        for check in self.source_checks:
            check({tp: ids.get(tp.topic, "") for tp in identified})
        return identified

    async def _seek_back(self, tp: TP, ledger: Ledger) -> None:
        position = ledger.position(tp)
        if position is None:
            return
        log.info("a fetched batch was lost before its hand-out; fetching it again", extra=_where(tp, position))
        try:
            seeks = await self._batch_thread.seek_partitions({tp: position})
        except IllegalStateError:
            return  # revoked meanwhile
        ledger.resume(tp, seek=seeks[tp])

    # Handing out

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """Fetch, and yield one message a batch; what cannot be handed out now breaks the chain and comes again."""
        fetched, active = await self._wait_next_records(timeout)
        if not fetched or self.should_stop:
            return
        generation = self.app.consumer_generation_id
        for tp, batch in self.scheduler.iterate(cast("dict[TP, list[Any]]", fetched)):
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            message = await self._hand_out(tp, cast("FetchedBatch", batch))
            if message is not None:
                # Faust would drop or bridge by its own idea of the position; the ledger has judged already.
                self._read_offset[tp] = None
                yield tp, message

    async def _hand_out(self, tp: TP, fetched: FetchedBatch) -> ConsumerMessage | None:
        restoring = self._is_changelog_tp(tp)
        ledger = self.changelog_ledger if restoring else self.ledger
        first, last = fetched.records[0].offset, fetched.records[-1].offset
        outcome = ledger.admit(tp, first, last, fetched.link, len(fetched.records))
        match outcome:
            case HandOut():
                if restoring:
                    outcome.finish()
                elif outcome.skipped:
                    self.skipped_offsets[tp] += outcome.skipped
                return self._message(tp, fetched, outcome, offset=last if restoring else first)
            case HandOutRefusal.BROKEN_CHAIN:
                await self._seek_back(tp, ledger)
            case HandOutRefusal.BACKWARDS:
                self.fail(
                    ExitCode.WRONG_STATE,
                    f"{tp.topic}[{tp.partition}] went back to offset {first} from {ledger.position(tp)}: "
                    "the topic was recreated while it was read",
                )
            case HandOutRefusal.CLOSED | HandOutRefusal.STALE:
                log.debug("dropped a batch fetched before a seek", extra=_where(tp, first))
            case _:
                assert_never(outcome)
        return None

    def _message(self, tp: TP, fetched: FetchedBatch, hand_out: HandOut, *, offset: int) -> ConsumerMessage:
        """Build Faust's message around a batch.

        A changelog batch carries its last offset: Faust's recovery counts by offsets, and so sees all of it done.
        """
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            offset,
            timestamp=fetched.records[0].timestamp / 1000.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=cast("Any", RecordBatch(tp.topic, tp.partition, fetched.records, hand_out)),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    # Finishing and committing

    def ack(self, message: Message) -> bool:
        """Take note of Faust's acknowledgement, which comes for failed, skipped and undecodable messages too."""
        message.acked = True
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return False

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: Faust would mark offsets as done, the delivered record's own among them."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit finished work of all partitions; what the broker refuses stays due."""
        del topics, start_new_transaction
        assigned = self.assignment()
        offsets = {TP(*p): offset for p, offset in self.ledger.committable().items() if p in assigned}
        accounts = {tp: OffsetAndMetadata(offset, self.ledger.account(tp).note()) for tp, offset in offsets.items()}
        if accounts:
            for prepare in self.before_commits:
                await prepare(offsets)
        if not accounts or not await self._batch_thread.commit_accounts(accounts):
            return False
        for tp, offset in offsets.items():
            self.ledger.note_committed(tp, offset)
        self.commits += 1
        self.last_commit_unix_seconds = time.time()
        self._committed_offset.update(offsets)
        self.app.monitor.on_tp_commit(offsets)
        return True

    async def commit_finished(self) -> None:
        """Commit all finished work, after a commit that is under way."""
        await self.maybe_wait_for_commit_to_finish()
        await self.commit()

    async def wait_empty(self) -> None:
        """Wait until work in progress is finished and committed; past the limit, end the process."""
        try:
            async with asyncio.timeout(self.drain_limit_seconds):
                for drain in self.drain_callbacks:
                    await drain()
                while any(self.ledger.unfinished()):  # noqa: ASYNC110 - drains are rare; an event would cost every batch
                    await asyncio.sleep(DRAIN_POLL_SECONDS)
                await self.commit_finished()
        except TimeoutError:
            waiting = sum(1 for _ in self.ledger.unfinished())
            self.fail(
                ExitCode.DRAIN_OVERDUE,
                f"{waiting} batches in progress or their commit did not end in {self.drain_limit_seconds} s",
            )

    # Rebalancing

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drain and commit, then forget: a batch that ends later must not count."""
        await super().on_partitions_revoked(revoked)
        self.ledger.close(revoked)
        self.changelog_ledger.close(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Start with an empty ledger; positions come with the seek that ends the rebalance."""
        self.ledger.close_all()
        self.changelog_ledger.close_all()
        await super().on_partitions_assigned(assigned, generation_id)

    async def verify_all_partitions_active(self) -> None:
        """Leave it to the watchdog: Faust's own check only logs, and half of it compares different clocks."""


def _starting_point(committed: OffsetAndMetadata | None, first: int, end: int) -> StartingPoint:
    if committed is None or committed.offset < 0:
        return StartingPoint(first, committed=None, log_end=end)
    position = max(committed.offset, first)
    return StartingPoint(position, committed=committed.offset, log_end=end, account=read_note(committed.metadata))


def _where(tp: TP, offset: int) -> dict[str, object]:
    return {"facts": {"topic": tp.topic, "partition": tp.partition, "offset": offset}}

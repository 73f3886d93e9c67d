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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never, cast

from aiokafka.errors import IllegalStateError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode.utils.futures import notify

from app.processes.process_end import ExitCode, Fail, end_process
from app.streaming.account import Account
from app.streaming.batch import FetchedBatch, RecordBatch
from app.streaming.consumer_thread import POSITION_RETRIES, POSITION_RETRY_SECONDS, BatchConsumerThread, StartingPoint
from app.streaming.ledger import HandOut, HandOutRefusal, Ledger
from app.streaming.skipped import DELETED, SkippedRange

log = logging.getLogger(__name__)

DRAIN_LIMIT_SECONDS = 6.0
"""Work in progress is at most a window of batches, a fraction of a second when Kafka answers. Beyond this the process
ends; it leaves the rest of the ten seconds that a SIGTERM may take to the framework."""

DRAIN_POLL_SECONDS = 0.01


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
        self.skipped: list[Callable[[SkippedRange], None]] = []
        """Called with records that were deleted before they were read, or that a moved group passed over."""
        self.beginnings: list[Callable[[Sequence[TP]], None]] = []
        """Called, in a thread, with partitions in which the group has committed nothing, before work begins there."""
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
        self.after_commits: list[Callable[[Mapping[TP, int]], None]] = []
        """Called after a commit, with the Kafka timestamp of the last record that is done of each partition."""
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
        if beginning := [tp for tp, start in sorted(starts.items()) if start.committed is None]:
            for note in self.beginnings:
                await asyncio.to_thread(note, beginning)
        seeks = await self._batch_thread.seek_partitions({tp: start.position for tp, start in starts.items()})
        for tp, start in starts.items():
            # what is skipped is due for a commit at once: until then nobody can tell it from records that wait
            due = None if start.skipped is None else -1
            self.ledger.open(tp, start.position, seek=seeks[tp], account=start.account, committed=due)
            if start.skipped is not None:
                self._note_skipped(start.skipped)

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
        read_until_ms = ledger.until_ms(tp)
        outcome = ledger.admit(
            tp,
            fetched.first,
            fetched.last,
            fetched.link,
            len(fetched.records),
            until_ms=fetched.records[-1].timestamp if fetched.records else 0,
            is_deleted=fetched.deleted_until_ms is not None,
        )
        match outcome:
            case HandOut():
                if restoring or not fetched.records:
                    outcome.finish()
                if fetched.deleted_until_ms is not None and not restoring:
                    self._note_skipped(
                        SkippedRange(
                            *tp, fetched.first, fetched.last + 1, read_until_ms, fetched.deleted_until_ms, DELETED
                        )
                    )
                if fetched.records:
                    return self._message(tp, fetched, outcome, offset=fetched.last if restoring else fetched.first)
            case HandOutRefusal.BROKEN_CHAIN:
                await self._seek_back(tp, ledger)
            case HandOutRefusal.BACKWARDS:
                self.fail(
                    ExitCode.WRONG_STATE,
                    f"{tp.topic}[{tp.partition}] went back to offset {fetched.first} from {ledger.position(tp)}: "
                    "the topic was recreated while it was read",
                )
            case HandOutRefusal.CLOSED | HandOutRefusal.STALE:
                log.debug("dropped a batch fetched before a seek", extra=_where(tp, fetched.first))
            case _:
                assert_never(outcome)
        return None

    def _note_skipped(self, skipped: SkippedRange) -> None:
        for note in self.skipped:
            note(skipped)

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
        known = {tp: self.ledger.account(tp) for tp in offsets}
        accounts = {tp: OffsetAndMetadata(offset, known[tp].note()) for tp, offset in offsets.items()}
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
        for tell in self.after_commits:
            tell({tp: account.until_ms for tp, account in known.items()})
        return True

    async def commit_finished(self) -> None:
        """Commit all finished work, after a commit that is under way."""
        await self.maybe_wait_for_commit_to_finish()
        await self.commit()

    async def wait_empty(self) -> None:
        """Wait until work in progress is finished and committed; past the limit, end the process.

        A batch that an agent has in its hand does not begin any more. It would be in memory, unwritten, when its
        partition is given up.
        """
        self.ledger.drain()
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


def _where(tp: TP, offset: int) -> dict[str, object]:
    return {"facts": {"topic": tp.topic, "partition": tp.partition, "offset": offset}}

"""An aiokafka consumer without a broker, and Faust's consumer around it: what Faust does with offsets, in one loop.

`FakeKafka` behaves as aiokafka's consumer does where Faust relies on it, including that seeking to the committed
offsets does nothing for a partition that has none; its methods have aiokafka's names. `Harness` runs Faust's own
consumer, conductor and streams over it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import faust
from aiokafka.errors import CommitFailedError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from app.processes.process_end import ExitCode
from app.streaming.batch import RecordBatch
from app.streaming.consumer import BatchConsumer
from app.streaming.consumer_thread import BatchConsumerThread
from app.streaming.ledger import FetchLink, HandOut, Ledger
from app.streaming.skipped import SkippedRange
from app.streaming.transport import BatchSchema, BatchTransport

SOURCE = "source"
PARTITION = TP(SOURCE, 0)
TIME_MS = 1_700_000_000_000
"""Of every record."""


class Ended(Exception):  # noqa: N818 - what happened, not an error of the program
    """The process would have ended."""

    def __init__(self, code: ExitCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


def fail(code: ExitCode, reason: str) -> Any:
    """Stand in for `end_process`."""
    raise Ended(code, reason)


def record(offset: int, *, partition: int = 0, value: bytes = b"v", topic: str = SOURCE) -> ConsumerRecord:
    """One record as aiokafka hands it out."""
    return ConsumerRecord(topic, partition, offset, TIME_MS, 0, b"k", value, None, 1, len(value), ())


def batch_of_two(ledger: Ledger, tp: tuple[str, int], number: int) -> RecordBatch:
    """The batch with this number, from 0 on, of an open partition: two records, admitted to the ledger."""
    first = 2 * number
    hand_out = ledger.admit(tp, first, first + 1, FetchLink(1, number))
    assert isinstance(hand_out, HandOut)
    return RecordBatch(*tp, [record(first), record(first + 1)], hand_out)


@dataclass
class FakeKafka:
    """Logs, positions and committed offsets by partition; `fetch_size` records come with a fetch."""

    logs: dict[TP, list[ConsumerRecord]] = field(default_factory=dict)
    committed_offsets: dict[TP, int] = field(default_factory=dict)
    notes: dict[TP, str] = field(default_factory=dict)
    positions: dict[TP, int] = field(default_factory=dict)
    fetch_size: int = 4
    refuse_commits: int = 0
    commits: list[dict[TP, int]] = field(default_factory=list)
    seeks: list[tuple[TP, int]] = field(default_factory=list)
    commits_block: bool = False
    passed_over: dict[TP, set[int]] = field(default_factory=dict)
    """Offsets of records that are there and not handed out, as of an aborted transaction."""
    resets_nothing: bool = False
    """Whether a position outside of the log is an error, as it is with the reset policy `none`."""

    _max_poll_records = None
    _closed = False

    @property
    def _fetcher(self) -> "FakeKafka":
        return self

    @property
    def _subscriptions(self) -> "FakeKafka":
        return self

    @contextlib.contextmanager
    def fetch_context(self) -> Iterator[None]:
        """Surround a fetch."""
        yield

    async def fetched_records(
        self,
        partitions: set[TP] | None,
        timeout: float = 0,  # noqa: ASYNC109 - aiokafka's signature
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Next records of each partition, moving its position."""
        del max_records
        found = {}
        for tp, log in self.logs.items():
            if partitions and tp not in partitions:
                continue
            position = self.positions.setdefault(tp, self.committed_offsets.get(tp, 0))
            if log and self.resets_nothing and not log[0].offset <= position <= log[-1].offset + 1:
                raise OffsetOutOfRangeError({TopicPartition(*tp): position})
            due = [r for r in log if r.offset >= position][: self.fetch_size]
            if due:
                self.positions[tp] = due[-1].offset + 1
                read = [r for r in due if r.offset not in self.passed_over.get(TP(*tp), ())]
                if read:
                    found[TopicPartition(*tp)] = read
        await asyncio.sleep(0 if found else min(timeout, 0.005))
        return found

    @property
    def _subscription(self) -> Any:
        return SimpleNamespace(subscription=SimpleNamespace(assignment=self))

    def state_value(self, tp: TopicPartition) -> Any:
        """A partition's position."""
        position = self.positions.get(TP(*tp))
        return SimpleNamespace(has_valid_position=position is not None, position=position)

    async def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        """The first record of each log."""
        firsts = {tp: self.logs[TP(*tp)][:1] for tp in times}
        return {tp: SimpleNamespace(timestamp=found[0].timestamp) if found else None for tp, found in firsts.items()}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Set a position."""
        self.seeks.append((TP(*tp), offset))
        self.positions[TP(*tp)] = offset

    @property
    def _coordinator(self) -> "FakeKafka":
        return self

    async def fetch_committed_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Any]:
        """Committed offsets with their metadata, for partitions that have one."""
        known = {tp: self.committed_offsets.get(TP(*tp)) for tp in partitions}
        return {
            tp: OffsetAndMetadata(offset, self.notes.get(TP(*tp), ""))
            for tp, offset in known.items()
            if offset is not None
        }

    async def seek_to_committed(self) -> dict[TopicPartition, int | None]:
        """Seek where something above 0 is committed, and nowhere else."""
        offsets: dict[TopicPartition, int | None] = {}
        for tp in self.logs:
            offset = offsets[TopicPartition(*tp)] = self.committed_offsets.get(tp)
            if offset and offset > 0:
                self.positions[tp] = offset
        return offsets

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """First offset of each log."""
        return {tp: self.logs[TP(*tp)][0].offset if self.logs[TP(*tp)] else 0 for tp in partitions}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Offset after the last of each log."""
        return {tp: self.logs[TP(*tp)][-1].offset + 1 if self.logs[TP(*tp)] else 0 for tp in partitions}

    async def commit(self, offsets: Mapping[TopicPartition, Any]) -> None:
        """Commit, refuse, or never answer."""
        if self.commits_block:
            await asyncio.Event().wait()
        if self.refuse_commits:
            self.refuse_commits -= 1
            raise CommitFailedError("the group has already rebalanced")
        plain = {TP(*tp): offset.offset for tp, offset in offsets.items()}
        self.notes.update({TP(*tp): offset.metadata for tp, offset in offsets.items()})
        self.commits.append(plain)
        self.committed_offsets.update(plain)

    def assignment(self) -> set[TopicPartition]:
        """All partitions that have a log."""
        return {TopicPartition(*tp) for tp in self.logs}

    def highwater(self, tp: TP) -> int:
        """End of the log, as of the last fetch."""
        return max((r.offset + 1 for r in self.logs[tp]), default=0)


async def _inline(fun: Any, *args: Any, **kwargs: Any) -> Any:
    result = fun(*args, **kwargs)
    return await result if asyncio.iscoroutine(result) else result


class StrictTestConsumer(BatchConsumer):
    """Ours, with an end that can be caught."""

    fail = staticmethod(fail)


class StrictTestTransport(BatchTransport):
    """Ours."""

    Consumer = StrictTestConsumer


class Harness:
    """Faust's consumer, conductor and one stream over a `FakeKafka`; `strict` chooses our transport or Faust's own."""

    def __init__(self, kafka: FakeKafka, *, strict: bool) -> None:
        self.kafka = kafka
        options: dict[str, Any] = {"Schema": BatchSchema} if strict else {}
        self.app = faust.App(
            "harness",
            broker="kafka://127.0.0.1:1",
            store="memory://",
            autodiscover=False,
            value_serializer="raw",
            key_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_buffer_maxsize=16,
            **options,
        )
        transport = StrictTestTransport if strict else driver.Transport
        self.app.transport = transport(self.app.conf.broker_consumer, self.app)
        self.topic = self.app.topic(SOURCE, key_type=bytes, value_type=bytes)
        self.stream = self.app.stream(self.topic)
        consumer: Any = self.app.consumer
        self.consumer: Any = consumer
        self.skipped: list[SkippedRange] = []
        if strict:
            consumer.skipped.append(self.skipped.append)
        self._conductor: Any = self.app.topics
        thread = consumer._thread
        thread._consumer = kafka
        thread.call_thread = _inline
        assert isinstance(thread, BatchConsumerThread) == strict
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Assign the partitions, position them and begin to fetch."""
        await self.stream.maybe_start()
        await self._conductor._update_indices()
        assigned = set(self.kafka.logs)
        await self._conductor.on_partitions_assigned(assigned)
        self.consumer._set_active_tps(assigned)
        await self.consumer.perform_seek()
        self.resume()
        self._draining = asyncio.create_task(self.consumer._drain_messages(Service()))

    def suspend(self) -> None:
        """Stop the flow, as a rebalance does."""
        self.consumer.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()

    def resume(self) -> None:
        """Let records flow."""
        self.app.flow_control.resume()
        self.consumer.resume_flow()

    async def events(self, count: int) -> list[Any]:
        """Take the next events off the stream, unacknowledged."""
        channel: Any = self.stream.channel
        taken: list[Any] = []
        async with asyncio.timeout(5):
            while len(taken) < count:
                event = await channel.queue.get()
                self.consumer.track_message(event.message)  # as the stream does when it hands an event to an agent
                taken.append(event)
        return taken

    async def commit(self) -> dict[TP, int]:
        """Commit what is due; returns what the group has committed."""
        await self.consumer.commit()
        return self.kafka.committed_offsets

    async def stop(self) -> None:
        """Stop fetching."""
        self.consumer._stopped.set()
        if self._draining is not None:
            self._draining.cancel()
            with contextlib.suppress(asyncio.CancelledError, Ended):
                await self._draining


@contextlib.asynccontextmanager
async def harness(kafka: FakeKafka, *, strict: bool) -> AsyncIterator[Harness]:
    """Run a started harness."""
    running = Harness(kafka, strict=strict)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def log_of(*offsets: int, tp: TP = PARTITION) -> dict[TP, list[ConsumerRecord]]:
    """One partition's log with records at these offsets."""
    return {tp: [record(offset, partition=tp.partition, topic=tp.topic) for offset in offsets]}

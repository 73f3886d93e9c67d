"""Writing to Kafka: records go in as whole parcels, and a parcel counts when the broker has acknowledged all of it.

One idempotent producer stores the records of a partition in the order in which they were sent, once each. It retries
for as long as a broker is away. Only a parcel's last record requests a report: with librdkafka's gapless guarantee a
record that fails for good is fatal to the producer, so an acknowledged record proves those before it in its
partition, at a third less CPU than a report for each record.

The first failure is final: it is kept, and every receipt from then on raises it. Callbacks run on the event loop's
thread, which polls while something is outstanding: a polling thread would compete with the loop for the interpreter
lock.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from agents.contract import OutRecord
from app.kafka.client import LOSSLESS_PRODUCER
from app.kafka.records import Partition
from app.operators.errors import OperatorError
from app.processes.process_end import ExitCode, Fail
from schemas.topics import MAX_RECORD_BYTES

log = logging.getLogger(__name__)
librdkafka_log = log.getChild("librdkafka")
librdkafka_log.addFilter(lambda line: "enable.gapless.guarantee is experimental" not in line.getMessage())

POLL_SECONDS = 0.003
"""Longest time that an acknowledgement waits to be seen; a poll costs some 2 µs."""

QUEUE_MAX_RECORDS = 100_000
QUEUE_MAX_KBYTES = 128 << 10
"""What librdkafka holds while a broker is away, before sending waits. The delivery window and Faust's queue are much
smaller as a rule; this stops parcels of very large records. 128 MiB hold at least seven records of the largest size."""

BATCH_BYTES: Final = 900_000
"""Below the 1 MiB that a topic takes unless configured otherwise: a broker refuses a larger batch as a whole."""

PRODUCER_CONFIG: Mapping[str, Any] = {
    **LOSSLESS_PRODUCER,
    "enable.gapless.guarantee": True,
    "compression.type": "lz4",
    "linger.ms": 5,
    "batch.size": BATCH_BYTES,
    "message.max.bytes": MAX_RECORD_BYTES,
    "queue.buffering.max.messages": QUEUE_MAX_RECORDS,
    "queue.buffering.max.kbytes": QUEUE_MAX_KBYTES,
    "reconnect.backoff.max.ms": 1_000,  # the default of 10 s would double a restarted broker's outage
    "socket.keepalive.enable": True,
}


class DeliveryFailedError(OperatorError):
    """Kafka refused a record for good. The text names topic, partition and error, nothing of the record."""

    exit_code = ExitCode.DELIVERY_FAILED


@contextmanager
def delivered_or_ended(fail: Fail) -> Iterator[None]:
    """The process ends where what is sent inside cannot be stored."""
    try:
        yield
    except DeliveryFailedError as error:
        fail(ExitCode.DELIVERY_FAILED, str(error))


class Parcel(NamedTuple):
    """Records for one partition, in order."""

    topic: str
    partition: int
    records: Sequence[OutRecord]


Receipt = asyncio.Future[dict[Partition, int]]
"""Done when every record is acknowledged; its result is the offset of the last record by topic and partition."""


class Delivery:
    """One producer, for the event loop that is running when it is made."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` says how to reach Kafka, in librdkafka's words; what it repeats of `PRODUCER_CONFIG` wins."""
        self._loop = asyncio.get_running_loop()
        self._producer = Producer({**PRODUCER_CONFIG, **config, "error_cb": self._on_error, "logger": librdkafka_log})
        self._in_order = asyncio.Lock()
        self._outstanding: set[_Pending] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._failure: DeliveryFailedError | None = None

    async def send(self, parcels: Sequence[Parcel]) -> Receipt:
        """Queue all parcels in order and return a receipt to wait for; waits itself while the queue is full.

        Raises DeliveryFailedError for a record that can never be stored (too large for the client, producer broken).
        """
        full = [parcel for parcel in parcels if parcel.records]
        pending = _Pending(self._loop.create_future(), waiting=len(full))
        if not full:
            pending.receipt.set_result({})
            return pending.receipt
        async with self._in_order:
            self._raise_failure()
            self._outstanding.add(pending)
            self._poll_soon()
            for parcel in full:
                await self._queue(parcel, pending)
        return pending.receipt

    async def deliver(self, parcels: Sequence[Parcel]) -> dict[Partition, int]:
        """Send and wait for the acknowledgement. Raises DeliveryFailedError."""
        return await (await self.send(parcels))

    async def _queue(self, parcel: Parcel, pending: "_Pending") -> None:
        topic, partition, records = parcel
        produce, last = self._producer.produce, len(records) - 1
        on_delivery = partial(self._on_delivery, pending, parcel)
        for index, (key, value, timestamp_ms) in enumerate(records):
            callback = on_delivery if index == last else None
            while True:
                try:
                    produce(topic, value, key, partition, callback, callback, timestamp_ms)
                    break
                except BufferError:
                    await asyncio.sleep(POLL_SECONDS)
                    self._serve()
                    self._raise_failure()
                except KafkaException as error:
                    self._fail(f"{topic}[{partition}]", error.args[0])
                    self._raise_failure()

    def _on_delivery(self, pending: "_Pending", parcel: Parcel, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(f"{parcel.topic}[{parcel.partition}]", error)
            return
        pending.offsets[parcel.topic, parcel.partition] = message.offset() or 0
        pending.waiting -= 1
        if not pending.waiting:
            self._outstanding.discard(pending)
            if not pending.receipt.done():  # its waiter may have been cancelled
                pending.receipt.set_result(pending.offsets)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fail("producer", error)
        else:
            librdkafka_log.warning("producer: %s, trying again", error.name())

    def _fail(self, where: str, error: KafkaError) -> None:
        if self._failure is None:
            self._failure = DeliveryFailedError(f"{where}: {error.str()}")
        outstanding, self._outstanding = self._outstanding, set()
        for pending in outstanding:
            if not pending.receipt.done():
                pending.receipt.set_exception(self._failure)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _poll_soon(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        self._timer = None
        self._serve()
        if self._outstanding:
            self._poll_soon()

    def _serve(self) -> None:
        """Run the callbacks that are due. A fatal error is raised by the poll itself, callback or not."""
        try:
            self._producer.poll(0)
        except KafkaException as error:
            self._fail("producer", error.args[0])


@dataclass(slots=True, eq=False)
class _Pending:
    """A receipt that is not complete yet."""

    receipt: Receipt
    waiting: int
    offsets: dict[Partition, int] = field(default_factory=dict)

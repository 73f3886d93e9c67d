"""From the buffer to the raw topic: an event counts as written when the broker has acknowledged it, and not before.

There is one idempotent producer, so a partition has events in the order of receipt, once each. It never gives up on
its own, because the buffer decides what is dropped. The Kafka timestamp is the time of receipt.

Only failures are reported one by one: a report for every record costs 5 µs, because each callback competes with the
reading thread for the interpreter. What the producer no longer holds and did not report is written. That count is
exact whenever the producer is empty, and too low in between. Under load the writer pauses once in a while until the
producer is empty (`settle_soon`), so that "everything received before then is written" becomes known.

When Kafka refuses one record (too large), that record is dropped. When Kafka refuses us or the topic, the process
ends.
"""

import logging
import time
from collections.abc import Mapping
from functools import partial
from threading import Event
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from agents.canonicalize.raw_facts import raw_facts
from app.ingest.buffer import Buffer, BufferLimits
from app.ingest.chunk import Chunk
from app.ingest.spiller import Spiller
from app.kafka.client import LOSSLESS_PRODUCER, REFUSALS, KafkaUnusableError
from app.telemetry.event_lines import EventLines
from app.telemetry.metric import DropReason
from schemas.topics import MAX_EVENT_BYTES, RECORD_OVERHEAD_BYTES
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)
_librdkafka_log = log.getChild("librdkafka")

PAUSE_SECONDS: Final = 0.02
"""Between two looks at the buffer while events flow, and what an event waits longest: shorter ones cost CPU, 0.5 µs an
event at 5 ms."""
IDLE_SECONDS: Final = 0.25
"""Longest sleep without events; an arriving one ends it."""
GIVE_BACK_SECONDS: Final = 1.0
"""For the producer to hand back what it holds: it does so at once."""
FRESH_MS: Final = 100
"""A chunk this young goes out as a batch stamped by the client; an older one pays for its own time of receipt."""
MAX_IN_FLIGHT_EVENTS: Final = 20_000
MAX_IN_FLIGHT_BYTES: Final = 64 << 20
"""What the producer holds at most: at 45,000 events a second, half a second of a broker that does not answer. It is
taken from the buffer's limits and cannot be dropped, so it also stays below a half of them."""

_QUEUE_EVENTS: Final = 100_000
_QUEUE_KBYTES: Final = 256 << 10
"""The producer's own limits, well above what is sent at once, so that they are never what stops us."""

BATCH_BYTES: Final = 1_000_000
"""Of one batch; the raw topic takes more than that, unless somebody made it smaller."""

PRODUCER_CONFIG: Final[Mapping[str, Any]] = {
    **LOSSLESS_PRODUCER,
    "delivery.report.only.error": True,
    "partitioner": "murmur2_random",  # as Java clients partition
    "compression.type": "lz4",
    "linger.ms": 50,
    "batch.size": BATCH_BYTES,
    "message.max.bytes": MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES,
    "queue.buffering.max.messages": _QUEUE_EVENTS,
    "queue.buffering.max.kbytes": _QUEUE_KBYTES,
}

_NO_TOPIC: Final = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - a public error code
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
_PURGED: Final = frozenset(
    {
        KafkaError._PURGE_QUEUE,  # noqa: SLF001 - a public error code
        KafkaError._PURGE_INFLIGHT,  # noqa: SLF001 - as above
    }
)
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})


class RawWriter:
    """Drains a buffer into one topic until `stop`. `run` is a thread's work; the rest may be called from any."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        buffer: Buffer,
        limits: BufferLimits,
        spiller: Spiller | None = None,
    ) -> None:
        """`config` says how to reach Kafka; `limits` are the buffer's.

        `spiller` stands in front of the buffer where events may go to disk.
        """
        self._topic = topic
        self._lines = EventLines("an event is not written")
        self._buffer = buffer
        self._source = spiller or buffer
        self._max_in_flight = max(1, min(MAX_IN_FLIGHT_EVENTS, limits.max_events // 2))
        self._max_in_flight_bytes = min(MAX_IN_FLIGHT_BYTES, limits.max_bytes // 2)
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._returned: list[bytes] | None = None
        self._settle = Event()
        self._held = Event()
        self._stopped = Event()
        self._failure: KafkaUnusableError | None = None
        self._producer = Producer({**PRODUCER_CONFIG, **config, "error_cb": self._on_error, "logger": _librdkafka_log})
        self.written_before_ms = time.time_ns() // NS_PER_MS
        """All events received before this Unix time are written or dropped."""
        self.last_acknowledged_seconds = 0.0
        """Unix time of the last acknowledgement seen; 0 before the first."""
        self.trouble: str | None = None
        """What the client last said about brokers, until one acknowledges something."""

    def run(self) -> None:
        """Write until `stop`. Raises KafkaUnusableError when Kafka refuses us or the topic is gone."""
        while not self._stopped.is_set():
            sent = self._send_what_waits()
            if sent or self._in_flight:
                time.sleep(PAUSE_SECONDS)
            else:
                self._source.wait(IDLE_SECONDS)
            self._take_stock()
            if self._failure is not None:
                raise self._failure

    def stop(self) -> None:
        """End `run` soon; nothing more is sent."""
        self._stopped.set()

    def hold(self) -> None:
        """Send nothing more, and go on booking what is written."""
        self._held.set()

    def give_back(self) -> list[bytes]:
        """Take back what the broker has not acknowledged, in the order in which each partition would have had it.

        Only after `run` has ended. Kafka may have got some of it all the same.
        """
        returned: list[bytes] = []
        self._returned = returned
        self._producer.purge()
        deadline = time.monotonic() + GIVE_BACK_SECONDS
        while len(self._producer) and time.monotonic() < deadline:
            self._producer.poll(0.01)
        self._source.settled(len(returned) + len(self._producer))
        return returned

    def settle_soon(self) -> None:
        """Send nothing more until all that was sent is written; that moves `written_before_ms`."""
        self._settle.set()

    def _send_what_waits(self) -> bool:
        """Hand chunks to the producer while it has room; whether there were any."""
        sent = False
        while self._has_room() and not self._settle.is_set() and not self._held.is_set():
            chunk = self._source.take()
            if chunk is None:
                break
            self._in_flight += len(chunk)
            self._in_flight_bytes += chunk.size_bytes
            if time.time_ns() // NS_PER_MS - chunk.received_ms <= FRESH_MS:
                self._send_as_batch(chunk)
            else:
                self._send_one_by_one(chunk)
            sent = True
        return sent

    def _has_room(self) -> bool:
        return self._in_flight < self._max_in_flight and self._in_flight_bytes < self._max_in_flight_bytes

    def _send_as_batch(self, chunk: Chunk) -> None:
        batch = [{"value": event, "key": key} for event, key in zip(chunk.events, chunk.keys, strict=True)]
        if self._producer.produce_batch(self._topic, batch, on_delivery=self._on_report) == len(batch):
            return
        for event, message in zip(chunk.events, batch, strict=True):
            error: Any = message.get("_error")
            if error is not None:
                self._reject(event, error)

    def _send_one_by_one(self, chunk: Chunk) -> None:
        for event, key in zip(chunk.events, chunk.keys, strict=True):
            try:
                self._producer.produce(
                    self._topic, event, key, on_delivery=self._on_report, timestamp=chunk.received_ms
                )
            except KafkaException as error:
                self._reject(event, error.args[0])

    def _take_stock(self) -> None:
        """Book what was written. Only here, where nothing is on its way from the buffer into the producer."""
        self._producer.poll(0)
        if self._source.settled(len(self._producer)):
            self.last_acknowledged_seconds = time.time()
            if self.trouble is not None:
                log.warning("Kafka acknowledges what we write again")  # as loud as what it ends
            self.trouble = None
        self._in_flight, self._in_flight_bytes = self._buffer.in_flight()
        if not self._in_flight:
            now_ms = time.time_ns() // NS_PER_MS
            waiting_since_ms = self._source.oldest_waiting_ms()
            self.written_before_ms = now_ms if waiting_since_ms is None else waiting_since_ms
            self._settle.clear()

    def _on_report(self, error: KafkaError | None, message: Message) -> None:
        """One record failed for good; called from poll."""
        if error is None:
            return
        event = message.value() or b""
        if self._returned is not None and error.code() in _PURGED:
            self._returned.append(event)
        else:
            self._reject(event, error)

    def _reject(self, event: bytes, error: KafkaError) -> None:
        code = error.code()
        reason = DropReason.OVERSIZED if code in _TOO_LARGE else DropReason.REJECTED
        self._buffer.rejected(event, reason)
        self._lines.say(reason.value, partial(raw_facts, event), {"topic": self._topic, "bytes": len(event)})
        if code in _NO_TOPIC:
            self._failure = KafkaUnusableError(
                f"the topic {self._topic} is gone; create it with: callstream topics apply"
            )
        elif code in REFUSALS or error.fatal():
            self._failure = KafkaUnusableError(f"Kafka refuses what we write to {self._topic}: {error.name()}")
        else:
            log.error("Kafka refused a record of %s: %s", self._topic, error.name())

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = KafkaUnusableError(f"the producer for {self._topic} cannot go on: {error.name()}")
        self.trouble = error.str()
        _librdkafka_log.warning("Kafka: %s; trying again", error.str())

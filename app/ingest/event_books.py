"""Ingest's books: where every received event is, at every moment.

    received + restored = waiting + on disk + in flight + written + dropped

An event is in exactly one place. It moves by one of the methods here, under the buffer's lock, so the equation holds
whenever the books are read, and a bug shows as an imbalance. What was dropped is kept with the times of the events
themselves until `take_findings` hands it on to become gaps.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from app.ingest.chunk import Chunk
from app.ingest.keys import KeyReading, Throttle
from app.telemetry import metrics
from app.telemetry.meter import Meter
from app.telemetry.metric import BufferPlace, DropReason
from schemas import topics
from schemas.raw_event import event_time_ns
from schemas.units import NS_PER_MS

MAX_THROTTLES: Final = 10_000
"""Starts and stops of throttling that are noted between two looks, a second apart; a node has some hundred cgroups."""

_MORE_CGROUPS: Final = "\x00more"
"""Stands for the cgroups beyond; no cgroup has such a name."""


@dataclass(slots=True)
class EventInterval:
    """A number of events and the times that they lie between, Unix epoch."""

    events: int
    from_ns: int
    to_ns: int

    def widen(self, other: "EventInterval") -> None:
        """Take in another interval."""
        self.events += other.events
        self.from_ns = min(self.from_ns, other.from_ns)
        self.to_ns = max(self.to_ns, other.to_ns)


@dataclass(frozen=True, slots=True)
class LostEvents:
    """Events on disk that are given up: how many, between which times, and their bytes."""

    interval: EventInterval
    size_bytes: int


@dataclass(slots=True)
class Findings:
    """What coverage must learn: what was lost or not understood since the last time."""

    dropped: dict[DropReason, EventInterval] = field(default_factory=dict)
    undecodable: EventInterval | None = None
    throttles: list[Throttle] = field(default_factory=list)


class IngestBooks:
    """Counts by place. Not locked itself: the buffer calls every method under its lock."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.undecodable = 0
        self.restored = 0
        self.waiting = 0
        self.waiting_bytes = 0
        self.on_disk = 0
        self.on_disk_bytes = 0
        self.in_flight = 0
        self.written = 0
        self.dropped: Counter[DropReason] = Counter()
        self._findings = Findings()

    def arrived(self, chunk: Chunk, reading: KeyReading) -> None:
        """A sealed chunk waits in memory."""
        self.received.update(reading.kinds)
        self.waiting += len(chunk)
        self.waiting_bytes += chunk.size_bytes
        self._note_throttles(reading.throttles, chunk.received_ms * NS_PER_MS)
        if reading.undecodable:
            self.undecodable += reading.undecodable
            moment = chunk.received_ms * NS_PER_MS
            interval = EventInterval(reading.undecodable, moment, moment)
            if self._findings.undecodable is None:
                self._findings.undecodable = interval
            else:
                self._findings.undecodable.widen(interval)

    def received_of(self, kinds: Collection[str]) -> int:
        """How many events of these kinds were received."""
        return sum(self.received[kind] for kind in kinds)

    def left_memory(self, chunk: Chunk) -> None:
        """A chunk that waited is with the producer."""
        self.waiting -= len(chunk)
        self.waiting_bytes -= chunk.size_bytes
        self.in_flight += len(chunk)

    def stored(self, chunk: Chunk) -> None:
        """A chunk that waited lies on disk."""
        self.waiting -= len(chunk)
        self.waiting_bytes -= chunk.size_bytes
        self.on_disk += len(chunk)
        self.on_disk_bytes += chunk.size_bytes

    def not_stored(self, chunk: Chunk) -> None:
        """The disk did not take it after all."""
        self.waiting += len(chunk)
        self.waiting_bytes += chunk.size_bytes
        self.on_disk -= len(chunk)
        self.on_disk_bytes -= chunk.size_bytes

    def left_disk(self, chunk: Chunk) -> None:
        """A chunk from disk is with the producer."""
        self.on_disk -= len(chunk)
        self.on_disk_bytes -= chunk.size_bytes
        self.in_flight += len(chunk)

    def came_back(self, chunk: Chunk) -> None:
        """Events that were in flight lie on disk."""
        self.in_flight -= len(chunk)
        self.on_disk += len(chunk)
        self.on_disk_bytes += chunk.size_bytes

    def found_on_disk(self, events: int, size_bytes: int) -> None:
        """An earlier process left events behind."""
        self.restored += events
        self.on_disk += events
        self.on_disk_bytes += size_bytes

    def dropped_from_disk(self, interval: EventInterval, size_bytes: int, reason: DropReason) -> None:
        """Stored events are given up."""
        self.on_disk -= interval.events
        self.on_disk_bytes -= size_bytes
        self._lose(interval, reason)

    def settled(self, outstanding: int) -> int:
        """The producer holds this many events; return how many it wrote since the last call.

        The producer counts other things in its queue too, so `outstanding` may exceed what is in flight.
        """
        written = max(0, self.in_flight - outstanding)
        self.in_flight -= written
        self.written += written
        return written

    def rejected(self, event: bytes, reason: DropReason, now_ns: int) -> None:
        """Kafka will not have an event that was in flight."""
        self.in_flight -= 1
        self._lose(interval_of([event], now_ns), reason)

    def dropped_from_memory(self, chunk: Chunk, reason: DropReason) -> None:
        """A chunk that waited is given up."""
        self.waiting -= len(chunk)
        self.waiting_bytes -= chunk.size_bytes
        self._lose(interval_of(chunk.events, chunk.received_ms * NS_PER_MS), reason)

    def dropped_in_flight(self, between_ns: tuple[int, int], reason: DropReason) -> None:
        """Everything in flight is given up: nobody will tell whether Kafka has it."""
        if self.in_flight:
            self._lose(EventInterval(self.in_flight, *between_ns), reason)
        self.in_flight = 0

    def take_findings(self) -> Findings:
        """What happened since the last call; the caller answers for it from now on."""
        found, self._findings = self._findings, Findings()
        return found

    def publish(self, meter: Meter) -> None:
        """Set the metrics of the books."""
        for kind, count in self.received.items():
            meter.set(metrics.RECEIVED, count, kind)
        for reason, count in self.dropped.items():
            meter.set(metrics.DROPPED, count, reason)
        meter.set(metrics.RESTORED, self.restored)
        meter.set(metrics.UNDECODABLE, self.undecodable)
        meter.set(metrics.BUFFERED, self.waiting, BufferPlace.MEMORY)
        meter.set(metrics.BUFFERED, self.on_disk, BufferPlace.DISK)
        meter.set(metrics.BUFFERED, self.in_flight, BufferPlace.PRODUCER)
        meter.set(metrics.BUFFERED_BYTES, self.waiting_bytes, BufferPlace.MEMORY)
        meter.set(metrics.BUFFERED_BYTES, self.on_disk_bytes, BufferPlace.DISK)
        meter.set(metrics.WRITTEN, self.written, topics.RAW)

    def imbalance(self) -> int:
        """Events received and in no place, or in two; 0 unless there is a bug."""
        placed = self.waiting + self.on_disk + self.in_flight + self.written + self.dropped.total()
        return self.received.total() + self.restored - placed

    def _note_throttles(self, throttles: list[Throttle], received_ns: int) -> None:
        """Note starts and stops, none of them after its receipt.

        Beyond the limit throttling has begun and never ends in this stream.
        """
        noted = self._findings.throttles
        room = MAX_THROTTLES - len(noted)
        for one in throttles[: max(0, room)]:
            noted.append(replace(one, time_ns=min(one.time_ns or received_ns, received_ns)))
        if len(throttles) > room >= 0:
            noted.append(Throttle(started=True, cgroup=_MORE_CGROUPS, time_ns=received_ns))

    def _lose(self, interval: EventInterval, reason: DropReason) -> None:
        self.dropped[reason] += interval.events
        if reason in self._findings.dropped:
            self._findings.dropped[reason].widen(interval)
        else:
            self._findings.dropped[reason] = interval


def interval_of(events: Iterable[bytes], receipt_ns: int) -> EventInterval:
    """Number and time span of events; one without a time of its own counts as of its receipt."""
    times = [receipt_ns if (time := event_time_ns(event)) is None else time for event in events]
    return EventInterval(len(times), min(times, default=receipt_ns), max(times, default=receipt_ns))

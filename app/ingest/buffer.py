"""The bounded buffer between the stream and Kafka, and what it does when it is full.

Events leave in the order of arrival. The limits cover what waits in memory and what the producer holds. When the
limits are reached, the buffer stops the reader, so that gRPC flow control stops the agent. When it has been full for
the grace time without falling to `LOW_SHARE` of its limits, it drops the oldest chunks instead, until it does. What
it drops is counted and becomes a gap. One lock guards events and books.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Condition, Lock
from typing import Final

from agents.placements.seen_builds import SeenBuilds, SeenOnNode
from app.ingest.chunk import Chunk
from app.ingest.event_books import Findings, IngestBooks, LostEvents
from app.ingest.keys import KeyReader
from app.telemetry import metrics
from app.telemetry.meter import Meter
from app.telemetry.metric import DropReason
from schemas.node import NodeId
from schemas.units import NS_PER_MS

EVENT_COST_BYTES: Final = 64
"""What an event costs beside its bytes, so that one number limits both; see `Buffer.put`."""
GRANT_BYTES: Final = 256 << 10
"""How much the reader takes before it looks at the limits again: a lock for every event would cost as much as all
other work on it here. Also bounds an open chunk."""

LOW_SHARE: Final = 0.75
"""Below this share of its limits a buffer counts as relieved, and the grace time starts again. If the shares were
closer, a slow Kafka would stop the agent without end, one chunk at a time, and the agent would drop events unseen."""

ROOM_SHARE: Final = 1 / 16
"""How much room a held reader waits for, or is made by dropping: one event at a time would make chunks of one event."""
LATEST_EVENTS: Final = 4_096
"""How many of the last events are remembered after they were written: a successor finds its place by them."""
LATEST_BYTES: Final = 8 << 20
"""Of those; fewer are remembered where they are large."""
STORE_SHARE: Final = 0.5
"""Above this share of the limits the oldest chunks go to disk, where there is one: early enough that the reader is not
held while they are written."""
STORING_SECONDS: Final = 1.0
"""How long the reader waits for chunks to go to disk once room was made there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferLimits:
    """What the buffer may hold, and how long it holds the reader before it drops."""

    max_events: int
    max_bytes: int
    grace_seconds: float


class Buffer:
    """One reader puts, one writer takes; everything else may be called from any thread."""

    def __init__(
        self,
        limits: BufferLimits,
        keys: KeyReader,
        wall_ns: Callable[[], int] = time.time_ns,
        drop_stored: Callable[[], LostEvents | None] | None = None,
    ) -> None:
        """`drop_stored` gives up the oldest events on disk, and returns None when none are there."""
        self._limits = limits
        self._keys = keys
        self._wall_ns = wall_ns
        self._drop_stored = drop_stored
        self._lock = Lock()
        self._room = Condition(self._lock)
        self._arrival = Condition(self._lock)
        self._waiting: deque[Chunk] = deque()
        self._open: deque[bytes] = deque()
        self._writer_idle = False
        self._held_events = 0
        self._held_bytes = 0
        self._flying: deque[tuple[int, int]] = deque()
        self._flying_events = 0
        self._flying_bytes = 0
        self._full_since: float | None = None
        self._held_since: float | None = None
        self._held_seconds = 0.0
        self._closed = False
        self._credit = self._grant()
        self._books = IngestBooks()
        self._builds = SeenBuilds()
        self._latest: deque[Chunk] = deque()
        self._latest_events = 0
        self._latest_bytes = 0
        self.last_received_ms = 0
        """When an event last arrived, Unix time, late by as long as a chunk stays open; 0 before the first."""
        self.newest: tuple[bytes, int] = (b"", 0)
        """An event that arrived lately, with when; no bytes before the first."""

    @property
    def node(self) -> NodeId:
        """The node as the last events name it; before them, as it was passed in."""
        return self._keys.node

    def begin_stream(self, node: NodeId) -> None:
        """The next event is a stream's first, and names the node so; without a name the node is the one before."""
        with self._lock:
            self._seal()
            self._keys.node = node if node.name else self._keys.node

    def put(self, event: bytes) -> bool:
        """Take an event from the stream, then hold the caller while the buffer is full. False when it is closed.

        The limits are exceeded by this one event: it has been received. Only the one reader may call this.
        """
        self._open.append(event)
        self._credit -= len(event) + EVENT_COST_BYTES
        if self._credit < 0 or self._writer_idle:
            self._look_closer()
        return not self._closed

    def take(self) -> Chunk | None:
        """The oldest chunk, with the producer from now on; None when nothing waits."""
        with self._lock:
            if not self._waiting:
                self._seal()
            if not self._waiting:
                return None
            chunk = self._waiting.popleft()
            self._books.left_memory(chunk)
            self._fly(chunk)
            return chunk

    def wait(self, timeout_seconds: float) -> None:
        """Sleep until an event arrives, at the latest for the timeout."""
        with self._lock:
            self._writer_idle = True
            if not self._waiting and not self._open and not self._closed:
                self._arrival.wait(timeout_seconds)
            self._writer_idle = False

    def take_to_store(self, share: float = STORE_SHARE) -> Chunk | None:
        """The oldest chunk, on disk from now on; None while the buffer holds less than this share of its limits."""
        with self._lock:
            if share == 0.0:
                self._seal()
            if not self._waiting or not self._is_over_limits(share):
                return None
            chunk = self._waiting.popleft()
            self._books.stored(chunk)
            self._held_events -= len(chunk)
            self._held_bytes -= chunk.size_bytes
            self._relieve()
            return chunk

    def put_back(self, chunk: Chunk) -> None:
        """The disk did not take the chunk: it waits again, first in line."""
        with self._lock:
            self._waiting.appendleft(chunk)
            self._books.not_stored(chunk)
            self._held_events += len(chunk)
            self._held_bytes += chunk.size_bytes

    def left_disk(self, chunk: Chunk) -> None:
        """A chunk from disk is with the producer from now on."""
        with self._lock:
            self._books.left_disk(chunk)
            self._fly(chunk)
            self._held_events += len(chunk)
            self._held_bytes += chunk.size_bytes

    def came_back(self, chunk: Chunk) -> None:
        """Events that the producer gave back lie on disk."""
        with self._lock:
            self._books.came_back(chunk)
            self._release()

    def found_on_disk(self, events: int, size_bytes: int) -> None:
        """An earlier process left events behind."""
        with self._lock:
            self._books.found_on_disk(events, size_bytes)

    def lost_on_disk(self, lost: LostEvents) -> None:
        """Stored events cannot be read back."""
        with self._lock:
            self._books.dropped_from_disk(lost.interval, lost.size_bytes, DropReason.SPILL)

    def settled(self, outstanding: int) -> int:
        """The producer holds this many of the events taken; return how many it wrote since the last call.

        Called every few milliseconds while events flow, so it also closes the open chunk, which dates it.
        """
        with self._lock:
            self._seal()
            written = self._books.settled(outstanding)
            self._release()
            return written

    def rejected(self, event: bytes, reason: DropReason) -> None:
        """Kafka will not have an event that was taken."""
        with self._lock:
            self._books.rejected(event, reason, self._wall_ns())
            self._release()

    def give_up(self, reason: DropReason, unwritten_since_ns: int) -> int:
        """Drop everything that waits or is in flight, and return how many events that was.

        What is in flight arrived after `unwritten_since_ns`.
        """
        with self._lock:
            self._seal()
            before = self._books.dropped.total()
            self._books.dropped_in_flight((unwritten_since_ns, self._wall_ns()), reason)
            self._release()
            while self._waiting:
                self._drop(self._waiting.popleft(), reason)
            return self._books.dropped.total() - before

    def close(self) -> None:
        """No more events are expected; whoever waits goes on."""
        with self._lock:
            self._closed = True
            self._room.notify_all()
            self._arrival.notify_all()

    def in_flight(self) -> tuple[int, int]:
        """Events taken and neither written nor rejected, and about how many bytes they have."""
        with self._lock:
            return self._books.in_flight, self._flying_bytes

    def is_empty(self) -> bool:
        """Whether every event that arrived is written or dropped."""
        with self._lock:
            return not self._waiting and not self._open and not self._books.in_flight

    def oldest_waiting_ms(self) -> int | None:
        """When the oldest event that was not taken yet arrived, Unix time; None when there is none."""
        with self._lock:
            self._seal()
            return self._waiting[0].received_ms if self._waiting else None

    def take_findings(self) -> Findings:
        """What was lost or not understood since the last call, for coverage."""
        with self._lock:
            self._seal()
            return self._books.take_findings()

    def take_builds(self) -> tuple[Mapping[NodeId, SeenOnNode], int]:
        """Build ids that loader events named since the last call; see `SeenBuilds.take`."""
        with self._lock:
            self._seal()
            return self._builds.take()

    def publish(self, meter: Meter) -> None:
        """Set the metrics of the books, as of one moment."""
        with self._lock:
            self._seal()
            self._books.publish(meter)
            held = 0.0 if self._held_since is None else time.monotonic() - self._held_since
            meter.set(metrics.READING_STOPPED, self._held_seconds + held)

    def received_of(self, kinds: Collection[str]) -> int:
        """How many events of these kinds were received."""
        with self._lock:
            self._seal()
            return self._books.received_of(kinds)

    def latest(self) -> list[bytes]:
        """The last events that arrived, oldest first, as many as are remembered."""
        with self._lock:
            self._seal()
            return [event for chunk in self._latest for event in chunk.events]

    def imbalance(self) -> int:
        """0 unless there is a bug; see `IngestBooks.imbalance`."""
        with self._lock:
            self._seal()
            return self._books.imbalance()

    def _look_closer(self) -> None:
        """Hold the reader while the limits are exceeded, then grant it as much as surely fits."""
        with self._lock:
            self._seal()
            if self._writer_idle:
                self._arrival.notify()
            if self._is_over_limits():
                self._make_room()
            self._credit = self._grant()

    def _grant(self) -> int:
        events_left = self._limits.max_events - self._held_events
        bytes_left = self._limits.max_bytes - self._held_bytes
        return min(GRANT_BYTES, bytes_left, events_left * EVENT_COST_BYTES)

    def _is_over_limits(self, share: float = 1.0) -> bool:
        limits = self._limits
        return self._held_events > share * limits.max_events or self._held_bytes > share * limits.max_bytes

    def _make_room(self) -> None:
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
        drop_at = self._full_since + self._limits.grace_seconds
        self._held_since = now
        while not self._closed and self._is_over_limits(1 - ROOM_SHARE):
            left = drop_at - time.monotonic()
            if left > 0:
                self._room.wait(left)
            elif self._drop_oldest_stored():
                drop_at = time.monotonic() + STORING_SECONDS
            else:
                self._drop_oldest()
                break
        self._held_seconds += time.monotonic() - now
        self._held_since = None

    def _drop_oldest_stored(self) -> bool:
        """Give up the oldest events on disk, which are older than all in memory; False when there are none."""
        lost = self._drop_stored() if self._drop_stored is not None else None
        if lost is None:
            return False
        self._books.dropped_from_disk(lost.interval, lost.size_bytes, DropReason.SPILL_FULL)
        return True

    def _drop_oldest(self) -> None:
        """Drop until the limits are kept; the newest chunk stays, so an event larger than they are has a place."""
        while len(self._waiting) > 1 and self._is_over_limits(1 - ROOM_SHARE):
            self._drop(self._waiting.popleft(), DropReason.OVERFLOW)

    def _drop(self, chunk: Chunk, reason: DropReason) -> None:
        self._books.dropped_from_memory(chunk, reason)
        self._held_events -= len(chunk)
        self._held_bytes -= chunk.size_bytes

    def _seal(self) -> None:
        """Make a chunk of what arrived, read its keys and let it wait in line."""
        arrived = self._open
        if not arrived:
            return
        chunk = Chunk(self._wall_ns() // NS_PER_MS, [arrived.popleft() for _ in range(len(arrived))])
        chunk.size_bytes = sum(map(len, chunk.events))
        self.last_received_ms = chunk.received_ms
        self.newest = (chunk.events[-1], chunk.received_ms)
        self._remember(chunk)
        reading = self._keys.read(chunk.events)
        chunk.keys = reading.keys
        self._held_events += len(chunk)
        self._held_bytes += chunk.size_bytes
        self._books.arrived(chunk, reading)
        if reading.build_ids and reading.node is not None:
            self._builds.saw(reading.node, reading.build_ids, chunk.received_ms)
        self._waiting.append(chunk)

    def _remember(self, chunk: Chunk) -> None:
        self._latest.append(chunk)
        self._latest_events += len(chunk)
        self._latest_bytes += chunk.size_bytes
        while len(self._latest) > 1 and (self._latest_events > LATEST_EVENTS or self._latest_bytes > LATEST_BYTES):
            oldest = self._latest.popleft()
            self._latest_events -= len(oldest)
            self._latest_bytes -= oldest.size_bytes

    def _fly(self, chunk: Chunk) -> None:
        self._flying.append((len(chunk), chunk.size_bytes))
        self._flying_events += len(chunk)
        self._flying_bytes += chunk.size_bytes

    def _release(self) -> None:
        """Give back the room of what left the producer; it writes about in the order in which it got the chunks."""
        while self._flying and self._flying_events - self._flying[0][0] >= self._books.in_flight:
            events, size_bytes = self._flying.popleft()
            self._flying_events -= events
            self._flying_bytes -= size_bytes
            self._held_events -= events
            self._held_bytes -= size_bytes
        self._relieve()

    def _relieve(self) -> None:
        if not self._is_over_limits(LOW_SHARE):
            self._full_since = None
        self._room.notify()

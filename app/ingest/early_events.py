"""What the waiting ingest reads: kept in memory, the latest of it, until it is known from which event on to write.

While it waits, nothing that is dropped here is a loss: the working ingest writes it. From `pass_on` on, each event goes
where it is sent, through a filter as long as one is needed.
"""

import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from threading import Event, Lock
from typing import Final

from app.ingest.statuses import StreamEnd

MAX_EVENTS: Final = 65_536
MAX_BYTES: Final = 64 << 20
"""Of what is kept: some seconds of a busy node, where the old ingest ends within ten."""

Put = Callable[[bytes], object]


class EarlyEvents:
    """The callbacks of an event stream; the reading thread calls them."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns
        self._lock = Lock()
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._is_held = False
        self._passed = Event()
        self._put: Put | None = None
        self._opened: Callable[[bytes], None] | None = None
        self._ended: Callable[[StreamEnd], None] | None = None
        self.is_whole = True
        """Whether everything is kept that the stream brought."""
        self.first_event: bytes | None = None
        """The stream's first event."""
        self.asked_ns = wall_ns()
        """The stream was not open before this time, Unix epoch."""
        self.open_ns: int | None = None
        """The stream is known to be open since then."""

    def put(self, event: bytes) -> object:
        """Take an event."""
        if self._put is not None:
            return self._put(event)
        with self._lock:
            if self._put is not None:
                return self._put(event)
            self._kept.append(event)
            self._kept_bytes += len(event)
            while (
                not self._is_held
                and len(self._kept) > 1
                and (len(self._kept) > MAX_EVENTS or self._kept_bytes > MAX_BYTES)
            ):
                self._kept_bytes -= len(self._kept.popleft())
                self.is_whole = False
            return True

    def opened(self, first_event: bytes) -> None:
        """The stream brought its first event."""
        with self._lock:
            if self._opened is not None:
                self._opened(first_event)
                return
            self.first_event = first_event
            self.open_ns = self.open_ns or self._wall_ns()

    def hold(self) -> None:
        """Keep what is kept until `pass_on`, which comes within seconds, also if the stream ends."""
        with self._lock:
            self._is_held = True

    def answered(self) -> None:
        """The agent answered on the stream's connection."""
        with self._lock:
            self.open_ns = self.open_ns or self._wall_ns()

    def ended(self, end: StreamEnd) -> None:
        """The stream is over; what it brought does not go on in the next one."""
        if self._is_held:
            self._passed.wait()  # the next stream begins behind what this one brought
        with self._lock:
            if self._ended is not None:
                self._ended(end)
                return
            self._kept.clear()
            self._kept_bytes = 0
            self.is_whole, self.first_event, self.open_ns, self.asked_ns = True, None, None, self._wall_ns()

    def kept(self, begin: int = 0) -> list[bytes]:
        """What is kept, from this number on."""
        with self._lock:
            return list(islice(self._kept, begin, None))

    def pass_on(
        self,
        put: Put,
        select: Callable[[list[bytes]], list[bytes]],
        later: Put,
        opened: Callable[[bytes], None],
        ended: Callable[[StreamEnd], None],
    ) -> int:
        """Hand on what `select` chooses of the kept events to `put`, and from then on every event to `later`.

        Returns how many were passed over. The one thread that reads waits meanwhile.
        """
        with self._lock:
            kept = list(self._kept)
            self._kept.clear()
            chosen = select(kept)
            for event in chosen:
                put(event)
            self._put, self._opened, self._ended = later, opened, ended
            self._passed.set()
            return len(kept) - len(chosen)

    def pass_directly(self, put: Put) -> None:
        """From the next event on, without the filter."""
        self._put = put

"""A Tetragon agent at work: events happen at a rate whether or not anybody reads, and what nobody reads is gone.

`python -m tests.support.live_agent LIFE` serves one life of it, given as JSON, on the simulator's protocol stack, with
its loss counters on a metrics page. As in Tetragon, a reader has a queue of 10,000 events; what does not fit is dropped
and counted.

A SIGUSR1 makes its node quiet: nothing happens any more, and the agent goes on.

What happens in a life is computed from the life alone, so a test knows every event in advance:
`python -m tests.support.live_agent LIFE happened UNTIL_NS` writes out those up to a time. That is a process of its own,
because the stacks of events are of the libraries that their process has mapped.
"""

import itertools
import json
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Self

from app.simulator.agent_file import AgentFile
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from app.simulator.session import Offer
from app.simulator.workload.generator import SHARES, Workload, WorkloadOptions

NODE = "worker-01"
QUEUE_EVENTS = 10_000
"""Tetragon's `--event-queue-size`."""

DIGEST_BYTES = 12
_HAPPENED = struct.Struct(f">q{DIGEST_BYTES}s")
_NS = 1_000_000_000
_NOTHING = memoryview(b"")
_DAMAGED = b"\xff no event"
_NEW_FIELD = b"\xe2\x03\x03new"
"""Field 60 of an event, with three bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process of an agent: from `start_s` to `until_s` (Unix epoch) events happen, each different from all others.

    Throttle events are left out: each would be a gap, and hide whether other gaps are published.
    """

    seed: int
    start_s: int
    until_s: int
    rate_per_s: int
    listen_on: str
    metrics_port: int
    clock_ahead_s: int = 0
    """Of the agent's clock: its events say a later time than that at which they happen."""
    strange_every: int = 0
    """Each so many events one is damaged on its way, and one has a field that nobody knows; 0 for none."""
    queue_events: int = QUEUE_EVENTS
    says: str = ""
    """The file with what it says of itself (`AgentFile`); empty for an agent that is too old to be asked."""

    def events(self) -> Iterator[tuple[int, bytes]]:
        """When each event happens (Unix epoch, nanoseconds), and its bytes."""
        options = WorkloadOptions(
            events=(self.until_s - self.start_s) * self.rate_per_s,
            seed=self.seed,
            start_seconds=self.start_s + self.clock_ahead_s,
            events_per_s=self.rate_per_s,
            shares={kind: share for kind, share in SHARES.items() if kind != "throttle"},
            nodes=(NODE,),
        )
        step_ns = _NS // self.rate_per_s
        times = itertools.count(self.start_s * _NS + step_ns, step_ns)
        return zip(times, self._as_they_arrive(Workload(options).events()), strict=False)

    def _as_they_arrive(self, events: Iterator[bytes]) -> Iterator[bytes]:
        if not self.strange_every:
            yield from events
            return
        for number, event in enumerate(events):
            match number % self.strange_every:
                case 0:
                    yield _DAMAGED
                case 1:
                    yield event + _NEW_FIELD
                case _:
                    yield event

    def as_json(self) -> str:
        """The life as an argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The life that an argument says."""
        return cls(**json.loads(text))


class Happenings:
    """The events of a life as they happen, and the queue of the one who reads them. For one reader at a time."""

    def __init__(self, life: Life) -> None:
        self._events = life.events()
        self._next = next(self._events, None)
        self._queue: deque[bytes] = deque()
        self._rest = _NOTHING
        self._queue_events = life.queue_events
        self._quiet_ns = life.until_s * _NS
        self.events_taken = 0
        self.overflowed = 0

    def forget(self) -> None:
        """A new reader begins: what has happened before is gone."""
        self._happen(reading=False)
        self._queue.clear()
        self._rest = _NOTHING

    def be_quiet(self) -> None:
        """Nothing happens from now on."""
        self._quiet_ns = time.time_ns()

    @property
    def finished(self) -> bool:
        """Whether the life is over and everything was read."""
        return self._next is None and not self._queue and not self._rest

    def take(self, room_bytes: int, elapsed_s: float) -> memoryview:
        """The next bytes of what has happened, at most `room_bytes`."""
        del elapsed_s
        self._happen(reading=True)
        if room_bytes <= 0:
            return _NOTHING
        if not self._rest:
            taken, size = [], 0
            while self._queue and size < room_bytes:
                taken.append(self._queue.popleft())
                size += len(taken[-1])
            self.events_taken += len(taken)
            self._rest = memoryview(b"".join(taken))
        piece, self._rest = self._rest[:room_bytes], self._rest[room_bytes:]
        return piece

    def _happen(self, *, reading: bool) -> None:
        now_ns = min(time.time_ns(), self._quiet_ns)
        while self._next is not None and self._next[0] <= now_ns:
            event = self._next[1]
            if not reading:
                pass
            elif len(self._queue) < self._queue_events:
                self._queue.append(b"\0" + len(event).to_bytes(4, "big") + event)
            else:
                self.overflowed += 1
            self._next = next(self._events, None)


@dataclass(frozen=True, slots=True)
class LiveOffer(Offer):
    """Serves what happens from now on, instead of a recording from its begin."""

    happenings: Happenings

    def pieces(self, selected: Recording) -> Happenings:
        """The events from now on."""
        del selected
        self.happenings.forget()
        return self.happenings


class LiveServer(SimulatorServer):
    """The simulator with a live offer."""

    def __init__(self, life: Life) -> None:
        super().__init__(Recording.of([]), life.listen_on)
        self.happenings = Happenings(life)
        agent = AgentFile(Path(life.says)) if life.says else None
        self._offer = LiveOffer(Recording.of([]), 1, float(life.rate_per_s), False, agent, self.happenings)


class _Metrics(BaseHTTPRequestHandler):
    """Tetragon's loss counters, as its metrics page has them."""

    happenings: ClassVar[Happenings]

    def do_GET(self) -> None:
        """Answer any path."""
        page = (
            f"tetragon_notify_overflowed_events_total {self.happenings.overflowed}\n"
            "tetragon_observer_ringbuf_events_lost_total 0\n"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def event_digest(event: bytes) -> bytes:
    """A digest short enough to remember a million of them."""
    return blake2b(event, digest_size=DIGEST_BYTES).digest()


def happened(life: Life, until_ns: int) -> Iterator[tuple[int, bytes]]:
    """When each event of a life happens up to a time, and its digest, as the life's own process has them."""
    command = [sys.executable, "-m", "tests.support.live_agent", life.as_json(), "happened", str(until_ns)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while record := process.stdout.read(_HAPPENED.size):
            yield _HAPPENED.unpack(record)
    assert process.returncode == 0


def main() -> None:
    """Serve one life until a SIGTERM, or write out what happens in it."""
    life = Life.from_json(sys.argv[1])
    if "happened" in sys.argv[2:]:
        until_ns = int(sys.argv[3])
        for time_ns, event in itertools.takewhile(lambda one: one[0] <= until_ns, life.events()):
            sys.stdout.buffer.write(_HAPPENED.pack(time_ns, event_digest(event)))
        return
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = LiveServer(life)
    _Metrics.happenings = server.happenings
    signal.signal(signal.SIGUSR1, lambda *_: server.happenings.be_quiet())
    with ThreadingHTTPServer(("127.0.0.1", life.metrics_port), _Metrics) as page, server:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        stop.wait()
        page.shutdown()


if __name__ == "__main__":
    main()

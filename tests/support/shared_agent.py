"""Agents with several readers: one source of events each, and a queue for every reader, filled in one order.

`python -m tests.support.shared_agent SOURCES` serves them, given as JSON, and prints their addresses. As in Tetragon,
each reader has a queue of 10,000 events and gets what happens from when it asked on; what does not fit is dropped and
counted. Maps come to each reader in an order of its own, and a loader's event comes three times with the same content.
At its end the program prints how many events it dropped, and how late it was: a test on a busy machine can tell its own
source's fault from callstream's.
"""

import json
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any, Final
from weakref import WeakSet

from app.simulator.agent_file import AgentFile
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from app.simulator.session import Offer
from schemas.tetragon.events_pb2 import GetEventsResponse

QUEUE_EVENTS = 10_000
"""Tetragon's `--event-queue-size`."""
GROUP = 7
LOADER_AT = (3, 4, 5)
"""Places in a group of events that one loader's event has, with the same content."""

_NS = 1_000_000_000
_NOTHING = memoryview(b"")
_LABELS: Final = [bytes(GetEventsResponse(node_labels={f"label-{one}": "x"}).SerializeToString()) for one in range(4)]
_MAPS: Final = [b"".join(order) for order in permutations(_LABELS)]
"""The same map in every order; how it is written is all that differs between two readers' bytes of an event."""


@dataclass(frozen=True, slots=True)
class Source:
    """The events of one node: one each `1 / rate_per_s` seconds, from `start_ns` (Unix epoch) on."""

    node: str
    start_ns: int
    rate_per_s: int
    agent: str = ""
    """The file that says what the agent tells of itself (`app/simulator/agent_file.py`); without, it tells nothing."""

    def time_ns(self, number: int) -> int:
        """When an event happens."""
        return self.start_ns + number * _NS // self.rate_per_s

    def kind(self, number: int) -> str:
        """What two events have in common if they are equal: its number, or that of the loader's group."""
        group, place = divmod(number, GROUP)
        return f"loader-{group}" if place in LOADER_AT else f"exec-{number}"

    def event(self, number: int) -> bytes:
        """An event without its map of labels."""
        event: Any = GetEventsResponse(node_name=self.node)
        kind = self.kind(number)
        process = event.process_loader.process if kind.startswith("loader") else event.process_exec.process
        process.exec_id = kind
        process.binary = "/usr/bin/true"
        happened_ns = self.time_ns(number if kind.startswith("exec") else number // GROUP * GROUP)
        event.time.seconds, event.time.nanos = divmod(happened_ns, _NS)
        return bytes(event.SerializeToString())


class Reader:
    """One reader's queue, as pieces of its stream."""

    def __init__(self, happenings: "Happenings", seed: int) -> None:
        self._happenings = happenings
        self._chance = Random(seed)
        self._queue: deque[bytes] = deque()
        self._rest = _NOTHING
        self.finished = False
        self.events_taken = 0

    def happened(self, events: Sequence[bytes]) -> None:
        """Queue events, and drop what does not fit."""
        room = max(0, QUEUE_EVENTS - len(self._queue))
        self._queue.extend(events[:room])
        self._happenings.dropped += max(0, len(events) - room)

    def take(self, room_bytes: int, elapsed_seconds: float) -> memoryview:
        """The next bytes, at most `room_bytes`."""
        del elapsed_seconds
        self._happenings.go_on()
        if room_bytes > 0 and not self._rest:
            parts, size = [], 0
            while self._queue and size < room_bytes:
                event = self._queue.popleft() + self._chance.choice(_MAPS)
                parts.append(b"\0" + len(event).to_bytes(4, "big") + event)
                size += len(parts[-1])
                self.events_taken += 1
            self._rest = memoryview(b"".join(parts))
        piece, self._rest = self._rest[: max(0, room_bytes)], self._rest[max(0, room_bytes) :]
        return piece


class Happenings:
    """What happens at one source, and who reads it. Only the server's thread uses it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.dropped = 0
        self.latest_ms = 0
        """How late the latest event was when it happened; a source that gets no turn is late."""
        self._readers: WeakSet[Reader] = WeakSet()
        """Whoever hangs up has no queue any more."""
        self._joined = 0
        self._next = 0

    def join(self) -> Reader:
        """A reader that begins now."""
        self.go_on()
        reader = Reader(self, self._joined)
        self._joined += 1
        self._readers.add(reader)
        return reader

    def go_on(self) -> None:
        """Let happen what is due, for all readers."""
        source, first = self.source, self._next
        now_ns = time.time_ns()
        self._next = max(first, (now_ns - source.start_ns) * source.rate_per_s // _NS)
        if not self._readers or first == self._next:
            return
        self.latest_ms = max(self.latest_ms, (now_ns - source.time_ns(first)) // 1_000_000)
        events = [source.event(number) for number in range(first, self._next)]
        for reader in self._readers:
            reader.happened(events)


@dataclass(frozen=True, slots=True)
class SharedOffer(Offer):
    """Serves what happens from now on."""

    happenings: Happenings

    def pieces(self, selected: Recording) -> Reader:
        """A reader of its own for each call."""
        del selected
        return self.happenings.join()


class SharedServer(SimulatorServer):
    """The simulator with one live source for all of its readers."""

    def __init__(self, source: Source) -> None:
        super().__init__(Recording.of([]), "127.0.0.1:0")
        self.happenings = Happenings(source)
        agent = AgentFile(Path(source.agent)) if source.agent else None
        self._offer = SharedOffer(Recording.of([]), 1, float(source.rate_per_s), False, agent, self.happenings)


def as_arguments(sources: Sequence[Source]) -> list[str]:
    """The command that serves these."""
    return [sys.executable, "-m", "tests.support.shared_agent", json.dumps([asdict(one) for one in sources])]


def main() -> None:
    """Serve until a SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with ExitStack() as stack:
        servers = [stack.enter_context(SharedServer(Source(**one))) for one in json.loads(sys.argv[1])]
        sys.stdout.write(json.dumps([server.address for server in servers]) + "\n")
        sys.stdout.flush()
        stop.wait()
        happenings = [server.happenings for server in servers]
        books = {
            "dropped": sum(one.dropped for one in happenings),
            "latest_ms": max(one.latest_ms for one in happenings),
            "cpu_seconds": round(time.process_time(), 1),
        }
        sys.stdout.write(json.dumps(books) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

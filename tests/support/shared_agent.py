"""Agents with several readers: one source of events each, and a queue for every reader, filled in one order.

`python -m tests.support.shared_agent SOURCES` serves them, given as JSON, and prints their addresses. As in Tetragon,
each reader has a queue of 10,000 events and gets what happens from when it asked on; what does not fit is dropped and
counted. Maps come to each reader in an order of its own, and a loader's event comes three times with the same content.
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
from random import Random
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Source:
    """The events of one node: one each `1 / rate_per_s` seconds, from `start_ns` (Unix epoch) on."""

    node: str
    start_ns: int
    rate_per_s: int

    def time_ns(self, number: int) -> int:
        """When an event happens."""
        return self.start_ns + number * _NS // self.rate_per_s

    def kind(self, number: int) -> str:
        """What two events have in common if they are equal: its number, or that of the loader's group."""
        group, place = divmod(number, GROUP)
        return f"loader-{group}" if place in LOADER_AT else f"exec-{number}"

    def event(self, number: int, chance: Random) -> bytes:
        """An event; its map is in an order by chance."""
        event: Any = GetEventsResponse(node_name=self.node)
        kind = self.kind(number)
        process = event.process_loader.process if kind.startswith("loader") else event.process_exec.process
        process.exec_id = kind
        process.binary = "/usr/bin/true"
        happened_ns = self.time_ns(number if kind.startswith("exec") else number // GROUP * GROUP)
        event.time.seconds, event.time.nanos = divmod(happened_ns, _NS)
        labels = [bytes(GetEventsResponse(node_labels={f"label-{one}": "x"}).SerializeToString()) for one in range(4)]
        chance.shuffle(labels)
        return bytes(event.SerializeToString()) + b"".join(labels)


class Reader:
    """One reader's queue, as pieces of its stream."""

    def __init__(self, happenings: "Happenings", seed: int) -> None:
        self._happenings = happenings
        self._chance = Random(seed)
        self._queue: deque[int] = deque()
        self._rest = _NOTHING
        self.finished = False
        self.events_taken = 0

    def happened(self, numbers: range) -> None:
        """Queue events, and drop what does not fit."""
        room = max(0, QUEUE_EVENTS - len(self._queue))
        self._queue.extend(numbers[:room])
        self._happenings.dropped += max(0, len(numbers) - room)

    def take(self, room_bytes: int, elapsed_seconds: float) -> memoryview:
        """The next bytes, at most `room_bytes`."""
        del elapsed_seconds
        self._happenings.go_on()
        if room_bytes > 0 and not self._rest:
            parts, size = [], 0
            while self._queue and size < room_bytes:
                event = self._happenings.source.event(self._queue.popleft(), self._chance)
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
        self._readers: list[Reader] = []
        self._next = 0

    def join(self) -> Reader:
        """A reader that begins now."""
        self.go_on()
        self._readers.append(Reader(self, len(self._readers)))
        return self._readers[-1]

    def go_on(self) -> None:
        """Let happen what is due, for all readers."""
        source, first = self.source, self._next
        self._next = max(first, (time.time_ns() - source.start_ns) * source.rate_per_s // _NS)
        for reader in self._readers:
            reader.happened(range(first, self._next))


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
        self._offer = SharedOffer(Recording.of([]), 1, float(source.rate_per_s), False, Happenings(source))


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


if __name__ == "__main__":
    main()

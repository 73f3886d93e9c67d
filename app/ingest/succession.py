"""One ingest after another on a node: who waits, when its turn comes, and where it goes on.

One process works in a folder. A second one waits: it opens its own stream, keeps the latest events in memory, and is
ready. When the first one stops in good order, it leaves a `Handover` and gives the folder free. The second one finds
the first one's last events among its own and writes from the next on, so nothing is missing and nothing is there twice.
Where it finds no such place (the first one was killed, its stream was broken, other filters), the time up to its turn
is a gap, and events of that time are passed over. A third process is refused.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from app.ingest.client import EventStream
from app.ingest.cut import Cut, event_digests, find_cut, take_one
from app.ingest.early_events import EarlyEvents, Put
from app.ingest.handover import Handover, take
from app.ingest.node_claims import LATENESS_NS, OpenClaim
from app.ingest.opening import Opening, opening_of
from app.ingest.reload import Inheritance
from app.processes.folder_lock import is_locked, lock_folder, open_lock, take_lock
from app.settings import Settings
from app.telemetry import metrics
from app.telemetry.http import TelemetryServer
from app.telemetry.meter import Meter
from app.telemetry.metric import Process
from app.telemetry.metrics import metrics_of
from schemas.raw_event import event_time_ns
from schemas.units import NS_PER_SECOND

log = logging.getLogger(__name__)

SETTING: Final = "CALLSTREAM_DATA_DIR"
OWNER: Final = "callstream ingest"
_POLL_SECONDS: Final = 0.05
_LIFE_SECONDS: Final = 1.0
"""How often a stream without events is looked at."""
_ANSWER_SECONDS: Final = 3.0
_PATIENCE_SECONDS: Final = 5.0
"""For the old one's last events to arrive here, too."""
_COMING_SECONDS: Final = 10.0
"""For events that the old one had, and that are behind the cut in this process's queue."""


def journal_folder(settings: Settings) -> Path:
    """Where a node's ingest keeps what must outlast it; its lock says who works."""
    return settings.data_dir / "ingest"


def is_waited_for(folder: Path) -> bool:
    """Whether another ingest waits for the folder."""
    return is_locked(_waiting_folder(folder))


@dataclass(slots=True)
class Waited:
    """A process that waited: its open stream, and what the one before it left."""

    opening: Opening
    stream: EventStream
    early: EarlyEvents
    reader: threading.Thread
    handover: Handover | None
    turn_ns: int
    """When the folder was free; the one before wrote nothing later."""
    server: TelemetryServer
    """Serves its probes until the process that works does."""
    address: str
    """Of its probes; empty where it inherits those of the process before it."""
    failures: list[BaseException]
    """What ended the reader, if anything did."""

    def read_on(self) -> None:
        """Return when the reader has ended; raises what ended it."""
        self.reader.join()
        if self.failures:
            raise self.failures[0]


@dataclass(slots=True)
class Turn:
    """The right to work in the folder."""

    lock: IO[bytes]
    waited: Waited | None = None
    inheritance: Inheritance | None = None


@dataclass(slots=True)
class Passage:
    """From which event on to write, and which claim goes on; without a claim there is a gap up to the turn."""

    claim: OpenClaim | None
    select: Callable[[list[bytes]], list[bytes]]
    filtered: Callable[[Put, Callable[[], None]], Put]
    """A `put` in front of another one; it calls the second argument once it is needed no more."""


def await_turn(
    settings: Settings,
    stop: threading.Event,
    announce: Callable[[str], None],
    inheritance: Inheritance | None = None,
) -> Turn | None:
    """The turn of this process, at once or after the one before it has ended; None if it was stopped before.

    `announce` gets the address of the probes of a process that waits, unless the probes of the one before are to be
    inherited. Raises FolderUnusableError, SettingsError, HttpError, and what ends a stream for good.
    """
    folder = journal_folder(settings)
    lock = open_lock(folder, setting=SETTING)
    if take_lock(lock):
        take(folder)  # of a process that ended without us
        return Turn(lock, inheritance=inheritance)
    waiting = lock_folder(_waiting_folder(folder), setting=SETTING, owner=f"{OWNER} that waits for the first")
    try:
        waited = _wait(settings, lock, stop, announce, inheritance)
    finally:
        waiting.close()
    if waited is None:
        lock.close()
        return None
    return Turn(lock, waited, inheritance)


def find_passage(waited: Waited, *, patience_seconds: float = _PATIENCE_SECONDS) -> Passage:
    """Where to go on; waits until the old one's last events have arrived here, or it is clear that they will not."""
    handover, early = waited.handover, waited.early
    early.hold()
    reason = _no_cut(waited)
    if handover is not None and reason is None:
        deadline = time.monotonic() + patience_seconds
        received: list[str] = []
        while True:
            received += event_digests(early.kept(len(received)))
            if (cut := find_cut(handover.tail, received)) is not None:
                return _behind(cut, len(received), handover.claim)
            if early.is_whole and handover.last_received_ns < early.asked_ns:
                return _behind(Cut(list(range(len(received))), Counter()), len(received), handover.claim)
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
        reason = "none of the last ingest's events came here, too"
    log.warning("the last ingest's events cannot be continued, so there is a gap: %s", reason)
    return _after(waited.turn_ns)


def _wait(
    settings: Settings,
    lock: IO[bytes],
    stop: threading.Event,
    announce: Callable[[str], None],
    inheritance: Inheritance | None,
) -> Waited | None:
    opening = opening_of(settings)
    early = EarlyEvents()
    stream = EventStream(opening.link, opening.request, early.put, opened=early.opened, ended=early.ended)
    failures: list[BaseException] = []

    def read() -> None:
        try:
            stream.run()
        except BaseException as error:  # noqa: BLE001 - it is raised again on the main thread
            failures.append(error)

    reader = threading.Thread(target=read, name="reader", daemon=True)
    meter = Meter(metrics_of(Process.INGEST))
    meter.set(metrics.PROCESS_INFO, 1, metrics.INGEST_PROCESS)
    server = TelemetryServer(
        meter,
        alive={"threads": lambda: None if reader.is_alive() else "ended: reader"},
        ready={"stream": lambda: None if early.open_ns is not None else stream.trouble},
    )
    waited = Waited(opening, stream, early, reader, None, 0, server, "", failures)
    reader.start()
    has_turn = False
    try:
        if inheritance is None:
            waited.address = server.start(settings.http_host, settings.http_port)
            announce(waited.address)
        log.info("another ingest works on this node; this one reads, and waits for its turn")
        has_turn = _await_lock(waited, lock, stop, inheritance)
        waited.turn_ns = time.time_ns()
    finally:
        if not has_turn:
            stream.stop()
            server.close()
    if not has_turn:
        return None
    log.info("the other ingest has ended, and this one goes on")
    waited.handover = take(journal_folder(settings))
    return waited


def _await_lock(waited: Waited, lock: IO[bytes], stop: threading.Event, inheritance: Inheritance | None) -> bool:
    """Whether the lock could be taken before the stop. Raises what ended the reader."""
    look = 0.0
    while not stop.wait(_POLL_SECONDS):
        if not waited.reader.is_alive():
            waited.read_on()
        if take_lock(lock):
            return True
        if inheritance is not None and waited.early.open_ns is not None:
            inheritance.say_ready()
            inheritance = None
        if waited.early.open_ns is None and time.monotonic() >= look:
            look = time.monotonic() + _LIFE_SECONDS
            if waited.stream.answers(_ANSWER_SECONDS):
                waited.early.answered()
    return False


def _no_cut(waited: Waited) -> str | None:
    """Why there can be no cut; None if there may be one."""
    handover, open_ns = waited.handover, waited.early.open_ns
    if handover is None:
        return "it left nothing"
    if handover.request != waited.opening.digest:
        return "it read with other filters"
    if open_ns is None or open_ns >= handover.stopped_ns:
        return "our stream was not open before it stopped"
    return None


def _behind(cut: Cut, known: int, claim: OpenClaim) -> Passage:
    """Go on with the events of a cut; those that came after it was made are looked at by the filter."""
    coming = cut.still_to_come

    def select(kept: list[bytes]) -> list[bytes]:
        later = [event for event in kept[known:] if not _was_written(event, coming)]
        return [kept[number] for number in cut.unwritten] + later

    def filtered(put: Put, done: Callable[[], None]) -> Put:
        end = time.monotonic() + _COMING_SECONDS

        def put_unwritten(event: bytes) -> object:
            if not coming or time.monotonic() > end:
                done()
                return put(event)
            return True if _was_written(event, coming) else put(event)

        return put_unwritten

    return Passage(claim, select, filtered)


def _was_written(event: bytes, coming: Counter[str]) -> bool:
    return bool(coming) and take_one(coming, event_digests([event])[0])


def _after(turn_ns: int) -> Passage:
    """Go on with what happened after the turn: what happened before may be written, and is inside the gap."""

    def select(kept: list[bytes]) -> list[bytes]:
        return [event for event in kept if (event_time_ns(event) or 0) > turn_ns]

    def filtered(put: Put, done: Callable[[], None]) -> Put:
        end = time.monotonic() + LATENESS_NS / NS_PER_SECOND

        def put_later(event: bytes) -> object:
            if time.monotonic() > end:
                done()
                return put(event)
            happened_ns = event_time_ns(event)
            return put(event) if happened_ns is None or happened_ns > turn_ns else True

        return put_later

    return Passage(None, select, filtered)


def _waiting_folder(folder: Path) -> Path:
    return folder / "waiting"

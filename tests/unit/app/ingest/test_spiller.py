import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.ingest.buffer import Buffer, BufferLimits
from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval
from app.ingest.keys import KeyReader
from app.ingest.spill import SpillFolder
from app.ingest.spiller import Spiller
from app.telemetry import metrics
from app.telemetry.meter import Meter
from app.telemetry.metric import DropReason
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse

EVENT_PADDING = 2000


def _event(number: int) -> bytes:
    event: Any = GetEventsResponse(node_name="node-1")
    event.process_exec.process.exec_id = f"exec-{number}"
    event.process_exec.process.arguments = "x" * EVENT_PADDING
    event.time.seconds = number
    return bytes(event.SerializeToString())


class Scene:
    """A buffer for 1,000 events with a spill folder in front of the writer."""

    def __init__(
        self, folder: Path, *, max_events: int = 1000, spill_bytes: int = 64 << 20, grace_seconds: float = 0.0
    ) -> None:
        self.folder = SpillFolder(folder, spill_bytes)
        limits = BufferLimits(max_events=max_events, max_bytes=1 << 30, grace_seconds=grace_seconds)
        self.buffer = Buffer(limits, KeyReader(NodeId("", "host")), drop_stored=self.folder.drop_oldest)
        self.spiller = Spiller(self.buffer, self.folder, KeyReader(NodeId("", "host")))

    def put(self, *numbers: int) -> None:
        """Receive events, storing as the spiller's thread would."""
        for number in numbers:
            self.buffer.put(_event(number))
            if number % 100 == 0:
                self.spiller.store_above(0.5)

    def page(self) -> dict[str, float]:
        """The books."""
        meter = Meter()
        meter.add_source(lambda: self.buffer.publish(meter))
        return {
            "received": meter.total(metrics.RECEIVED),
            "restored": meter.read(metrics.RESTORED),
            "memory": meter.read(metrics.BUFFERED, "memory"),
            "disk": meter.read(metrics.BUFFERED, "disk"),
            "producer": meter.read(metrics.BUFFERED, "producer"),
            "written": meter.read(metrics.WRITTEN, "tetragon.raw"),
            "dropped": meter.total(metrics.DROPPED),
        }

    def write_all(self) -> list[bytes]:
        """What a writer takes, in order, each chunk acknowledged at once."""
        events: list[bytes] = []
        while (chunk := self.spiller.take()) is not None:
            assert len(chunk.keys) == len(chunk.events)
            events += chunk.events
            self.spiller.settled(0)
        return events


def test_more_than_memory_holds_is_written_in_order(tmp_path: Path) -> None:
    """Kafka is away for ten times the buffer, and no event is lost or overtakes another."""
    scene = Scene(tmp_path)
    scene.put(*range(10_000))
    before = scene.page()

    assert scene.write_all() == [_event(number) for number in range(10_000)]
    assert before["disk"] > 9000
    assert before["dropped"] == 0
    assert scene.page() == {
        "received": 10_000, "restored": 0, "memory": 0, "disk": 0, "producer": 0, "written": 10_000, "dropped": 0,
    }  # fmt: skip
    assert scene.buffer.imbalance() == 0
    assert list(tmp_path.glob("*.events")) == []


def test_arriving_and_writing_at_once_keeps_the_order(tmp_path: Path) -> None:
    """The spiller's thread moves chunks while the writer takes and the reader puts."""
    scene = Scene(tmp_path, grace_seconds=60.0)
    spilling = threading.Thread(target=scene.spiller.run)
    written: list[bytes] = []
    done = threading.Event()

    def write() -> None:
        while not (done.is_set() and scene.buffer.is_empty() and scene.spiller.is_drained()):
            while (chunk := scene.spiller.take()) is not None:
                written.extend(chunk.events)
            time.sleep(0.02)
            scene.spiller.settled(0)

    writing = threading.Thread(target=write)
    spilling.start()
    writing.start()
    try:
        for number in range(15_000):
            scene.buffer.put(_event(number))
    finally:
        done.set()
        writing.join(60)
        scene.spiller.stop()
        spilling.join(20)

    assert written == [_event(number) for number in range(15_000)]
    assert scene.buffer.imbalance() == 0


def test_next_process_writes_what_was_stored_before_what_arrives(tmp_path: Path) -> None:
    """Restored events are counted as such, and come first."""
    first = Scene(tmp_path)
    first.put(*range(3000))
    first.spiller.store_above(0.0)
    first.folder.close()

    second = Scene(tmp_path)
    second.put(3001)

    assert second.page()["restored"] == 3000
    assert second.write_all() == [_event(number) for number in (*range(3000), 3001)]
    assert second.buffer.imbalance() == 0
    assert second.page()["written"] == 3001


def test_what_the_producer_gives_back_on_a_stop_comes_once(tmp_path: Path) -> None:
    """Chunks that were taken from disk and not written are on disk once for the next process, before all others."""
    first = Scene(tmp_path)
    first.put(*range(3000))
    first.spiller.store_above(0.0)
    taken = [event for _ in range(2) if (chunk := first.spiller.take()) is not None for event in chunk.events]
    assert 0 < len(taken) < 3000
    assert first.spiller.store_first(taken, 1_000)
    first.spiller.forget_taken()
    first.folder.close()

    second = Scene(tmp_path)
    assert second.page()["restored"] == 3000
    assert second.write_all() == [_event(number) for number in range(3000)]


def test_what_was_written_before_a_stop_does_not_come_again(tmp_path: Path) -> None:
    """Chunks that were taken and written leave the disk, also where their segment holds others."""
    first = Scene(tmp_path)
    first.put(*range(3000))
    first.spiller.store_above(0.0)
    chunk = first.spiller.take()
    assert chunk is not None
    first.spiller.forget_taken()
    first.folder.close()

    second = Scene(tmp_path)
    assert second.write_all() == [_event(number) for number in range(len(chunk.events), 3000)]
    assert not list(tmp_path.glob("*.partial"))


def _wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_full_folder_loses_the_oldest_on_disk_and_says_so(tmp_path: Path) -> None:
    """The newest survive: what goes after the grace time is the oldest of all, and it lies on disk."""
    scene = Scene(tmp_path, spill_bytes=1 << 20)
    spilling = threading.Thread(target=scene.spiller.run)
    spilling.start()
    try:
        for number in range(3000):
            scene.buffer.put(_event(number))
            if number == 600:  # a busy machine may not have run the spiller yet, and then nothing is lost on disk
                _wait_for(lambda: scene.page()["disk"] > 0)
    finally:
        scene.spiller.stop()
        spilling.join(20)

    dropped = scene.buffer.take_findings().dropped
    interval = dropped[DropReason.SPILL_FULL]
    if DropReason.OVERFLOW in dropped:  # before the first chunk was on disk
        interval.widen(dropped[DropReason.OVERFLOW])
    survivors = scene.write_all()
    assert survivors == [_event(number) for number in range(3000 - len(survivors), 3000)]
    assert interval.events == 3000 - len(survivors)
    assert (interval.from_ns, interval.to_ns // 1_000_000_000) == (0, interval.events - 1)
    assert scene.buffer.imbalance() == 0


def test_damaged_events_are_dropped_with_their_own_reason(tmp_path: Path) -> None:
    """A bad disk costs what lay there, counted and described for a gap; the rest is written."""
    scene = Scene(tmp_path)
    scene.put(*range(1000))
    scene.spiller.store_above(0.0)
    (path,) = tmp_path.glob("*.events")
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)

    written = scene.write_all()

    lost = scene.buffer.take_findings().dropped[DropReason.SPILL]
    assert len(written) + lost.events == 1000
    assert 0 < lost.events < 1000
    assert scene.buffer.imbalance() == 0


def test_disk_that_refuses_leaves_events_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay first in line, the operator is told, and the trouble ends when a write succeeds."""
    scene = Scene(tmp_path)
    for number in range(900):
        scene.buffer.put(_event(number))

    def refuse(_chunk: Chunk, _span: EventInterval) -> bool:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(scene.folder, "append", refuse)
        scene.spiller.store_above(0.5)
        trouble = scene.spiller.trouble
        on_disk = scene.page()["disk"]
    scene.spiller.store_above(0.5)

    assert trouble == "the spill folder cannot be written: No space left on device"
    assert on_disk == 0
    assert scene.spiller.trouble is None
    assert scene.write_all() == [_event(number) for number in range(900)]


def test_events_given_back_by_the_producer_are_stored_first(tmp_path: Path) -> None:
    """On a stop without Kafka nothing is lost, and the order holds."""
    scene = Scene(tmp_path)
    scene.put(*range(1, 300))
    chunk = scene.spiller.take()
    assert chunk is not None
    scene.spiller.store_above(0.0)

    assert scene.spiller.store_first(chunk.events, 5)

    assert scene.page()["producer"] == 0
    assert scene.write_all() == [_event(number) for number in range(1, 300)]
    assert scene.buffer.imbalance() == 0


def test_oldest_event_on_disk_bounds_what_is_written(tmp_path: Path) -> None:
    """A claim of completeness waits for the disk too."""
    scene = Scene(tmp_path)
    assert scene.spiller.oldest_waiting_ms() is None
    scene.put(1)
    scene.spiller.store_above(0.0)
    time.sleep(0.01)
    scene.put(2)

    on_disk = scene.spiller.oldest_waiting_ms()
    scene.spiller.take()
    in_memory = scene.spiller.oldest_waiting_ms()

    assert on_disk is not None
    assert in_memory is not None
    assert on_disk < in_memory


def test_full_folder_is_one_line_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Room comes and goes with every segment that is dropped; the log says once that the folder is full."""
    scene = Scene(tmp_path, spill_bytes=1 << 20)
    times_full = 0
    for number in range(900):
        scene.buffer.put(_event(number))
        scene.spiller.store_above(0.0)
        if scene.spiller.trouble is not None:
            times_full += 1
            scene.folder.drop_oldest()

    assert times_full > 3
    assert [record.message for record in caplog.records] == ["the spill folder is full"]

import threading
import time
from collections.abc import Callable
from typing import Any

from app.ingest.buffer import GRANT_BYTES, Buffer, BufferLimits
from app.ingest.chunk import Chunk
from app.ingest.event_books import MAX_THROTTLES
from app.ingest.keys import KeyReader
from app.telemetry import metrics
from app.telemetry.meter import Meter
from app.telemetry.metric import DropReason
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse

SECOND_NS = 1_000_000_000


def _event(number: int, padding: int = 0) -> bytes:
    event: Any = GetEventsResponse(node_name="node-1")
    event.process_exec.process.exec_id = f"exec-{number}"
    event.process_exec.process.arguments = "x" * padding
    event.time.seconds = number
    return bytes(event.SerializeToString())


def _buffer(max_events: int = 100_000, max_bytes: int = 1 << 30, grace_seconds: float = 60.0) -> Buffer:
    limits = BufferLimits(max_events=max_events, max_bytes=max_bytes, grace_seconds=grace_seconds)
    return Buffer(limits, KeyReader(NodeId("", "host")), wall_ns=lambda: 7 * SECOND_NS)


def _taken(buffer: Buffer) -> list[Chunk]:
    chunks = []
    while (chunk := buffer.take()) is not None:
        chunks.append(chunk)
    return chunks


def _page(buffer: Buffer) -> dict[str, float]:
    meter = Meter()
    meter.add_source(lambda: buffer.publish(meter))
    return {
        "received": meter.total(metrics.RECEIVED),
        "memory": meter.read(metrics.BUFFERED, "memory"),
        "producer": meter.read(metrics.BUFFERED, "producer"),
        "written": meter.read(metrics.WRITTEN, "tetragon.raw"),
        "dropped": meter.total(metrics.DROPPED),
    }


def _is_reader_held(buffer: Buffer) -> bool:
    return buffer._held_since is not None


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not come about within 20 s"
        time.sleep(0.002)


def test_events_leave_in_the_order_of_arrival_with_their_keys() -> None:
    """Chunks together hold every event once, in order, next to its key and time of receipt."""
    buffer = _buffer()
    events = [_event(number) for number in range(20_000)]
    for event in events:
        assert buffer.put(event)

    chunks = _taken(buffer)

    assert [event for chunk in chunks for event in chunk.events] == events
    assert [key for chunk in chunks for key in chunk.keys] == [f"exec-{n}".encode() for n in range(len(events))]
    assert {chunk.received_ms for chunk in chunks} == {7000}
    assert sum(chunk.size_bytes for chunk in chunks) == sum(map(len, events))


def test_chunks_are_small() -> None:
    """Dropping the oldest goes by chunks, so an unattended buffer must not make one of everything."""
    buffer = _buffer()
    for number in range(20_000):
        buffer.put(_event(number))

    assert max(chunk.size_bytes for chunk in _taken(buffer)) <= GRANT_BYTES


def test_books_balance_in_every_place() -> None:
    """Received = memory + producer + written + dropped, after every step of an event's way."""
    buffer = _buffer()
    for number in range(10):
        buffer.put(_event(number))
    pages = [_page(buffer)]
    assert buffer.take() is not None
    pages.append(_page(buffer))
    buffer.settled(4)
    buffer.rejected(_event(0), DropReason.REJECTED)
    pages.append(_page(buffer))
    buffer.put(_event(11))
    buffer.give_up(DropReason.SHUTDOWN, 0)
    pages.append(_page(buffer))

    assert pages == [
        {"received": 10, "memory": 10, "producer": 0, "written": 0, "dropped": 0},
        {"received": 10, "memory": 0, "producer": 10, "written": 0, "dropped": 0},
        {"received": 10, "memory": 0, "producer": 3, "written": 6, "dropped": 1},
        {"received": 11, "memory": 0, "producer": 0, "written": 6, "dropped": 5},
    ]
    assert buffer.imbalance() == 0
    assert buffer.is_empty()


def test_producer_that_counts_other_things_does_not_unwrite_events() -> None:
    """The producer's queue length includes errors and statistics: what was written stays written."""
    buffer = _buffer()
    for number in range(5):
        buffer.put(_event(number))
    buffer.take()

    written = [buffer.settled(2), buffer.settled(9), buffer.settled(2), buffer.settled(0)]

    assert written == [3, 0, 0, 2]


def test_full_buffer_holds_the_reader_until_kafka_takes_something() -> None:
    """No event is dropped within the grace time; the reader goes on as soon as there is room."""
    buffer = _buffer(max_events=4)
    for number in range(4):
        buffer.put(_event(number))
    reader = _in_thread(lambda: buffer.put(_event(4)))
    _wait_until(lambda: _is_reader_held(buffer))

    _taken(buffer)
    assert _is_reader_held(buffer), "an event with the producer is still held in memory"
    buffer.settled(2)
    reader.join(20)

    assert not reader.is_alive()
    assert _page(buffer) == {"received": 5, "memory": 0, "producer": 2, "written": 3, "dropped": 0}


def test_bytes_hold_the_reader_too() -> None:
    """The limit in bytes counts what the events weigh."""
    buffer = _buffer(max_bytes=100_000)
    buffer.put(_event(0, padding=60_000))
    reader = _in_thread(lambda: buffer.put(_event(1, padding=60_000)))
    _wait_until(lambda: _is_reader_held(buffer))

    _taken(buffer)
    buffer.settled(0)
    reader.join(20)

    assert not reader.is_alive()


def test_after_the_grace_time_the_oldest_are_dropped_and_noted() -> None:
    """The newest events survive; the span of the dropped ones, by their own times, is handed out once."""
    buffer = _buffer(max_events=100, grace_seconds=0.0)
    for number in range(250):
        buffer.put(_event(number))

    findings = buffer.take_findings()
    interval = findings.dropped[DropReason.OVERFLOW]
    survivors = [event for chunk in _taken(buffer) for event in chunk.events]
    assert survivors == [_event(number) for number in range(250 - len(survivors), 250)]
    assert 50 <= len(survivors) <= 100
    assert (interval.events, interval.from_ns, interval.to_ns) == (
        250 - len(survivors),
        0,
        (249 - len(survivors)) * SECOND_NS,
    )
    assert buffer.take_findings().dropped == {}
    assert buffer.imbalance() == 0


def test_slow_kafka_does_not_start_the_grace_time_anew() -> None:
    """Room for one chunk at a time must not hold the agent for ever: dropping starts when the grace time is over."""
    buffer = _buffer(max_events=8, grace_seconds=0.2)
    own_chunk = 1 << 20
    stop = threading.Event()

    def read() -> None:
        while buffer.put(_event(0, padding=own_chunk)):
            pass

    def drain_slowly() -> None:
        while not stop.wait(0.02):
            buffer.take()
            buffer.settled(0)

    threads = [_in_thread(read), _in_thread(drain_slowly)]
    try:
        _wait_until(lambda: _page(buffer)["dropped"] > 0)
    finally:
        stop.set()
        buffer.close()
        for thread in threads:
            thread.join(20)
    assert buffer.imbalance() == 0


def test_relieved_buffer_grants_the_grace_time_again() -> None:
    """After Kafka caught up, the next congestion begins with holding the reader, not with dropping."""
    buffer = _buffer(max_events=4, grace_seconds=0.3)
    for number in range(5):
        buffer.put(_event(number))
    dropped = _page(buffer)["dropped"]
    assert dropped > 0
    _taken(buffer)
    buffer.settled(0)

    for number in range(4):
        buffer.put(_event(number))
    reader = _in_thread(lambda: buffer.put(_event(9)))
    _wait_until(lambda: _is_reader_held(buffer))

    assert _page(buffer)["dropped"] == dropped
    buffer.close()
    reader.join(20)


def test_event_larger_than_the_buffer_is_taken_alone() -> None:
    """Limits protect memory; they do not make an event impossible."""
    buffer = _buffer(max_bytes=1000, grace_seconds=0.0)
    buffer.put(_event(0))
    buffer.take_findings()
    buffer.put(_event(1, padding=5000))

    (chunk,) = _taken(buffer)
    assert chunk.events == [_event(1, padding=5000)]


def test_closing_frees_a_held_reader_and_keeps_its_event() -> None:
    """On SIGTERM the reader stops at once, and what it had read is drained like the rest."""
    buffer = _buffer(max_events=1)
    buffer.put(_event(0))
    answers: list[bool] = []
    reader = _in_thread(lambda: answers.append(buffer.put(_event(1))))
    _wait_until(lambda: _is_reader_held(buffer))

    buffer.close()
    reader.join(20)

    assert answers == [False]
    assert sum(len(chunk) for chunk in _taken(buffer)) == 2


def test_oldest_waiting_event_bounds_what_is_written() -> None:
    """The time of receipt of the oldest event that Kafka was not given yet; none when there is no such event."""
    clock = [1_000 * SECOND_NS]
    limits = BufferLimits(max_events=100, max_bytes=1 << 20, grace_seconds=1)
    buffer = Buffer(limits, KeyReader(NodeId("", "host")), wall_ns=lambda: clock[0])
    seen = [buffer.oldest_waiting_ms()]
    buffer.put(_event(0))
    seen.append(buffer.oldest_waiting_ms())
    clock[0] += SECOND_NS
    buffer.put(_event(1))
    seen.append(buffer.oldest_waiting_ms())
    buffer.take()
    seen.append(buffer.oldest_waiting_ms())
    buffer.take()
    seen.append(buffer.oldest_waiting_ms())

    assert seen == [None, 1_000_000, 1_000_000, 1_001_000, None]


def test_report_after_giving_up_changes_nothing() -> None:
    """A late acknowledgement for an event that was booked as lost must not count it twice."""
    buffer = _buffer()
    buffer.put(_event(0))
    assert buffer.take() is not None
    assert buffer.give_up(DropReason.SHUTDOWN, 3) == 1

    buffer.settled(0)

    assert buffer.take_findings().dropped[DropReason.SHUTDOWN].from_ns == 3
    assert _page(buffer)["written"] == 0
    assert buffer.imbalance() == 0


def test_undecodable_and_throttle_events_are_findings() -> None:
    """Coverage learns of both when it asks."""
    buffer = _buffer()
    throttle: Any = GetEventsResponse(node_name="node-9")
    throttle.process_throttle.type = 1
    buffer.put(b"\xff")
    buffer.put(throttle.SerializeToString())

    findings = buffer.take_findings()

    assert findings.undecodable is not None
    assert (findings.undecodable.events, findings.undecodable.from_ns) == (1, 7 * SECOND_NS)
    assert [one.started for one in findings.throttles] == [True]
    assert buffer.node == NodeId("", "node-9")


def test_wait_ends_when_an_event_arrives() -> None:
    """An idle writer sleeps until there is something to write."""
    buffer = _buffer()
    writer = _in_thread(lambda: buffer.wait(60))

    buffer.put(_event(0))
    writer.join(20)

    assert not writer.is_alive()


def test_throttling_of_countless_cgroups_is_noted_within_a_limit() -> None:
    """Beyond it throttling counts as begun and never ends in this stream; no start is later than its receipt."""
    buffer = _buffer(max_events=100_000, max_bytes=1 << 30)
    for number in range(3 * MAX_THROTTLES):
        throttle: Any = GetEventsResponse(node_name="node-9")
        throttle.process_throttle.type = 1 + number % 2
        throttle.process_throttle.cgroup = f"/{number}"
        throttle.time.seconds = 9_000_000_000
        buffer.put(throttle.SerializeToString())
    throttles = buffer.take_findings().throttles

    assert len(throttles) == MAX_THROTTLES + 1
    assert throttles[-1].started
    assert throttles[-1].cgroup not in {one.cgroup for one in throttles[:-1]}
    assert {one.time_ns for one in throttles} == {7 * SECOND_NS}

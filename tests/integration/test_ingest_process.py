"""`callstream ingest` between the simulator and a real broker."""

import errno
import os
import random
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from confluent_kafka import Message

from agents.coverage.keys import node_in
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from schemas import topics
from schemas.coverage import GapCause
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.breakable_broker import BreakableBroker
from tests.support.failing_disk import ALL_THAT_FOLLOW, Fault, failing_disk
from tests.support.ingest_process import IngestSite, wait_for

pytestmark = pytest.mark.integration

PROCESSES = 50
UNDECODABLE = b"\xff\xff not protobuf"


def _event(number: int, padding: int = 500) -> bytes:
    event: Any = GetEventsResponse(node_name="node-1")
    process = event.process_kprobe.process
    process.exec_id = f"exec-{number % PROCESSES}"
    process.arguments = f"{number:08}" + "x" * padding
    event.time.seconds = 1_700_000_000 + number
    return bytes(event.SerializeToString())


def _named_event(node: str, cluster: str = "") -> bytes:
    event = GetEventsResponse(node_name=node, cluster_name=cluster)
    event.process_exec.process.exec_id = "exec-1"
    event.time.seconds = 1_700_000_000
    return bytes(event.SerializeToString())


def _events(count: int, padding: int = 500) -> list[bytes]:
    return [_event(number, padding) for number in range(count)]


def _number(value: bytes) -> int:
    return int(GetEventsResponse.FromString(value).process_kprobe.process.arguments[:8])


def _timestamp(message: Message) -> int:
    return int(message.timestamp()[1])


@pytest.fixture(name="site")
def _site(embedded: BreakableBroker, topic_prefix: str, tmp_path: Path) -> IngestSite:
    return IngestSite(embedded, topic_prefix, tmp_path)


def test_every_byte_arrives_in_the_order_of_its_process(site: IngestSite) -> None:
    """Values untouched, keyed by exec_id and partitioned as Java clients do, stamped with the time of receipt."""
    events = [*_events(20_000), UNDECODABLE]
    started_ms = time.time() * 1000
    with SimulatorServer(Recording.of(events)) as server, site.ingest(server.address) as ingest:
        ingest.await_written(len(events))
        wait_for(lambda: ingest.total("runtime_coverage_gaps_total") >= 1, "the gap of the undecodable one")
        code, books, _ = ingest.stop()

    records = site.records(topics.RAW)
    by_key: dict[bytes, list[bytes]] = defaultdict(list)
    for record in records:
        by_key[record.key() or b""].append(record.value() or b"")
    expected: dict[bytes, list[bytes]] = defaultdict(list)
    for number in range(20_000):
        expected[f"exec-{number % PROCESSES}".encode()].append(events[number])
    expected[b"node-1"].append(UNDECODABLE)
    assert by_key == expected
    assert all(record.partition() == (murmur2(record.key()) & 0x7FFFFFFF) % 3 for record in records)
    assert all(started_ms - 1000 <= _timestamp(record) <= time.time() * 1000 for record in records)
    assert code == 0
    assert (books["received"], books["written"], books["unbalanced"]) == (len(events), len(events), 0)
    assert [gap.cause for gap in site.gaps()] == [GapCause.UNDECODABLE]


def test_a_disk_that_refuses_everything_costs_nothing_while_kafka_answers(
    site: IngestSite, tmp_path: Path, *, seed: int
) -> None:
    """Full, broken or made read-only while ingest runs: all is published, and /readyz says what is wrong."""
    library = failing_disk()
    if library is None:
        pytest.skip("there is no C compiler for the library that fails calls")
    error = random.Random(seed).choice((errno.ENOSPC, errno.EIO, errno.EROFS))
    site.environ |= Fault(30, ALL_THAT_FOLLOW, error, half=True).environ(library, tmp_path)
    recording = Recording.of([*_events(500), UNDECODABLE])  # a gap in each second
    with (
        SimulatorServer(recording, rate_per_s=1_000, repeat=0) as server,
        site.ingest(server.address, spill_dir=tmp_path / "spill") as ingest,
    ):
        wait_for(
            lambda: f"the journal cannot be written: {os.strerror(error)}" in ingest.get("/readyz")[1],
            "what is wrong with the disk",
        )
        published = ingest.total("runtime_coverage_gaps_total")
        wait_for(lambda: ingest.total("runtime_coverage_gaps_total") > published, "gaps that are in memory only")
        code, books, _ = ingest.stop()

    assert code == 0
    assert books["received"] == books["written"] == len(site.records(topics.RAW))
    undecodable = sum(gap.events_lost or 0 for gap in site.gaps() if gap.cause is GapCause.UNDECODABLE)
    assert undecodable == site.raw_values().count(UNDECODABLE) > 0


def test_books_balance_on_every_page_under_load(site: IngestSite) -> None:
    """Received = written + dropped + buffered, whenever somebody looks."""
    with SimulatorServer(Recording.of(_events(5000)), repeat=0) as server, site.ingest(server.address) as ingest:
        ingest.await_written(1)
        pages = [ingest.metrics() for _ in range(25)]
        ingest.stop()

    def total(page: dict[str, float], family: str) -> float:
        return sum(value for name, value in page.items() if name.startswith(family))

    for page in pages:
        placed = (
            page['runtime_records_written_total{topic="tetragon.raw"}']
            + total(page, "runtime_events_dropped_total{")
            + total(page, "runtime_events_buffered{")
        )
        assert total(page, "runtime_events_received_total{") == placed
    assert total(pages[-1], "runtime_events_received_total{") > total(pages[0], "runtime_events_received_total{")


def test_sigterm_under_load_writes_out_what_was_read(site: IngestSite) -> None:
    """The exit is quick and clean, and what the books say is what the topic holds."""
    with SimulatorServer(Recording.of(_events(5000)), repeat=0) as server, site.ingest(server.address) as ingest:
        ingest.await_written(20_000)
        started = time.monotonic()
        code, books, _ = ingest.stop()
        seconds = time.monotonic() - started

    assert code == 0
    assert seconds < 10
    assert books["received"] == books["written"] == len(site.records(topics.RAW))
    assert (books["dropped"], books["buffered"], books["unbalanced"]) == (0, 0, 0)


def test_stopped_broker_first_holds_the_agent_then_costs_the_oldest(site: IngestSite) -> None:
    """Within the grace time nothing is lost; then the oldest are, counted, with a gap of their own times."""
    settings = {"buffer_max_events": 2000, "overload_grace_ms": 1500}
    recording = Recording.of(_events(100_000))
    with (
        SimulatorServer(recording, rate_per_s=4000) as server,
        site.ingest(server.address, **settings) as ingest,
    ):
        ingest.await_written(1000)
        site.broker.pause_kafka()
        try:
            wait_for(lambda: ingest.total("runtime_reading_stopped_seconds_total") > 0.2, "the reader to be held")
            held = ingest.total("runtime_events_dropped_total")
            wait_for(lambda: ingest.total("runtime_events_dropped_total") > 3000, "drops")
        finally:
            site.broker.resume_kafka()
        wait_for(lambda: any(gap.cause is GapCause.OVERFLOW for gap in site.gaps()), "the gap of the drops")
        wait_for(lambda: ingest.total("runtime_coverage_gaps_pending") == 0, "acknowledged gaps")
        written = ingest.total("runtime_records_written_total")
        ingest.await_written(int(written) + 5000)
        code, books, _ = ingest.stop()

    assert held == 0
    assert code == 0
    assert books["dropped"] > 3000
    assert books["received"] == books["written"] + books["dropped"]
    numbers = sorted(_number(value) for value in site.raw_values())
    assert len(set(numbers)) == len(numbers) == books["written"]
    missing = set(range(numbers[-1] + 1)) - set(numbers)
    gaps = [gap for gap in site.gaps() if gap.cause is GapCause.OVERFLOW]
    assert sum(gap.events_lost or 0 for gap in gaps) == len(missing) == books["dropped"]
    second = 1_000_000_000
    for number in missing:
        moment = (1_700_000_000 + number) * second
        assert any(gap.from_ns <= moment < gap.to_ns for gap in gaps), f"event {number} is in no gap"


def test_broker_that_is_killed_and_comes_back_costs_nothing(site: IngestSite) -> None:
    """The buffer outlasts it: every event is there, once."""
    events = _events(30_000)
    with SimulatorServer(Recording.of(events), rate_per_s=4000) as server, site.ingest(server.address) as ingest:
        ingest.await_written(3000)
        site.broker.kill_kafka()
        time.sleep(1)
        site.broker.restart_kafka()
        ingest.await_written(len(events))
        code, books, _ = ingest.stop()

    assert code == 0
    assert (books["written"], books["dropped"]) == (len(events), 0)
    assert sorted(_number(value) for value in site.raw_values()) == list(range(len(events)))


def test_restarted_agent_is_a_gap(site: IngestSite) -> None:
    """The stream is found again, and the time between is a gap on runtime.coverage, under the node's name."""
    with SimulatorServer(Recording.of(_events(100))) as server, site.ingest(server.address) as ingest:
        ingest.await_written(100)
        server.stop()
        wait_for(lambda: ingest.get("/readyz")[0] == 503, "readiness to fail")
        assert '"stream"' in ingest.get("/readyz")[1]
        server.start()
        ingest.await_written(200)
        wait_for(lambda: ingest.get("/readyz")[0] == 200, "readiness")
        wait_for(lambda: ingest.total("runtime_coverage_gaps_total") >= 1, "an acknowledged gap")
        ingest.stop()

    (gap,) = site.gaps()
    assert (gap.cause, gap.node, gap.events_lost) == (GapCause.RECONNECT, "node-1", None)
    assert 0 < gap.to_ns - gap.from_ns < 60 * 1_000_000_000


def test_an_agent_that_comes_back_under_another_name_is_another_node(site: IngestSite) -> None:
    """What alpha lost at its end is alpha's, the time until beta came is beta's, and both are on the topic."""
    with SimulatorServer(Recording.of([_named_event("alpha")] * 100)) as server, site.ingest(server.address) as ingest:
        ingest.await_written(100)
        time.sleep(1.0)
        ended_ns = time.time_ns()
        server.stop()
        time.sleep(1.0)
        began_ns = time.time_ns()
        with SimulatorServer(Recording.of([_named_event("beta", "east")] * 100), server.address):
            ingest.await_written(200)
            wait_for(lambda: ingest.total("runtime_coverage_gaps_total") >= 2, "both gaps")
            _, _, log = ingest.stop()

    alpha, beta = site.gaps()
    assert (str(alpha.node_id), str(beta.node_id)) == ("alpha", "east/beta")
    assert alpha.from_ns < ended_ns < alpha.to_ns == beta.from_ns < began_ns < beta.to_ns
    assert alpha.session == beta.session != ""
    assert "the node is called east/beta from now on, and was called alpha" in log
    nodes = {str(node_in(message.key())) for message in site.records(topics.COVERAGE)}
    assert nodes == {"alpha", "east/beta"}


def test_an_ingest_that_ends_soon_leaves_a_record_of_its_node(site: IngestSite) -> None:
    """It lived shorter than heartbeats are late, and another session shows another process."""
    for _ in range(2):
        with SimulatorServer(Recording.of([_named_event("alpha")])) as server, site.ingest(server.address) as ingest:
            ingest.await_written(1)
            wait_for(lambda: ingest.total("runtime_stream_up") == 1, "an open stream")
            ingest.stop()

    first, *later = site.gaps()
    assert {(gap.node, gap.cause) for gap in (first, *later)} == {("alpha", GapCause.INGEST_RESTART)}
    assert later
    assert all(gap.session != first.session for gap in later)


def test_killed_ingest_is_a_gap_of_the_next(site: IngestSite) -> None:
    """What a kill -9 cost nobody knows; the next process publishes the interval."""
    with SimulatorServer(Recording.of(_events(100))) as server:
        with site.ingest(server.address) as ingest:
            ingest.await_written(100)
            ingest.stop(signal.SIGKILL)
        with site.ingest(server.address) as ingest:
            ingest.await_written(100)
            wait_for(lambda: ingest.total("runtime_coverage_gaps_total") >= 1, "an acknowledged gap")
            ingest.stop()

    assert [gap.cause for gap in site.gaps()] == [GapCause.INGEST_RESTART]


def test_spilled_events_survive_a_restart_in_order(site: IngestSite, tmp_path: Path) -> None:
    """Kafka dies, more arrives than memory holds, ingest is stopped and started: all is written, oldest first."""
    events = _events(20_000)
    settings = {"spill_dir": tmp_path / "spill", "buffer_max_events": 2000}
    with SimulatorServer(Recording.of(events)) as server:
        site.broker.kill_kafka()
        try:
            with site.ingest(server.address, **settings) as first:
                wait_for(lambda: first.total("runtime_events_received_total") >= len(events), "all events")
                code, books, log = first.stop()
        finally:
            site.broker.restart_kafka()
    with (
        SimulatorServer(Recording.of([_event(len(events))])) as later,
        site.ingest(later.address, **settings) as second,
    ):
        second.await_written(len(events) + 1)
        _, second_books, _ = second.stop()

    assert code == 0, log
    assert (books["written"], books["dropped"], books["buffered"]) == (0, 0, len(events))
    assert second_books["restored"] == len(events)
    numbers: dict[bytes, list[int]] = defaultdict(list)
    for record in site.records(topics.RAW):
        numbers[record.key() or b""].append(_number(record.value() or b""))
    assert sorted(number for some in numbers.values() for number in some) == list(range(len(events) + 1))
    assert all(some == sorted(some) for some in numbers.values())
    assert list((tmp_path / "spill").glob("*.events")) == []


def test_stop_without_kafka_and_without_disk_loses_and_says_so(site: IngestSite) -> None:
    """Exit code 1, the number in the books, and a gap that the next process publishes."""
    with SimulatorServer(Recording.of(_events(3000))) as server:
        site.broker.kill_kafka()
        try:
            with site.ingest(server.address) as first:
                wait_for(lambda: first.total("runtime_events_received_total") >= 3000, "all events")
                code, books, _ = first.stop()  # fails if it has not ended after 30 s, when Kubernetes kills
        finally:
            site.broker.restart_kafka()
        with site.ingest(server.address) as second:
            wait_for(lambda: second.total("runtime_coverage_gaps_pending") == 0, "published gaps")
            wait_for(lambda: second.total("runtime_coverage_gaps_total") >= 2, "published gaps")
            second.stop()

    assert code == 1
    assert (books["lost_at_stop"], books["written"], books["unbalanced"]) == (3000, 0, 0)
    (lost,) = [gap for gap in site.gaps() if gap.events_lost is not None]
    assert (lost.cause, lost.events_lost) == (GapCause.INGEST_RESTART, 3000)
    assert lost.from_ns == 1_700_000_000 * 1_000_000_000


def test_no_event_data_in_logs_and_metrics(site: IngestSite) -> None:
    """A canary in every event reaches the raw topic and nothing else."""
    canary = "canary" + "-9f31"
    event: Any = GetEventsResponse(node_name="node-1")
    event.process_exec.process.exec_id = canary
    event.process_exec.process.arguments = canary
    events = [event.SerializeToString(), canary.encode()]
    with SimulatorServer(Recording.of(events)) as server, site.ingest(server.address, log_level="DEBUG") as ingest:
        ingest.await_written(2)
        wait_for(lambda: ingest.total("runtime_coverage_gaps_total") >= 1, "the gap of the undecodable one")
        page = ingest.get("/metrics")[1] + ingest.get("/readyz")[1]
        _, _, log = ingest.stop()

    assert canary.encode() in b"".join(site.raw_values())
    assert canary not in page
    assert canary not in log
    assert not any(canary.encode() in (message.value() or b"") for message in site.records(topics.COVERAGE))


def test_event_too_large_for_the_topic_costs_only_itself(site: IngestSite) -> None:
    """An operator lowered the topic's limit: the event is dropped with its reason and a gap, the others are written."""
    site.set_topic_option(topics.RAW, "max.message.bytes", "2000000")
    large: Any = GetEventsResponse(node_name="node-1")
    large.process_kprobe.process.exec_id = "exec-large"
    large.process_kprobe.args.add().bytes_arg = random.Random(1).randbytes(5_000_000)  # lz4 cannot make it less
    with SimulatorServer(Recording.of([large.SerializeToString()])) as first, site.ingest(first.address) as ingest:
        wait_for(lambda: ingest.total("runtime_events_dropped_total") == 1, "the drop")
        wait_for(lambda: ingest.total("runtime_coverage_gaps_total") == 1, "the gap")
        page = ingest.metrics()
        code, books, _ = ingest.stop()
    with SimulatorServer(Recording.of(_events(100))) as second, site.ingest(second.address) as ingest:
        ingest.await_written(100)

    assert page['runtime_events_dropped_total{reason="oversized"}'] == 1
    assert (code, books["written"], books["unbalanced"]) == (0, 0, 0)
    assert (GapCause.OVERSIZED, 1) in [(gap.cause, gap.events_lost) for gap in site.gaps()]


def test_topic_that_vanishes_ends_the_process(site: IngestSite) -> None:
    """Everything from then on would be lost one by one; the way out is in the message."""
    with SimulatorServer(Recording.of(_events(5000)), rate_per_s=50) as server, site.ingest(server.address) as ingest:
        ingest.await_written(10)
        site.delete_topic(topics.RAW)
        code, log = ingest.wait()

    assert code == 2
    assert f"the topic {site.prefix}tetragon.raw is gone; create it with: callstream topics apply" in log

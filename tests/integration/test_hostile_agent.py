"""An agent that is not Tetragon, on a real gRPC connection: ingest lives, within bounds, and says what happened."""

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.coverage.keys import record_key
from schemas import topics
from schemas.coverage import CLAIMS, CoverageGap, decode
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.topics import MAX_EVENT_BYTES
from tests.support.breakable_broker import BreakableBroker
from tests.support.hostile_agent import HostileAgent, bomb, message
from tests.support.ingest_process import IngestProcess, IngestSite, wait_for

pytestmark = pytest.mark.integration

MAX_RSS_MIB = 512
FORGED = "n\x1b[31m\r\n2026-11-30T00:00:00Z CRITICAL app forged \u202e"


@pytest.fixture(name="site")
def _site(embedded: BreakableBroker, topic_prefix: str, tmp_path: Path) -> IngestSite:
    return IngestSite(embedded, topic_prefix, tmp_path)


def _event(node: str = "node-1", cluster: str = "", *, exec_id: str = "exec", padding: int = 0) -> Any:
    event = GetEventsResponse(node_name=node, cluster_name=cluster)
    event.process_exec.process.exec_id = exec_id
    event.process_exec.process.arguments = "x" * padding
    event.time.seconds = 1_700_000_000
    return event


def _sent(event: Any) -> bytes:
    return message(event.SerializeToString())


def _of_size(size_bytes: int) -> bytes:
    """A message of exactly this size."""
    event = _event(padding=size_bytes - 100)
    event.process_exec.process.arguments += "x" * (size_bytes - event.ByteSize())
    assert event.ByteSize() == size_bytes
    return _sent(event)


def _written(ingest: IngestProcess) -> float:
    return ingest.total("runtime_records_written_total")


def _peak_mib(ingest: IngestProcess) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{ingest.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _coverage(site: IngestSite) -> list[tuple[bytes | None, CoverageGap]]:
    return [(message.key(), decode(message.value() or b"")) for message in site.records(topics.COVERAGE)]


def test_names_that_forge_or_flood_are_cut_escaped_and_agree(site: IngestSite) -> None:
    """Terminal escapes stay out of the log, a megabyte becomes 512 characters, and key and value are one node."""
    nodes = [NodeId("", FORGED), NodeId(FORGED, "a/b"), NodeId("c" * 1_000_000, "n" * 1_000_000), NodeId("", "last")]

    def play(call: int) -> Iterator[bytes | float]:
        yield _sent(_event(nodes[call % 4].name, nodes[call % 4].cluster, exec_id=""))
        yield 0.3

    with (
        HostileAgent(play, status=(14, FORGED)) as agent,
        site.ingest(agent.address) as ingest,
    ):
        wait_for(lambda: len({gap.node_id for _, gap in _coverage(site)}) == 4, "records of all nodes")
        peak = _peak_mib(ingest)
        code, _, log = ingest.stop()

    assert code == 0
    assert peak < MAX_RSS_MIB
    found = _coverage(site)
    assert all(key == record_key(gap) for key, gap in found)
    assert all(max(map(len, gap.node_id)) <= 512 for _, gap in found)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", log)
    assert not re.search("^2026-11-30T00:00:00Z CRITICAL", log, re.MULTILINE)
    assert all(len(record.key() or b"") <= 4 * 512 for record in site.records(topics.RAW))


def test_times_out_of_all_bounds_are_those_of_receipt(site: IngestSite) -> None:
    """Events that are lost with the times of another age make gaps that a record can hold."""
    times = [(1 << 62, 0), (-(1 << 62), 0), (1_700_000_000, -1), (9_223_372_036, 999_999_999), (1, 2_000_000_000)]
    events = []
    for number in range(3000):
        event = _event(padding=500) if number % 7 else GetEventsResponse(node_name="node-1")
        event.time.seconds, event.time.nanos = times[number % len(times)]
        if not number % 7:
            event.process_throttle.type = 1 + number % 2
            event.process_throttle.cgroup = f"/{number}" + "g" * 10_000
        events.append(_sent(event))
    began_ns = time.time_ns()

    def play(call: int) -> Iterable[bytes | float]:
        return [_sent(_event()), 1.0, *(events if call == 1 else [])]

    with (
        HostileAgent(play) as agent,
        site.ingest(agent.address, buffer_max_events=500, overload_grace_ms=0) as ingest,
    ):
        wait_for(lambda: ingest.total("runtime_stream_up") == 1, "an open stream")
        site.broker.pause_kafka()
        try:
            wait_for(lambda: ingest.total("runtime_events_dropped_total") > 1000, "drops")
        finally:
            site.broker.resume_kafka()
        wait_for(lambda: ingest.total("runtime_coverage_gaps_pending") == 0, "acknowledged gaps")
        wait_for(lambda: any(gap.cause.value == "Overflow" for gap in site.gaps()), "the gap of what was dropped")
        code, books, _ = ingest.stop()

    assert (code, books["unbalanced"]) == (0, 0)
    (overflow, *_) = [gap for gap in site.gaps() if gap.cause.value == "Overflow"]
    assert began_ns < overflow.from_ns <= overflow.to_ns < time.time_ns()
    assert overflow.events_lost is not None


def test_messages_of_the_largest_size_and_larger_cost_themselves(site: IngestSite) -> None:
    """Sixteen mebibytes are written or counted as too large; one byte more ends the stream, and the next is read."""

    def play(call: int) -> Iterator[bytes | float]:
        yield _sent(_event())
        if call == 1:
            yield _of_size(MAX_EVENT_BYTES - 4096)
            yield _sent(_event(exec_id="e" * (MAX_EVENT_BYTES - 4096)))
            yield message(b"\xff" * 5) + message(b"")
            yield 1.0
            yield _of_size(MAX_EVENT_BYTES + 1)

    with HostileAgent(play) as agent, site.ingest(agent.address) as ingest:
        wait_for(lambda: agent.calls >= 2 and _written(ingest) >= 6, "the second stream")
        wait_for(lambda: any(gap.cause.value == "Oversized" for gap in site.gaps()), "the gap of the largest")
        peak = _peak_mib(ingest)
        code, books, _ = ingest.stop()

    assert (code, books["unbalanced"]) == (0, 0)
    assert peak < MAX_RSS_MIB
    sizes = sorted(len(value) for value in site.raw_values())
    assert sizes[-2] > MAX_EVENT_BYTES - 5000
    assert sum(size < 100 for size in sizes) == 4
    assert {gap.cause.value for gap in site.gaps()} >= {"Undecodable", "Oversized"}


def test_a_message_that_inflates_to_a_gigabyte_counts_as_too_large(site: IngestSite) -> None:
    """It is inflated to the limit and no further; it costs its stream, and the next one is read."""
    packed = bomb(2 * MAX_RSS_MIB)

    def play(call: int) -> Iterator[bytes | float]:
        yield _sent(_event())
        if call == 1:
            yield 0.5
            yield packed
            yield 1.0

    with HostileAgent(play, encoding="gzip", status=(0, "")) as agent, site.ingest(agent.address) as ingest:
        wait_for(lambda: agent.calls >= 2 and _written(ingest) >= 2, "another stream behind the bomb")
        wait_for(lambda: any(gap.cause.value == "Oversized" for gap in site.gaps()), "the gap of what was too large")
        peak = _peak_mib(ingest)
        code, _, _ = ingest.stop()

    assert code == 0
    assert peak < MAX_RSS_MIB
    assert {len(value) for value in site.raw_values()} == {len(_sent(_event())) - 5}


def test_a_slow_or_mute_server_is_waited_for_and_left_at_once(site: IngestSite) -> None:
    """A byte at a time, or not even HTTP/2: alive, told on /readyz, and gone within the time that a stop may take."""

    def play(_call: int) -> Iterator[bytes | float]:
        for byte in _sent(_event(padding=2000)):
            yield bytes([byte])
            yield 0.05

    with HostileAgent(play) as slow, site.ingest(slow.address) as ingest:
        wait_for(lambda: slow.calls == 1, "the call")
        time.sleep(2)
        assert ingest.get("/healthz")[0] == 200
        began = time.monotonic()
        code, _, _ = ingest.stop()
        assert (code, time.monotonic() - began < 10) == (0, True)
    with HostileAgent(play, is_mute=True) as mute, site.ingest(mute.address) as ingest:
        wait_for(lambda: ingest.get("/readyz")[0] == 503, "not ready")
        time.sleep(2)
        assert ingest.get("/healthz")[0] == 200
        began = time.monotonic()
        code, _, _ = ingest.stop()
        assert (code, time.monotonic() - began < 10) == (0, True)


def test_any_status_of_an_agent_that_was_open_once_is_waited_out(site: IngestSite) -> None:
    """Another program on the agent's port, or an agent that went mad, does not end ingest."""
    with (
        HostileAgent(lambda _: [_sent(_event()), 0.2], status=(12, FORGED)) as agent,
        site.ingest(agent.address) as ingest,
    ):
        wait_for(lambda: agent.calls >= 3 and _written(ingest) >= 3, "three streams")
        code, _, log = ingest.stop()

    assert code == 0
    assert "ended with UNIMPLEMENTED" in log
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", log)
    assert all(gap.cause not in CLAIMS for gap in site.gaps())

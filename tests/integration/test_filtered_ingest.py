"""An ingest with filters, on a real stream: what Tetragon is asked for, and what comes in spite of them."""

from pathlib import Path

import pytest

from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from schemas.coverage import GapCause
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.breakable_broker import BreakableBroker
from tests.support.ingest_process import IngestSite, wait_for

pytestmark = pytest.mark.integration


def _event(kind: str, second: int, **fields: object) -> bytes:
    event = GetEventsResponse(node_name="node-1")
    event.time.seconds = second
    body = getattr(event, kind)
    for name, value in fields.items():
        setattr(body, name, value)
    if kind != "process_throttle":
        body.process.exec_id = "e"
    return event.SerializeToString()


EVENTS = [
    _event("process_exec", 1),
    _event("process_loader", 2, path="/usr/lib/libpng16.so.16", buildid=bytes(range(20))),
    _event("process_throttle", 3, type=1, cgroup="c9"),
    _event("process_uprobe", 4, path="/usr/lib/libpng16.so.16", symbol="png_read_chunk"),
    _event("process_throttle", 5, type=2, cgroup="c9"),
    _event("process_kprobe", 6, function_name="tcp_connect"),
]


def test_allow_list_hides_neither_throttling_nor_build_ids(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Two kinds were asked for; loader and throttle events come too, and the log says that others are hidden."""
    site = IngestSite(embedded, topic_prefix, tmp_path)
    allow = '{"event_set":["PROCESS_EXEC","PROCESS_KPROBE"]}'
    with (
        SimulatorServer(Recording.of(EVENTS)) as server,
        site.ingest(server.address, tetragon_allow_list=allow) as ingest,
    ):
        ingest.await_written(5)
        wait_for(lambda: bool(site.gaps()), "the gap of the throttling")
        code, books, log = ingest.stop()

    assert sorted(site.raw_values()) == sorted([*EVENTS[:3], *EVENTS[4:]])
    assert (site.gaps()[0].cause, site.gaps()[0].from_ns) == (GapCause.THROTTLE, 3 * 10**9)
    assert (code, books["received"]) == (0, 5)
    assert "filters hide events" in log

"""Ingest, an agent and its metrics page: what policies posted in the kernel and nobody explains is a gap."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.ingest.node_claims import LATENESS_NS
from app.simulator.agent_file import AgentFile
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from schemas.coverage import CoverageGap, GapCause
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.breakable_broker import BreakableBroker
from tests.support.ingest_process import IngestSite, wait_for
from tests.support.run_size import run_size

pytestmark = [
    pytest.mark.integration,
    pytest.mark.proof,
    pytest.mark.skipif(run_size() < 10, reason="waits for two minutes; runs in `make prove`"),
]

BALANCE = "runtime_policy_posts_balance_events"


class CountingPage:
    """A metrics page of an agent that lost so many events."""

    def __init__(self) -> None:
        page = self
        self.lost = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"tetragon_notify_overflowed_events_total {page.lost}\n".encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/metrics"


@contextmanager
def _page() -> Iterator[CountingPage]:
    page = CountingPage()
    thread = threading.Thread(target=page.server.serve_forever, args=(0.05,))
    thread.start()
    yield page
    page.server.shutdown()
    thread.join()
    page.server.server_close()


def _gaps(site: IngestSite, cause: GapCause) -> list[CoverageGap]:
    return [gap for gap in site.gaps() if gap.cause is cause]


def test_what_was_posted_and_never_came_is_a_gap(embedded: BreakableBroker, tmp_path: Path) -> None:
    """Five that the agent counts as lost are one gap, and seven of which nobody knows are another, after a minute."""
    site = IngestSite(embedded, f"books-{uuid.uuid4().hex[:6]}.", tmp_path)
    said = tmp_path / "agent.json"

    def posted(count: int) -> None:
        policy = {"id": "1", "name": "p", "state": "TP_STATE_ENABLED", "stats": {"actionCounters": {"post": count}}}
        partial = said.with_suffix(".new")
        partial.write_text(json.dumps({"policies": [policy]}))
        partial.rename(said)

    posted(1_000)
    event = GetEventsResponse(node_name="n1").SerializeToString()
    with _page() as page, SimulatorServer(Recording.of([event]), agent=AgentFile(said)) as agent:
        settings = {"tetragon_metrics_url": page.url, "policy_poll_seconds": 1}
        with site.ingest(agent.address, **settings) as ingest:
            wait_for(lambda: ingest.metrics().get(BALANCE) == 0, "the books to begin")
            began_ns = time.time_ns()
            page.lost = 5
            posted(1_012)
            wait_for(lambda: ingest.metrics()[BALANCE] == 7, "what is not explained")
            deadline = time.monotonic() + LATENESS_NS / 10**9 + 60
            while not (found := _gaps(site, GapCause.UNEXPLAINED)):
                assert time.monotonic() < deadline, "no gap"
                time.sleep(1)
            (lost,) = _gaps(site, GapCause.AGENT_LOSS)
            (gap,) = found
            assert (lost.events_lost, gap.events_lost, gap.node) == (5, 7, "n1")
            assert gap.from_ns < began_ns < gap.to_ns < time.time_ns()

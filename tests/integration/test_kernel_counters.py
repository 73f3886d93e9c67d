"""Books from the kernel on, on a real broker: what policies posted and nobody received is a gap that answers name."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.operators.times import time_text
from app.simulator.agent_file import AgentFile
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from schemas.topics import Stage
from tests.support.delivery_run import Worker
from tests.support.events import event
from tests.support.ingest_process import PATIENCE_S, IngestProcess, wait_for
from tests.support.watch_scene import SECOND, WatchScene, watch_scene

pytestmark = pytest.mark.integration

BALANCE = "runtime_policy_posts_balance_events"
ZLIB = "89abcdef0123456789abcdef0123456789abcdef"
LIB = "/usr/lib/libz.so.1"


class CountingAgent:
    """What the agent says that its policy posted in the kernel, and that it lost of that."""

    def __init__(self, said: Path) -> None:
        self.said, self.lost = said, 0
        self.posted(0)

    def posted(self, events: int, lost: int = 0) -> None:
        """Say so from now on."""
        self.lost = lost
        policy = {"id": "1", "name": "tls", "state": "TP_STATE_ENABLED"}
        counters = {"stats": {"actionCounters": {"post": str(events)}}}
        partial = self.said.with_suffix(".new")
        partial.write_text(json.dumps({"policies": [policy | counters]}))
        partial.rename(self.said)


@contextmanager
def _metrics_page(agent: CountingAgent) -> Iterator[str]:
    """Where the agent's own loss counters are."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The counter as it is now."""
            page = f"tetragon_observer_ringbuf_events_lost_total {agent.lost}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()


@contextmanager
def _ingest(it: WatchScene, agent: CountingAgent) -> Iterator[IngestProcess]:
    """An ingest that reads three calls of the agent, and asks it each second."""
    call = event("process_kprobe", function_name="tcp_connect")  # without a time, stages would refuse it
    call.node_name = "n1"
    call.time.GetCurrentTime()
    recording = Recording.of([call.SerializeToString()] * 3)
    with SimulatorServer(recording, agent=AgentFile(agent.said)) as server, _metrics_page(agent) as page:
        more = {
            "CALLSTREAM_TETRAGON_ADDRESS": server.address,
            "CALLSTREAM_TETRAGON_METRICS_URL": page,
            "CALLSTREAM_POLICY_POLL_SECONDS": "1",
            "CALLSTREAM_HEARTBEAT_SECONDS": "1",
            "CALLSTREAM_DATA_DIR": str(it.folder / "ingest"),
        }
        ingest = IngestProcess(it.environ | more, "tests.support.hasty_ingest")
        try:
            yield ingest
        finally:
            ingest.kill()


def _names_the_gap(answer: dict[str, Any]) -> bool:
    return any(gap["cause"] == "Unexplained" for gap in answer["gaps"])


def _causes(it: WatchScene, since_ns: int) -> dict[str, int | None]:
    """Gaps of the node since then that `callstream coverage` names, and what each lost."""
    window = ["--from", time_text(since_ns), "--to", time_text(time.time_ns() + SECOND)]
    found = CliRunner().invoke(cli, ["coverage", "--node", "n1", *window, "--json"], env=it.environ)
    return {gap["cause"]: gap["events_lost"] for gap in json.loads(found.stdout)["gaps"]}


def test_what_was_posted_in_the_kernel_and_never_came_is_a_gap_for_coverage_and_watches(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """What came explains itself and what the agent lost is its loss; only the rest is unexplained, by its number."""
    agent = CountingAgent(tmp_path / "agent.json")
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.environ |= {"HOT_HORIZON_SECONDS": "1"}
        it.know_file(LIB, ZLIB, ["inflate"])
        it.add_worker()
        for stage in (Stage.CANONICALIZE, Stage.PRIVACY):  # coverage counts when what came before it is counted
            worker = Worker(("app", "worker", "--stage", stage.value), it.environ, tmp_path / f"{stage.value}.log")
            it.workers.append(worker)
            worker.start()
        with _ingest(it, agent) as ingest:
            wait_for(lambda: ingest.metrics().get(BALANCE) == 0, "the first comparison")
            ingest.await_written(3)
            since_ns = time.time_ns()
            it.watch_as_a_service("inflate", ago_ns=it.now_ns - since_ns, build_id=ZLIB, every_call_probed=True)
            assert "Unexplained" not in _causes(it, it.now_ns)

            agent.posted(8, lost=3)
            wait_for(lambda: ingest.metrics().get(BALANCE) == 5, "the excess")
            wait_for(lambda: "Unexplained" in _causes(it, since_ns), "the gap")
            assert _causes(it, since_ns) == {"AgentLoss": 3, "Unexplained": 5}
            answer = it.await_answer(f"{ZLIB}!inflate", _names_the_gap, seconds=2 * PATIENCE_S)

    assert answer["answer"] == "NotSeen"
    assert ["n1", "Unexplained"] in [reason["about"] for reason in answer["reasons"]]
    assert [gap["events_lost"] for gap in answer["gaps"] if gap["cause"] == "Unexplained"] == [5]

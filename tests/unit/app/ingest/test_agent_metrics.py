import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.ingest.agent_metrics import COUNTERS, AgentExplains, AgentMetrics, growth, totals
from app.ingest.node_claims import AgentLoss

PAGE = """\
# HELP tetragon_notify_overflowed_events_total The total number of events dropped
# TYPE tetragon_notify_overflowed_events_total counter
tetragon_notify_overflowed_events_total 4171
tetragon_bpf_missed_events_total{error="ENOSPC",msg_op="5"} 4077
tetragon_bpf_missed_events_total{error="unknown",msg_op="7"} 3
tetragon_observer_ringbuf_events_lost_total 0
tetragon_observer_ringbuf_queue_events_lost_total 1.5e+06
tetragon_observer_ringbuf_events_received_total 99
tetragon_events_total{type="PROCESS_EXEC"} 12
"""
NOTIFY, MISSED, _, QUEUE = COUNTERS[:4]


class Agent:
    """A metrics page that a test can change."""

    def __init__(self) -> None:
        self.page = PAGE
        self.status = 200
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(agent.status)
                self.end_headers()
                self.wfile.write(agent.page.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/metrics"


@pytest.fixture(name="agent")
def _agent() -> Iterator[Agent]:
    agent = Agent()
    thread = threading.Thread(target=agent.server.serve_forever, args=(0.02,))
    thread.start()
    yield agent
    agent.server.shutdown()
    thread.join()
    agent.server.server_close()


def test_counters_are_summed_over_their_labels() -> None:
    """Nothing but the loss counters is read, with or without labels, in any number format."""
    assert totals(PAGE) == {
        "tetragon_notify_overflowed_events_total": 4171,
        "tetragon_bpf_missed_events_total": 4080,
        "tetragon_observer_ringbuf_events_lost_total": 0,
        "tetragon_observer_ringbuf_queue_events_lost_total": 1_500_000,
    }


def test_missed_probes_and_failed_merges_are_losses() -> None:
    """A probe that the kernel skipped is an event that nobody saw; a merge that went well loses nothing."""
    page = """\
tetragon_missed_prog_probes_total{attach="acct_process",policy="__base__"} 2
tetragon_missed_link_probes_total{attach="acct_process",policy="__base__"} 3
tetragon_handler_errors_total{error_type="event_handler_failed",opcode="13"} 5
tetragon_observer_ringbuf_errors_total 7
tetragon_generic_kprobe_merge_errors_total{curr_fn="f",curr_type="exit",prev_fn="g",prev_type="exit"} 11
tetragon_generic_kprobe_merge_total{curr_fn="f",curr_type="exit",status="ok"} 1000
tetragon_generic_kprobe_merge_total{curr_fn="f",curr_type="exit",status="error"} 13
tetragon_generic_kprobe_merge_pushed_total 1000
"""
    assert totals(page) == {
        "tetragon_missed_prog_probes_total": 2,
        "tetragon_missed_link_probes_total": 3,
        "tetragon_handler_errors_total": 5,
        "tetragon_observer_ringbuf_errors_total": 7,
        "tetragon_generic_kprobe_merge_errors_total": 11,
        "tetragon_generic_kprobe_merge_total": 13,
    }


def test_growth_is_told_by_counter_and_window() -> None:
    """Counters that stood still say nothing; one that is new grew from zero."""
    losses = growth({NOTIFY: 10.0, MISSED: 5.0}, {NOTIFY: 17.0, MISSED: 5.0, QUEUE: 2.0}, 100, 200)

    assert losses == [AgentLoss(NOTIFY, 7, 100, 200), AgentLoss(QUEUE, 2, 100, 200)]


def test_counter_that_fell_was_reset() -> None:
    """After a restart of the agent, what it shows is what it lost since."""
    assert growth({NOTIFY: 100.0}, {NOTIFY: 4.0}, 1, 2) == [AgentLoss(NOTIFY, 4, 1, 2)]
    assert growth({NOTIFY: 100.0}, {NOTIFY: 0.0}, 1, 2) == []


def test_first_reading_is_the_measure_for_the_next(agent: Agent) -> None:
    """Losses before ingest looked are not counted as losses of its time."""
    metrics = AgentMetrics(agent.url)

    first = metrics.read(100)
    agent.page = PAGE.replace("4171", "4180")
    second = metrics.read(200)

    assert first == []
    assert second == [AgentLoss(NOTIFY, 9, 100, 200)]
    assert (metrics.read_at_ns, metrics.trouble) == (200, None)


def test_failed_reading_is_trouble_and_the_next_one_covers_its_time(agent: Agent) -> None:
    """An error answer moves neither the time nor the counters."""
    metrics = AgentMetrics(agent.url)
    metrics.read(100)
    agent.status = 500

    assert metrics.read(200) == []
    assert (metrics.read_at_ns, metrics.trouble) == (100, "HTTP 500")
    agent.status, agent.page = 200, PAGE.replace("4171", "4172")
    assert metrics.read(300) == [AgentLoss(NOTIFY, 1, 100, 300)]
    assert metrics.trouble is None


def test_page_of_something_else_is_trouble(agent: Agent) -> None:
    """A wrong port must not look like an agent that loses nothing."""
    agent.page = "up 1\n"
    metrics = AgentMetrics(agent.url)

    metrics.read(100)

    assert metrics.trouble == "none of Tetragon's loss counters is on the page"
    assert metrics.read_at_ns == 0


def test_absent_agent_is_trouble() -> None:
    """Nobody listens: a word, no exception."""
    metrics = AgentMetrics("http://127.0.0.1:1/metrics")

    assert metrics.read(100) == []
    assert metrics.trouble is not None


def test_halves_of_return_hooks_and_losses_behind_the_post_need_not_become_an_event(agent: Agent) -> None:
    """Each half that waits, and each pair that came together; what the kernel never handed over was not posted."""
    metrics = AgentMetrics(agent.url)
    assert metrics.explains() is None
    agent.page = PAGE + "tetragon_generic_kprobe_merge_pushed 10\n"
    metrics.read(5)
    assert metrics.explains() == AgentExplains(0, 5)
    agent.page = (
        PAGE.replace("4171", "4175").replace("4077", "5000")
        + "tetragon_generic_kprobe_merge_pushed 16\n"
        + 'tetragon_generic_kprobe_merge_total{curr_fn="f",status="ok"} 5\n'
        + 'tetragon_generic_kprobe_merge_total{curr_fn="f",status="error"} 1\n'
    )
    metrics.read(6)
    assert metrics.explains() == AgentExplains(4 + 6 + 5 + 1, 6)
    agent.status = 500
    metrics.read(7)
    assert metrics.explains() is None

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPConnection

import pytest

from app.serving.listener import ListenerLimits
from app.telemetry import http, metrics
from app.telemetry.http import HttpError, TelemetryServer
from app.telemetry.meter import Meter

SLOW_CLIENTS = 200


class Served:
    """A running endpoint and the sentences that its checks say."""

    def __init__(self, limits: ListenerLimits = http.LIMITS) -> None:
        self.meter = Meter()
        self.problems: dict[str, str | None] = {"alive": None, "stream": None}
        self.server = TelemetryServer(
            self.meter,
            alive={"threads": lambda: self.problems["alive"]},
            ready={"stream": lambda: self.problems["stream"]},
            limits=limits,
        )
        host, _, port = self.server.start("127.0.0.1", 0).rpartition(":")
        self.host, self.port = host, int(port)

    def request(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        """Status and body of one ordinary request."""
        connection = HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """An open connection that has sent nothing."""
        return socket.create_connection((self.host, self.port), timeout=20)

    def send(self, raw: bytes) -> bytes:
        """Everything the server answers to raw bytes until it closes."""
        with socket.create_connection((self.host, self.port), timeout=20) as connection:
            connection.sendall(raw)
            received = b""
            while part := connection.recv(4096):
                received += part
            return received


@pytest.fixture
def served() -> Iterator[Served]:
    """An endpoint on a free port."""
    endpoint = Served()
    yield endpoint
    endpoint.server.close()


def test_metrics_page_has_the_counters(served: Served) -> None:
    """A counter that grew is on the page, beside the process's own CPU time."""
    served.meter.add(metrics.CONVERTED, 3)

    status, page = served.request("/metrics")

    assert status == 200
    assert b"runtime_events_converted_total 3.0" in page
    assert b"process_cpu_seconds_total" in page


def test_ready_names_the_check_that_fails(served: Served) -> None:
    """An operator reads what is wrong from the body, and a probe from the status."""
    served.problems["stream"] = "no stream for 12 s"

    status, body = served.request("/readyz")

    assert status == 503
    assert json.loads(body) == {"ready": False, "failing": {"stream": "no stream for 12 s"}, "checked": ["stream"]}


def test_alive_and_ready_are_different_questions(served: Served) -> None:
    """A process that waits for Tetragon must not be restarted for it."""
    served.problems["stream"] = "no stream for 12 s"

    assert served.request("/healthz")[0] == 200
    served.problems["alive"] = "the writer has ended"
    assert served.request("/healthz")[0] == 503


@pytest.mark.parametrize("path", ["/", "/metrics/../etc/passwd", "/debug", "/metricsx"])
def test_nothing_else_is_served(served: Served, path: str) -> None:
    """Any other path is not found."""
    assert served.request(path)[0] == 404


def test_other_methods_are_refused(served: Served) -> None:
    """There is nothing to post."""
    assert served.request("/metrics", "POST")[0] == 501


def test_oversized_request_is_cut_off(served: Served) -> None:
    """Headers beyond the limit close the connection without an answer, and the next client is served."""
    try:
        answer = served.send(b"GET /metrics HTTP/1.1\r\nX: " + b"a" * (2 * http.LIMITS.request_bytes))
    except ConnectionError:
        answer = b""

    assert answer == b""
    assert served.request("/healthz")[0] == 200


def test_silent_client_does_not_block_others() -> None:
    """A connection that sends nothing is closed when its time is over; meanwhile others are answered."""
    served = Served(replace(http.LIMITS, request_seconds=0.3))
    with socket.create_connection((served.host, served.port), timeout=20) as silent:
        assert served.request("/healthz")[0] == 200
        assert silent.recv(100) == b""
    served.server.close()


def test_page_that_cannot_be_made_is_logged_by_kind(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of ours in making a page reaches the log, without the words of the error."""

    def fail() -> None:
        raise KeyError("hunter2")

    served.meter.add_source(fail)

    assert served.send(b"GET /metrics HTTP/1.0\r\n\r\n") == b""
    assert [record.__dict__["facts"] for record in caplog.records if record.levelname == "ERROR"] == [
        {"error": "KeyError"}
    ]
    assert "hunter2" not in caplog.text
    assert served.request("/healthz")[0] == 200


def test_surplus_connections_are_closed(served: Served) -> None:
    """More clients than places do not make more connections: the oldest that says nothing loses its place."""
    with ExitStack() as stack:
        held = [stack.enter_context(served.connect()) for _ in range(http.LIMITS.connections)]
        assert served.request("/healthz")[0] == 200
        assert held[0].recv(1) == b""
        held[1].sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert held[1].recv(12) == b"HTTP/1.1 200"
        assert b'runtime_http_connections_cut_total{port="telemetry"} 1.0' in served.request("/metrics")[1]


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /healthz HTTP/1.1\r\nX: ", b"GET /metrics HTTP/1.1\r\n\r\n"],
    ids=["idle", "slow", "never-reads"],
)
def test_probes_and_scrapes_are_answered_under_slow_clients(served: Served, said: bytes) -> None:
    """Two hundred clients say nothing, send a byte now and then, or do not read what they wanted."""
    with ExitStack() as stack:
        held = [stack.enter_context(served.connect()) for _ in range(SLOW_CLIENTS)]
        for connection in held:
            _send_on(connection, said)
        for byte in b"abc":
            for path in ("/healthz", "/readyz", "/metrics"):
                began = time.monotonic()
                assert served.request(path)[0] == 200
                assert time.monotonic() - began < 5
            if said.endswith(b"X: "):
                for connection in held:
                    _send_on(connection, bytes([byte]))


def _send_on(connection: socket.socket, said: bytes) -> None:
    try:
        connection.sendall(said)
    except ConnectionError:
        return  # it lost its place to a newer one


def test_scrapes_that_come_together_share_a_page(served: Served) -> None:
    """A page that takes long is not made once for each client."""
    made = []

    def slow() -> None:
        made.append(1)
        time.sleep(0.05)

    served.meter.add_source(slow)
    with ExitStack() as stack:
        held = [stack.enter_context(served.connect()) for _ in range(50)]
        for connection in held:
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        for connection in held:
            assert connection.recv(12) == b"HTTP/1.1 200"
    assert len(made) < 25


def test_a_name_that_leads_to_loopback_is_not_answered(served: Served) -> None:
    """A page in a browser cannot read the metrics of the machine through a name of its own."""
    assert served.request("/metrics", Host="evil.example:9464")[0] == 400
    assert served.request("/healthz", Host="localhost:9464")[0] == 200
    assert served.request("/healthz", Host="[::1]")[0] == 200


def test_answers_are_not_guessed_at_and_not_kept(served: Served) -> None:
    """A browser takes the type as it is said."""
    answer = served.send(b"GET /metrics HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[0]

    assert b"X-Content-Type-Options: nosniff" in answer
    assert b"Cache-Control: no-store" in answer


def test_port_in_use_names_the_setting() -> None:
    """The message says which address is taken and what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = TelemetryServer(Meter(), alive={}, ready={})

        with pytest.raises(HttpError, match=rf"127\.0\.0\.1:{port}.*CALLSTREAM_HTTP_PORT"):
            server.start("127.0.0.1", port)


def test_a_scrape_tells_which_checks_fail(served: Served) -> None:
    """An alert needs no second request, and names the check."""
    served.problems["stream"] = "nobody is there"
    assert b'runtime_ready{check="stream"} 0.0' in served.request("/metrics")[1]
    served.problems["stream"] = None
    assert b'runtime_ready{check="stream"} 1.0' in served.request("/metrics")[1]

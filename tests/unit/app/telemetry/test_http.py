import json
import socket
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection

import pytest

from app.telemetry import http, metrics
from app.telemetry.http import HttpAnswer, HttpError, TelemetryServer
from app.telemetry.meter import Meter


class Served:
    """A running endpoint and the sentences that its checks say."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.problems: dict[str, str | None] = {"alive": None, "stream": None}
        self.server = TelemetryServer(
            self.meter,
            alive={"threads": lambda: self.problems["alive"]},
            ready={"stream": lambda: self.problems["stream"]},
            routes={"/asked": lambda query: HttpAnswer(HTTPStatus.IM_A_TEAPOT, {"query": query})},
        )
        host, _, port = self.server.start("127.0.0.1", 0).rpartition(":")
        self.host, self.port = host, int(port)

    def request(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Status and body of one ordinary request."""
        connection = HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

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
        answer = served.send(b"GET /metrics HTTP/1.1\r\nX: " + b"a" * (2 * http.MAX_REQUEST_BYTES))
    except ConnectionError:
        answer = b""

    assert answer == b""
    assert served.request("/healthz")[0] == 200


def test_silent_client_does_not_block_others(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends nothing is closed when its time is over; meanwhile others are answered."""
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.3)
    with socket.create_connection((served.host, served.port), timeout=20) as silent:
        assert served.request("/healthz")[0] == 200
        assert silent.recv(100) == b""


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
    """More clients than places do not make more threads."""
    held = [socket.create_connection((served.host, served.port), timeout=20) for _ in range(http.MAX_CONNECTIONS)]
    try:
        assert served.send(b"") == b""
    finally:
        for connection in held:
            connection.close()


def test_port_in_use_names_the_setting() -> None:
    """The message says which address is taken and what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = TelemetryServer(Meter(), alive={}, ready={})

        with pytest.raises(HttpError, match=rf"127\.0\.0\.1:{port}.*CALLSTREAM_HTTP_PORT"):
            server.start("127.0.0.1", port)


def test_a_route_of_the_process_is_answered_as_json(served: Served) -> None:
    """With its query string as it came, and with the status that it says; other paths are told which there are."""
    status, body = served.request("/asked?a=%20b&c")

    assert (status, json.loads(body)) == (418, {"query": "a=%20b&c"})
    assert served.request("/asked/more")[0] == 404
    assert b"/asked" in served.request("/")[1]

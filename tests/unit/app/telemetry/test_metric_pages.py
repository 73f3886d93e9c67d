"""A metrics page is read as one moment of one process, or its address is named with a reason."""

import socket

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.telemetry import metrics
from app.telemetry.http import TelemetryServer
from app.telemetry.meter import Meter
from app.telemetry.metric_pages import (
    Page,
    UnreadPage,
    parse_page,
    read_processes,
)
from schemas import topics


def _meter() -> Meter:
    meter = Meter()
    meter.set(metrics.PROCESS_INFO, 1, "privacy")
    meter.add(metrics.WRITTEN, 12, topics.CALLS)
    meter.add(metrics.DEAD_LETTERS, 2, "privacy", "malformed")
    meter.add(metrics.CONVERTED, 3_000_000_000)
    return meter


def test_numbers_come_back_from_a_page_by_metric_and_labels() -> None:
    """Labels are in the order of the metrics table, whatever their order on the page."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_meter())
    page = parse_page("here", generate_latest(registry).decode())
    assert isinstance(page, Page)
    assert page.process == "privacy"
    assert page.value(metrics.WRITTEN, topics.CALLS) == 12
    assert page.total(metrics.DEAD_LETTERS) == 2
    assert page.series(metrics.DEAD_LETTERS)[("privacy", "malformed")] == 2
    assert page.total(metrics.CONVERTED) == 3_000_000_000
    assert page.value(metrics.WRITTEN, topics.RAW) == 0


@pytest.mark.parametrize("text", ["", "<html>no</html>", 'up{job="x"} 1\n', "runtime_process_info 1\n"])
def test_a_page_that_is_not_ours_is_refused(text: str) -> None:
    """Zeros of somebody else's page would balance."""
    assert isinstance(parse_page("here", text), UnreadPage)


def test_served_pages_are_read_by_address_or_url_and_once() -> None:
    """An address that is given twice does not count twice, and the page says since when its process runs."""
    server = TelemetryServer(_meter(), alive={}, ready={})
    address = server.start("127.0.0.1", 0)
    try:
        (page,) = read_processes([address, f"http://{address}/metrics", address])
        assert isinstance(page, Page)
        assert page.value(metrics.WRITTEN, topics.CALLS) == 12
        assert page.started > 1_600_000_000
        (page,) = read_processes([f"http://{address}"])
        assert isinstance(page, Page)
        assert page.process == "privacy"
    finally:
        server.close()
    (none,) = read_processes([address])
    assert str(none) == f"no process can be read at {address}: Connection refused"


def test_what_does_not_answer_is_listed_beside_what_does() -> None:
    """One dead process hides no other, whatever is wrong with it."""
    server = TelemetryServer(_meter(), alive={}, ready={})
    address = server.start("127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    try:
        found = read_processes([closed, address, "no-such-name.invalid:9464", "nonsense", f"http://{address}/healthz"])
    finally:
        server.close()
    assert [type(one) for one in found] == [UnreadPage, Page, UnreadPage, UnreadPage, UnreadPage]
    assert isinstance(found[0], UnreadPage)
    assert found[0].reason == "Connection refused"
    assert isinstance(found[4], UnreadPage)
    assert found[4].reason == "HTTP 404"

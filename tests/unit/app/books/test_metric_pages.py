"""A metrics page is read as one moment of one process, or refused."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.books.metric_pages import PageUnreadableError, parse_page, read_page, read_pages
from app.telemetry import metrics
from app.telemetry.http import TelemetryServer
from app.telemetry.meter import Meter
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
    assert page.process == "privacy"
    assert page.value(metrics.WRITTEN, topics.CALLS) == 12
    assert page.value(metrics.DEAD_LETTERS, "privacy", "malformed") == 2
    assert page.total(metrics.CONVERTED) == 3_000_000_000
    assert page.value(metrics.WRITTEN, topics.RAW) == 0


@pytest.mark.parametrize("text", ["", "<html>no</html>", 'up{job="x"} 1\n', "runtime_process_info 1\n"])
def test_a_page_that_is_not_ours_is_refused(text: str) -> None:
    """Zeros of somebody else's page would balance."""
    with pytest.raises(PageUnreadableError):
        parse_page("here", text)


def test_a_served_page_is_read_by_address_or_url_and_once() -> None:
    """An address that is given twice does not count twice."""
    server = TelemetryServer(_meter(), alive={}, ready={})
    address = server.start("127.0.0.1", 0)
    try:
        assert read_page(f"http://{address}/metrics").value(metrics.WRITTEN, topics.CALLS) == 12
        assert [page.process for page in read_pages([address, address])] == ["privacy"]
    finally:
        server.close()
    with pytest.raises(PageUnreadableError, match="no process answers"):
        read_page(address)

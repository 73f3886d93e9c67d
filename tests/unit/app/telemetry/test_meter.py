import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.telemetry import metrics, state_metrics
from app.telemetry.meter import OTHER, Meter


def _page(meter: Meter) -> dict[str, float]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(meter)
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_every_series_of_a_closed_set_starts_at_zero() -> None:
    """A first drop is a step from 0 to 1, which alerts can see, and not a series that appears."""
    page = _page(Meter())

    assert page['runtime_events_dropped_total{reason="overflow"}'] == 0
    assert page['runtime_events_received_total{probe_type="Kretprobe"}'] == 0


def test_a_gauge_of_what_is_in_force_has_no_series_before_its_first_value() -> None:
    """A zero would say that the registry is away, or that nothing is ready."""
    meter = Meter()
    page = _page(meter)
    assert not [name for name in page if name.startswith(("runtime_registry_up", "runtime_ready", "runtime_group_lag"))]

    meter.set(state_metrics.REGISTRY_UP, 0)
    assert _page(meter)["runtime_registry_up"] == 0


def test_series_that_are_replaced_leave_nothing_behind() -> None:
    """A policy that is no longer in force is not shown beside the one that is."""
    meter = Meter()
    meter.replace(state_metrics.POLICY_INFO, {("old",): 1})
    meter.replace(state_metrics.POLICY_INFO, {("new",): 1})

    shown = {name for name in _page(meter) if name.startswith("runtime_privacy_policy_info")}
    assert shown == {'runtime_privacy_policy_info{policy_id="new"}'}


def test_histogram_takes_a_weight() -> None:
    """A batch of 1,000 events at 0.02 ms each is a thousand observations."""
    meter = Meter()

    meter.observe(metrics.CONVERSION_MS, 0.02, weight=1000)
    meter.observe(metrics.CONVERSION_MS, 700.0, weight=2)

    page = _page(meter)
    name = "runtime_event_conversion_duration_ms"
    assert page[f'{name}_bucket{{le="0.015"}}'] == 0
    assert page[f'{name}_bucket{{le="0.02"}}'] == 1000
    assert page[f'{name}_bucket{{le="100.0"}}'] == 1000
    assert page[f'{name}_bucket{{le="+Inf"}}'] == page[f"{name}_count"] == 1002
    assert page[f"{name}_sum"] == pytest.approx(1420)


def test_a_page_shows_updates_made_together_or_not_at_all() -> None:
    """While one thread books consumed and converted together, no page shows the one without the other."""
    meter = Meter()
    stop = threading.Event()

    def book() -> None:
        while not stop.is_set():
            with meter.together():
                meter.add(metrics.CONSUMED, 7, "tetragon.raw")
                meter.add(metrics.CONVERTED, 7)

    thread = threading.Thread(target=book)
    thread.start()
    try:
        pages = [_page(meter) for _ in range(30)]
    finally:
        stop.set()
        thread.join()

    assert pages[-1]["runtime_events_converted_total"] > 0
    for page in pages:
        assert page['runtime_records_consumed_total{topic="tetragon.raw"}'] == page["runtime_events_converted_total"]


def test_sources_are_asked_before_every_reading() -> None:
    """A number kept elsewhere, such as a queue's length, is fresh on each page."""
    meter = Meter()
    queue = [1, 2, 3]
    meter.add_source(lambda: meter.set(metrics.BUFFERED, len(queue), "memory"))

    first = meter.read(metrics.BUFFERED, "memory")
    queue.clear()

    assert (first, _page(meter)['runtime_events_buffered{place="memory"}']) == (3, 0)


def test_value_outside_a_closed_set_is_refused() -> None:
    """A reason that nobody declared is a bug, not a new series."""
    with pytest.raises(ValueError, match="not a value of the label reason"):
        Meter().add(metrics.DROPPED, 1, "because")


def test_malformed_and_surplus_words_become_other() -> None:
    """A word label holds neither text with spaces nor more values than its limit."""
    meter = Meter()
    limit = metrics.FRAMES.labels[0].limit

    meter.add(metrics.FRAMES, 1, "/home/alice/.ssh/id_rsa")
    meter.add(metrics.FRAMES, 1, "x" * 65)
    for number in range(limit + 5):
        meter.add(metrics.FRAMES, 1, f"word{number}")

    assert meter.read(metrics.FRAMES, OTHER) == 2 + 5
    assert meter.total(metrics.FRAMES) == 2 + limit + 5
    assert len([name for name in _page(meter) if name.startswith("runtime_frames_total")]) == limit + 1


def test_counters_do_not_fall() -> None:
    """A negative amount is a bug in the caller."""
    with pytest.raises(ValueError, match="cannot fall"):
        Meter().add(metrics.CONVERTED, -1)


def test_forgotten_series_leaves_the_page() -> None:
    """The lag of a partition that moved away is not shown for ever."""
    meter = Meter()
    meter.set(metrics.LAG, 5, "tetragon.raw", "3")

    meter.forget(metrics.LAG, "tetragon.raw", "3")

    assert not [name for name in _page(meter) if name.startswith("runtime_consumer_lag_records{")]

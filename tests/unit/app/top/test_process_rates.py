"""Rates are what two readings say, and nothing where they cannot say it."""

from app.telemetry import metrics
from app.telemetry.metric_pages import Page, UnreadPage
from app.telemetry.state_metrics import GROUP_LAG, GROUP_LAG_SECONDS
from app.top.process_rates import PageReading, ProcessHistory, StageLag, causes_of, stage_lags, together

INGEST = "a:1"
PRIVACY = "b:2"


def _ingest(received: int, written: int, *, started: float = 100.0, address: str = INGEST) -> Page:
    samples: dict[str, dict[tuple[str, ...], float]] = {
        metrics.RECEIVED.name: {("Kprobe",): float(received), ("Unknown",): 1.0},
        metrics.WRITTEN.name: {("tetragon.raw",): float(written), ("runtime.coverage",): 2.0},
        metrics.BUFFERED.name: {("memory",): 5.0, ("disk",): 6.0},
        metrics.BUFFERED_BYTES.name: {("memory",): 50.0, ("disk",): 60.0},
        metrics.DROPPED.name: {("overflow",): 3.0, ("spill",): 0.0},
        metrics.GAPS.name: {
            ("Heartbeat",): 90.0,
            ("Reconnect",): 4.0,
            ("LossesUnread",): 7.0,
            ("Farewell",): 1.0,
            ("NewerCause",): 1.0,
        },
    }
    return Page(address, metrics.INGEST_PROCESS, samples, started)


def _privacy(consumed: int) -> Page:
    samples: dict[str, dict[tuple[str, ...], float]] = {
        metrics.CONSUMED.name: {("runtime.canonical",): float(consumed)},
        metrics.LAG.name: {("runtime.canonical", "0"): 30.0, ("runtime.canonical", "1"): 12.0},
        metrics.DEAD_LETTERS.name: {("privacy", "malformed"): 2.0},
        metrics.IN_FLIGHT.name: {(): 9.0},
    }
    return Page(PRIVACY, "privacy", samples, 50.0)


def test_two_readings_give_rates_and_one_gives_none() -> None:
    """In the order of the pipeline, whatever the order of the addresses."""
    history = ProcessHistory()
    first = history.rates(PageReading(10.0, 1_000.0, [_privacy(0), _ingest(100, 80)]))
    assert [(row.process, row.in_rate, row.out_rate) for row in first] == [
        ("ingest", None, None),
        ("privacy", None, None),
    ]
    ingest, privacy = history.rates(PageReading(12.0, 1_002.0, [_privacy(400), _ingest(300, 380)]))
    assert (ingest.in_rate, ingest.out_rate, privacy.in_rate) == (100.0, 150.0, 200.0)
    assert (ingest.up_seconds, privacy.up_seconds) == (902.0, 952.0)
    assert (ingest.lag_records, privacy.lag_records) == (None, 42)
    assert (ingest.waiting_records, ingest.waiting_bytes, privacy.waiting_records) == (11, 110, 9)
    assert (ingest.dropped, ingest.gaps, privacy.dead_letters) == (3, 5, 2)


def test_a_restart_is_counted_and_gives_no_rate() -> None:
    """A counter that begins again has no negative rate; a start that differs is a restart even if counters grew."""
    history = ProcessHistory()
    history.rates(PageReading(10.0, 1_000.0, [_ingest(100, 80)]))
    (row,) = history.rates(PageReading(12.0, 1_002.0, [_ingest(900, 900, started=1_001.0)]))
    assert (row.restarts, row.in_rate, row.up_seconds) == (1, None, 1.0)
    (row,) = history.rates(PageReading(14.0, 1_004.0, [_ingest(10, 10, started=1_001.0)]))
    assert (row.restarts, row.in_rate) == (2, None)
    (row,) = history.rates(PageReading(15.0, 1_005.0, [_ingest(20, 10, started=1_001.0)]))
    assert (row.restarts, row.in_rate) == (2, 10.0)


def test_a_process_that_was_silent_meanwhile_has_its_rate_of_all_that_time() -> None:
    """And if it came back as another process, that is a restart, too."""
    history = ProcessHistory()
    history.rates(PageReading(10.0, 1_000.0, [_ingest(100, 80)]))
    silent = PageReading(12.0, 1_002.0, [UnreadPage(INGEST, "Connection refused")])
    assert history.rates(silent) == []
    assert [one.address for one in silent.unread] == [INGEST]
    (row,) = history.rates(PageReading(20.0, 1_010.0, [_ingest(200, 180)]))
    assert (row.in_rate, row.restarts) == (10.0, 0)


def test_processes_of_a_kind_are_summed() -> None:
    """With what was lost by cause, over all of them; heartbeats are not gaps."""
    rows = ProcessHistory().rates(PageReading(1.0, 1_000.0, [_ingest(1, 1), _ingest(5, 5, address="c:3"), _privacy(1)]))
    ingest, privacy = together(rows, {})
    assert (ingest.processes, ingest.dropped, ingest.gaps, ingest.waiting_records) == (2, 6, 10, 22)
    assert (ingest.in_rate, ingest.lag_records, privacy.processes, privacy.lag_records) == (None, None, 1, 42)
    assert causes_of(rows) == {
        "dropped": {"overflow": 6},
        "gaps": {"Reconnect": 8, "NewerCause": 2},
        "dead letters": {"malformed": 2},
    }


def test_the_lag_of_a_dead_stage_is_what_the_others_say() -> None:
    """Every stage tells the lag of all: the largest of each source counts, and a stage without a process has a row."""

    def page(process: str, records: float, seconds: float) -> Page:
        sources = [("canonicalize", "tetragon.raw"), ("hot-symbols", "runtime.calls"), ("hot-symbols", "runtime.watch")]
        samples: dict[str, dict[tuple[str, ...], float]] = {
            GROUP_LAG.name: dict.fromkeys(sources, records),
            GROUP_LAG_SECONDS.name: dict.fromkeys(sources, seconds),
        }
        return Page(f"{process}:1", process, samples, 1.0)

    silent = UnreadPage("c:9", "Connection refused")
    pages: list[Page | UnreadPage] = [page("privacy", 10.0, 3.0), page("hot-symbols", 12.0, 2.0), silent]
    lags = stage_lags(pages)
    assert lags == {
        "canonicalize": StageLag("canonicalize", 12, 3.0),
        "hot-symbols": StageLag("hot-symbols", 24, 3.0),
    }
    kinds = together(ProcessHistory().rates(PageReading(1.0, 1_000.0, pages)), lags)
    assert [(row.process, row.processes, row.lag_records, row.lag_seconds) for row in kinds] == [
        ("canonicalize", 0, 12, 3.0),
        ("privacy", 1, 0, None),
        ("hot-symbols", 1, 24, 3.0),
    ]

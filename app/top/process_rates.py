"""What two readings of a process's page say: rates, and what waits, was lost or refused.

Pure functions over pages. A rate is known if a process was read twice and did not start again meanwhile; otherwise it
is None, never zero.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.telemetry import metrics, state_metrics
from app.telemetry.metric import Metric
from app.telemetry.metric_pages import Page, UnreadPage
from app.topology import PIPELINE
from schemas.coverage import CLAIMS, TELLING

ORDER: Final = (metrics.INGEST_PROCESS, *(shape.stage.value for shape in PIPELINE))
"""Processes in the order in which events pass them."""


@dataclass(frozen=True, slots=True)
class PageReading:
    """All processes' pages, read at one time: `seconds` on a clock that only goes forward, `time` in Unix time."""

    seconds: float
    time: float
    found: Sequence[Page | UnreadPage]

    @property
    def unread(self) -> list[UnreadPage]:
        """The addresses that did not answer."""
        return [one for one in self.found if isinstance(one, UnreadPage)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRates:
    """One process, or several of a kind. Counts are since its start; rates are a second.

    A process's lag is that of its own partitions; since when records wait is known of a whole stage only. `not_ready`
    names the checks of /readyz that find something wrong, and `causes` says of what dropped events, gaps, dead letters
    and the like consist.
    """

    process: str
    address: str
    processes: int = 1
    version: str = ""
    not_ready: tuple[str, ...] = ()
    up_seconds: float | None
    restarts: int
    in_rate: float | None
    out_rate: float | None
    lag_records: int | None
    lag_seconds: float | None = None
    waiting_records: int
    waiting_bytes: int
    dropped: int
    gaps: int
    dead_letters: int
    causes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageLag:
    """How far a stage is behind, in all partitions of all its sources: also one of which no process answers."""

    stage: str
    records: int
    seconds: float


class ProcessHistory:
    """Turns one reading after another into rates, and counts the restarts that it sees."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, Page]] = {}
        self._restarts: dict[str, int] = {}

    def rates(self, reading: PageReading) -> list[ProcessRates]:
        """Every process that answered, in the order of the pipeline; rates are those since it was last read."""
        rows = []
        for page in (one for one in reading.found if isinstance(one, Page)):
            address = page.address
            seconds, before = self._before.get(address, (reading.seconds, page))
            if _is_new(before, page):
                self._restarts[address] = self._restarts.get(address, 0) + 1
                seconds = reading.seconds
            restarts = self._restarts.get(address, 0)
            rows.append(_rates(page, before, reading.seconds - seconds, reading.time, restarts))
            self._before[address] = reading.seconds, page
        return sorted(rows, key=lambda row: (_place(row.process), row.address))


def together(rows: Iterable[ProcessRates], lags: Mapping[str, StageLag]) -> list[ProcessRates]:
    """One row for each kind of process, without an address; also for a stage of which no process answers."""
    by_process: dict[str, list[ProcessRates]] = {stage: [] for stage in lags}
    for row in rows:
        by_process.setdefault(row.process, []).append(row)
    return [_sum(process, by_process[process], lags.get(process)) for process in sorted(by_process, key=_place)]


def causes_of(rows: Iterable[ProcessRates]) -> dict[str, dict[str, int]]:
    """Why events were dropped, gaps written, records refused, and so on, over all processes."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        for what, counts in row.causes.items():
            total = found.setdefault(what, {})
            for cause, count in counts.items():
                total[cause] = total.get(cause, 0) + count
    return found


def stage_lags(found: Iterable[Page | UnreadPage]) -> dict[str, StageLag]:
    """How far each stage is behind. Every stage tells it of all, so the largest numbers count."""
    by_source: dict[tuple[str, str], tuple[int, float]] = {}
    for page in (one for one in found if isinstance(one, Page)):
        seconds = page.series(state_metrics.GROUP_LAG_SECONDS)
        for (stage, topic), records in page.series(state_metrics.GROUP_LAG).items():
            before = by_source.get((stage, topic), (0, 0.0))
            by_source[stage, topic] = max(before[0], int(records)), max(before[1], seconds.get((stage, topic), 0.0))
    return {
        stage: StageLag(
            stage,
            sum(records for (of, _), (records, _) in by_source.items() if of == stage),
            max(seconds for (of, _), (_, seconds) in by_source.items() if of == stage),
        )
        for stage in sorted({stage for stage, _ in by_source}, key=_place)
    }


def _place(process: str) -> int:
    return ORDER.index(process) if process in ORDER else len(ORDER)


def _is_new(before: Page, page: Page) -> bool:
    """Whether another process answers now: its start differs, or a counter fell."""
    if before.process != page.process or before.started != page.started:
        return True
    return any(page.total(metric) < before.total(metric) for metric in (metrics.RECEIVED, metrics.WRITTEN))


def _rates(page: Page, before: Page, passed: float, now: float, restarts: int) -> ProcessRates:
    """The numbers of one page, and the rates since the page `before`, if time has `passed` since then."""

    def rate(counter: Metric) -> float | None:
        return (page.total(counter) - before.total(counter)) / passed if passed > 0 else None

    is_ingest = page.process == metrics.INGEST_PROCESS
    lags = page.series(metrics.LAG)
    gaps = {cause: count for cause, count in _by(page, metrics.GAPS, 0).items() if cause not in CLAIMS | TELLING}
    dropped = _by(page, metrics.DROPPED, 0)
    letters = _by(page, metrics.DEAD_LETTERS, 1)
    causes = {
        "dropped": dropped,
        "gaps": gaps,
        "lost by the agent": _by(page, metrics.AGENT_LOST, 0),
        "dead letters": letters,
        "refused": _by(page, metrics.REFUSED, 1),
        "skipped": _by(page, metrics.SKIPPED, 0),
    }
    return ProcessRates(
        process=page.process,
        address=page.address,
        version=" ".join(next(iter(page.series(state_metrics.BUILD_INFO)), ())),
        not_ready=tuple(
            sorted(check for (check,), is_ready in page.series(state_metrics.READY).items() if not is_ready)
        ),
        up_seconds=max(0.0, now - page.started) if page.started else None,
        restarts=restarts,
        in_rate=rate(metrics.RECEIVED) if is_ingest else rate(metrics.CONSUMED),
        out_rate=rate(metrics.WRITTEN),
        lag_records=None if is_ingest else int(sum(lags.values())),
        waiting_records=page.total(metrics.BUFFERED if is_ingest else metrics.IN_FLIGHT),
        waiting_bytes=page.total(metrics.BUFFERED_BYTES),
        dropped=sum(dropped.values()),
        gaps=sum(gaps.values()),
        dead_letters=sum(letters.values()),
        causes={what: counts for what, counts in causes.items() if counts},
    )


def _by(page: Page, metric: Metric, label: int) -> dict[str, int]:
    """Totals above zero by one of the metric's labels."""
    found: dict[str, int] = {}
    for labels, value in page.series(metric).items():
        if value:
            found[labels[label]] = found.get(labels[label], 0) + int(value)
    return found


def _sum(process: str, rows: Sequence[ProcessRates], behind: StageLag | None) -> ProcessRates:
    def known(of: Callable[[ProcessRates], float | None]) -> float | None:
        values = [value for row in rows if (value := of(row)) is not None]
        return sum(values) if values else None

    lag = known(lambda row: row.lag_records) if behind is None else behind.records
    ups = [row.up_seconds for row in rows if row.up_seconds is not None]
    return ProcessRates(
        process=process,
        address="",
        processes=len(rows),
        version=", ".join(sorted({row.version for row in rows if row.version})),
        not_ready=tuple(sorted({check for row in rows for check in row.not_ready})),
        up_seconds=min(ups, default=None),
        restarts=sum(row.restarts for row in rows),
        in_rate=known(lambda row: row.in_rate),
        out_rate=known(lambda row: row.out_rate),
        lag_records=None if lag is None else int(lag),
        lag_seconds=None if behind is None else behind.seconds,
        waiting_records=sum(row.waiting_records for row in rows),
        waiting_bytes=sum(row.waiting_bytes for row in rows),
        dropped=sum(row.dropped for row in rows),
        gaps=sum(row.gaps for row in rows),
        dead_letters=sum(row.dead_letters for row in rows),
        causes=causes_of(rows),
    )

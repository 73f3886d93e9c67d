"""The pipeline now: what all processes say of themselves, read at most once in two seconds, however many people look.

Nobody looks, nobody reads: a process that is not looked at costs the workers nothing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from app.settings import Settings
from app.telemetry import state_metrics
from app.telemetry.metric import Metric
from app.telemetry.metric_pages import Page, UnreadPage, read_processes
from app.telemetry.process_addresses import addresses_in
from app.top.process_rates import PageReading, ProcessHistory
from app.top.table import document

PAUSE_SECONDS: Final = 2.0
"""Between two readings: one takes a worker some 5 ms."""

MOST_MOMENTS: Final = 300
"""That a chart shows: ten minutes."""

NO_ADDRESS: Final = (
    "no process is known: set CALLSTREAM_PROCESS_ADDRESSES to host:port of each one's /metrics, separated by commas"
)


class LivePipeline:
    """Answers from any thread."""

    def __init__(
        self, settings: Settings, read: Callable[[Iterable[str]], list[Page | UnreadPage]] = read_processes
    ) -> None:
        self._settings = settings
        self._read = read
        self._lock = threading.Lock()
        self._history = ProcessHistory()
        self._last: dict[str, Any] | None = None
        self._read_at = 0.0
        self._moments: deque[dict[str, Any]] = deque(maxlen=MOST_MOMENTS)

    def look(self) -> dict[str, Any]:
        """What the processes say, not older than `PAUSE_SECONDS`."""
        with self._lock:
            if self._last is None or time.monotonic() - self._read_at >= PAUSE_SECONDS:
                self._last = self._looked()
                self._read_at = time.monotonic()
            return self._last

    def _looked(self) -> dict[str, Any]:
        addresses = addresses_in(self._settings)
        reading = PageReading(time.monotonic(), time.time(), self._read(addresses))
        found = document(self._history.rates(reading), reading)
        self._moments.append(
            {
                "time": reading.time,
                "kinds": {
                    one["process"]: {name: one[name] for name in ("in_rate", "out_rate", "lag_records", "lag_seconds")}
                    for one in found["kinds"]
                },
            }
        )
        pages = [one for one in reading.found if isinstance(one, Page)]
        return {
            **found,
            "advice": None if addresses else NO_ADDRESS,
            "in_force": {
                "policies": _labels(pages, state_metrics.POLICY_INFO),
                "snapshots": _labels(pages, state_metrics.SYMBOLS_INFO),
                "versions": _labels(pages, state_metrics.BUILD_INFO),
            },
            "letters_open": _most(pages, state_metrics.LETTERS_OPEN),
            "moments": list(self._moments),
        }


def _labels(pages: Sequence[Page], metric: Metric) -> list[dict[str, Any]]:
    """The label values that are in force, each with the processes that say so."""
    found: dict[str, set[str]] = {}
    for page in pages:
        for labels, value in page.series(metric).items():
            if value:
                found.setdefault(" ".join(labels), set()).add(page.process)
    return [{"value": value, "processes": sorted(found[value])} for value in sorted(found)]


def _most(pages: Sequence[Page], metric: Metric) -> int | None:
    values = [value for page in pages for value in page.series(metric).values()]
    return int(max(values)) if values else None

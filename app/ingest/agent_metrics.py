"""Tetragon's own loss counters, read from its metrics page: what the agent dropped before anybody could read it.

Source: `tetragon_notify_overflowed_events_total` (a reader was too slow), `tetragon_bpf_missed_events_total` (the
kernel could not hand an event over), `tetragon_observer_ringbuf_events_lost_total` and
`tetragon_observer_ringbuf_queue_events_lost_total` (the agent could not keep up),
`tetragon_observer_ringbuf_errors_total` and `tetragon_handler_errors_total` (it could not read an event),
`tetragon_missed_prog_probes_total` and `tetragon_missed_link_probes_total` (the kernel skipped a probe), and
`tetragon_generic_kprobe_merge_errors_total`, since Tetragon 1.7 `tetragon_generic_kprobe_merge_total{status="error"}`
(entry and return did not come together, so neither was sent).

A counter that fell was reset by a restart of the agent, and its present value is its growth. The first reading only
sets the start for the next.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.ingest.node_claims import AgentLoss
from app.telemetry import metrics
from app.telemetry.page_reading import NoPageError, read_page

log = logging.getLogger(__name__)

COUNTERS: Final = metrics.AGENT_LOST.labels[0].values
_SAMPLE: Final = re.compile(rf"^({'|'.join(COUNTERS)})(\{{[^\n]*\}})?[ \t]+([0-9.eE+]+)", re.MULTILINE)
_MERGES: Final = re.compile(
    r"^tetragon_generic_kprobe_merge_(?:ok_total|pushed|pushed_total|total(?=\{[^\n]*status=\"ok\"))"
    r"(?:\{[^\n]*\})?[ \t]+([0-9.eE+]+)",
    re.MULTILINE,
)
"""Halves of events with a return: each that waits for the other, and each pair that came together."""
_BEFORE_THE_POST: Final = re.compile(r"tetragon_(?:bpf_missed|missed_)")
"""Counters of what the kernel never handed over, so no policy posted it."""
_ONLY: Final = {"tetragon_generic_kprobe_merge_total": 'status="error"'}
"""Counters of which only the samples with this label are losses."""
_MAX_COUNT: Final = float(1 << 62)
"""Of a counter; events cannot reach a larger one."""


@dataclass(frozen=True, slots=True)
class CounterReading:
    """The loss counters as they were read at one time (Unix epoch, ns)."""

    counters: Mapping[str, int]
    read_at_ns: int


@dataclass(frozen=True, slots=True)
class AgentExplains:
    """Events that need not come, by the agent's counters since they were first read, and when they were read last."""

    events: int
    read_at_ns: int


class AgentMetrics:
    """One agent's metrics page."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: Mapping[str, float] | None = None
        self.trouble: str | None = None
        """Why the last reading failed; None when it did not."""
        self._merges: float | None = None
        self._explained = 0
        self.read_at_ns = 0
        """When the counters were last read, Unix epoch; 0 before."""

    def read(self, now_ns: int) -> list[AgentLoss]:
        """Losses since the last reading; none, with `trouble` set, when the page cannot be read."""
        try:
            page = read_page(self._url)
            counters, merges = totals(page), sum(map(float, _MERGES.findall(page)))
        except NoPageError as error:
            return self._failed(str(error))
        except ValueError:
            return self._failed("a loss counter on the page is not a number")
        if not counters:
            return self._failed("none of Tetragon's loss counters is on the page")
        losses = growth(self._known, counters, self.read_at_ns, now_ns)
        self._explained += sum(one.growth for one in losses if not _BEFORE_THE_POST.match(one.counter))
        merges = min(merges, _MAX_COUNT)
        if self._merges is not None:
            self._explained += int(merges - self._merges if merges >= self._merges else merges)
        self._known, self._merges, self.read_at_ns, self.trouble = counters, merges, now_ns, None
        return losses

    def explains(self) -> AgentExplains | None:
        """Posts of policies that need not become an event: lost by the agent, or halves of one. None if unreadable."""
        return (
            None if self.trouble is not None or not self.read_at_ns else AgentExplains(self._explained, self.read_at_ns)
        )

    def last_reading(self) -> CounterReading | None:
        """The counters as they were last read, for the next ingest; None before the first reading."""
        if self._known is None:
            return None
        return CounterReading({name: int(count) for name, count in self._known.items()}, self.read_at_ns)

    def go_on_from(self, reading: CounterReading) -> None:
        """Take another ingest's last reading for the one before the first."""
        self._known, self.read_at_ns = dict(reading.counters), reading.read_at_ns

    def _failed(self, reason: str) -> list[AgentLoss]:
        if self.trouble is None:
            log.warning("Tetragon's metrics at %s cannot be read: %s", self._url, reason)
        self.trouble = reason
        return []


def totals(page: str) -> dict[str, float]:
    """Sum of each loss counter over its labels, for those on the page. Raises ValueError if one is not a number."""
    found: dict[str, float] = {}
    for name, labels, value in _SAMPLE.findall(page):
        found[name] = found.get(name, 0.0) + (float(value) if _ONLY.get(name, "") in labels else 0.0)
        if not 0.0 <= found[name] <= _MAX_COUNT:
            raise ValueError(name)
    return found


def growth(
    before: Mapping[str, float] | None, after: Mapping[str, float], before_ns: int, after_ns: int
) -> list[AgentLoss]:
    """Counters that grew between two readings, in the order of the table; a new counter grew from zero."""
    if before is None:
        return []
    losses = []
    for name in COUNTERS:
        then, now = before.get(name, 0.0), after.get(name, 0.0)
        grown = now - then if now >= then else now
        if grown > 0:
            losses.append(AgentLoss(name, int(grown), before_ns, after_ns))
    return losses

"""Twenty minutes at half of what the pipeline can do: `python -m bench.soak [--minutes N] [--rate N]`.

Every process is the real command. Events are new all the time, so caches see what they see in production. First it
measures the maximum: everything as fast as the source can be read, counted at the last stage. Then it runs at half of
that for the given minutes and samples memory, lag and losses every few seconds. Flat means that the median of the last
fifth of the samples is hardly above that of the second fifth. Exits with 1 if memory or lag is not flat, or if an event
was lost. Needs about 1 kB of disk for each event.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.embedded.ports import pick_free
from bench.deployment import Deployment, await_count, deployment
from bench.figures import Row, Table, record, text_of
from schemas import topics
from schemas.coverage import GapCause
from schemas.topics import Stage
from tests.support.live_agent import NODE, Life

LOOK_SECONDS: Final = 10.0
FLOOD_SECONDS: Final = 40.0
FLOOD_RATE_PER_S: Final = 60_000
"""More than any machine of this size passes on; what is not read is dropped by the source, as an agent does."""

SETTLED: Final = 1.10
"""Memory may grow by a tenth: allocators keep what they once had."""

LAG_SECONDS: Final = 5.0
"""Lag may be what arrives in so many seconds: hot symbols are written at intervals."""

_STAGES: Final = {
    Stage.CANONICALIZE: topics.RAW,
    Stage.PRIVACY: topics.CANONICAL,
    Stage.HOT_SYMBOLS: topics.CALLS,
}
_LOSSES: Final = ("runtime_events_dropped_total", "runtime_coverage_gaps_total", "runtime_agent_events_lost_total")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the running pipeline."""

    at_s: float
    memory_mb: dict[str, float]
    lag: dict[str, int]
    written: int


class Source:
    """A live agent on a fixed address."""

    def __init__(self, running: Deployment) -> None:
        self._running = running
        self._port = pick_free(frozenset())
        self._metrics_port = pick_free(frozenset({self._port}))
        self.environ = {
            "CALLSTREAM_TETRAGON_ADDRESS": f"127.0.0.1:{self._port}",
            "CALLSTREAM_TETRAGON_METRICS_URL": f"http://127.0.0.1:{self._metrics_port}/metrics",
        }

    def start(self, rate_per_s: int, seconds: float) -> None:
        """Have events happen for so long."""
        now_s = int(time.time()) + 2
        life = Life(
            seed=rate_per_s,
            start_s=now_s,
            until_s=now_s + int(seconds) + 1,
            rate_per_s=rate_per_s,
            listen_on=f"127.0.0.1:{self._port}",
            metrics_port=self._metrics_port,
        )
        self._running.processes["agent"] = subprocess.Popen(
            [sys.executable, "-m", "tests.support.live_agent", life.as_json()], env=os.environ, stdout=subprocess.PIPE
        )


def maximum(running: Deployment, source: Source) -> int:
    """Events a second that come out at the end when the source offers more than can be taken."""
    source.start(FLOOD_RATE_PER_S, 3 * FLOOD_SECONDS)
    running.start("ingest", "ingest", environ=source.environ)
    await_count(lambda: running.committed(Stage.HOT_SYMBOLS.group, topics.CALLS), 50_000, 120)
    began, first = time.perf_counter(), running.committed(Stage.HOT_SYMBOLS.group, topics.CALLS)
    time.sleep(FLOOD_SECONDS)
    last, ended = running.committed(Stage.HOT_SYMBOLS.group, topics.CALLS), time.perf_counter()
    running.stop("ingest", "agent")
    for stage, topic in _STAGES.items():
        await_count(lambda s=stage, t=topic: running.committed(s.group, t) - running.ends(t), 0, 300)  # type: ignore[misc]
    return int((last - first) / (ended - began))


def soak(running: Deployment, source: Source, rate_per_s: int, seconds: float) -> tuple[list[Look], dict[str, int]]:
    """Look every few seconds, for so long; what was lost before the first look is not of this run.

    An ingest that starts where another one stopped tells of a gap: it read nothing in between.
    """
    source.start(rate_per_s, seconds + 60)
    running.start("ingest", "ingest", environ=source.environ)
    time.sleep(LOOK_SECONDS)
    before = losses(running)
    began, looks = time.monotonic(), list[Look]()
    while (at_s := time.monotonic() - began) < seconds:
        lag = {
            stage.value: running.ends(topic) - running.committed(stage.group, topic) for stage, topic in _STAGES.items()
        }
        looks.append(Look(at_s, running.memory(), lag, running.ends(topics.RAW)))
        time.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - began - at_s)))
    return looks, {name: count - before[name] for name, count in losses(running).items()}


def losses(running: Deployment) -> dict[str, int]:
    """What ingest says was lost since it started, by metric."""
    found = re.findall(r"http=([\d.]+:\d+)", (running.folder / "ingest.log").read_text(encoding="utf-8"))
    with urllib.request.urlopen(f"http://{found[-1]}/metrics", timeout=10) as page:
        text = page.read().decode()
    return {name: _total(text, name) for name in _LOSSES}


def _total(page: str, name: str) -> int:
    """Sum of a metric over its labels, without heartbeats: they are published like gaps and are not gaps."""
    found = re.findall(rf"^{name}({{.*}})? ([\d.e+]+)$", page, re.MULTILINE)
    return int(sum(float(value) for labels, value in found if GapCause.HEARTBEAT.value not in labels))


def fifths(looks: Sequence[Look], of: Callable[[Look], float]) -> tuple[float, float, float]:
    """Medians of the second and the last fifth, and the largest of all."""
    size = max(1, len(looks) // 5)
    values = [of(look) for look in looks]
    return statistics.median(values[size : 2 * size] or values), statistics.median(values[-size:]), max(values)


def tables_of(looks: Sequence[Look], lost: dict[str, int], best: int, rate_per_s: int) -> tuple[list[Table], list[str]]:
    """The figures, and what is not as it should be."""
    wrong = [f"{name}: {count}" for name, count in lost.items() if count]
    memory, lag = [], []
    for name in looks[0].memory_mb:
        early, late, most = fifths(looks, lambda look, name=name: look.memory_mb[name])  # type: ignore[misc]
        memory.append(Row(name, {"MB early": round(early), "MB late": round(late), "MB at most": round(most)}))
        if name != "agent" and late > early * SETTLED:
            wrong.append(f"memory of {name} grew from {early:.0f} to {late:.0f} MB")
    for name in looks[0].lag:
        early, late, most = fifths(looks, lambda look, name=name: look.lag[name])  # type: ignore[misc]
        lag.append(Row(name, {"records early": int(early), "records late": int(late), "records at most": int(most)}))
        if late > max(early, rate_per_s * LAG_SECONDS):
            wrong.append(f"lag of {name} grew from {early:.0f} to {late:.0f} records")
    seconds = looks[-1].at_s - looks[0].at_s
    settings: dict[str, str | int | float] = {
        "maximum measured, events/s": best or "not measured",
        "rate asked for, events/s": rate_per_s,
        "rate written to the raw topic": int((looks[-1].written - looks[0].written) / seconds) if seconds else 0,
        "minutes": round(seconds / 60, 1),
        "looks": len(looks),
    }
    verdict = "Memory flat, lag flat, nothing lost." if not wrong else "Not as it should be: " + "; ".join(wrong) + "."
    lost_rows = [Row(name, {"count": count}) for name, count in lost.items()]
    return [
        Table("Soak: memory by process", settings, memory, verdict),
        Table("Soak: lag by stage", {}, lag),
        Table("Soak: losses", {"node": NODE}, lost_rows),
    ], wrong


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument(
        "--rate", type=int, default=0, help="events a second; half the measured maximum where not given"
    )
    options = parser.parse_args()
    with deployment() as running:
        for stage in _STAGES:
            running.start(stage.value, "worker", "--stage", stage.value)
        source = Source(running)
        best = 0 if options.rate else maximum(running, source)
        rate_per_s = options.rate or best // 2
        looks, lost = soak(running, source, rate_per_s, options.minutes * 60)
        tables, wrong = tables_of(looks, lost, best, rate_per_s)
    record("soak", tables)
    print("\n".join(text_of(table) for table in tables))
    if wrong:
        sys.exit(json.dumps(wrong))


if __name__ == "__main__":
    main()

"""The whole pipeline on this machine: `python -m bench.pipeline [--rate N] [--seconds N]`.

Every process is the real command: broker, tetragon-sim, ingest, and a worker for each stage. First ingest alone, as
fast as it goes; then everything at a fixed rate. Lag is read every few seconds: a stage that keeps up has
no more in the second half than in the first, by the medians. CPU is by process over the measured time; the sum is what
an event costs in all.
"""

import argparse
import re
import statistics
import time
import urllib.request
from collections.abc import Mapping
from typing import Final

from bench.deployment import Deployment, await_count, deployment, first_line, per_event_us
from bench.figures import Row, Table, record, text_of
from schemas import topics
from schemas.topics import Stage

DISTINCT_EVENTS: Final = 100_000
WARM_UP_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 1.7
"""No divisor of the seconds between flushes of hot symbols, or every look would meet the same moment of one."""
_STAGES: Final = tuple(stage.value for stage in Stage)


def ingest_alone(running: Deployment, events: int) -> Table:
    """Ingest from a source that is never the limit, into the broker."""
    simulator = running.start(
        "tetragon-sim",
        *("tetragon-sim", "--listen", "127.0.0.1:0", "--events", str(running.folder / "events.bin")),
        *("--repeat", str(events // DISTINCT_EVENTS)),
    )
    address = str(first_line(simulator)["address"])
    running.start("ingest", "ingest", environ={"CALLSTREAM_TETRAGON_ADDRESS": address})
    await_count(lambda: running.ends(topics.RAW), events // 10, 60, pause=0.05)
    before, began, first = running.cpu(), time.perf_counter(), running.ends(topics.RAW)
    ended = await_count(lambda: running.ends(topics.RAW), events, 120, pause=0.05)
    after = running.cpu()
    measured = running.ends(topics.RAW) - first
    time.sleep(1.5)  # ingest's own counters come to rest
    counted = _metrics(running, "ingest")
    cpu = per_event_us(before, after, measured)
    rows = [Row(name, {"CPU µs/event": cpu[name]}) for name in ("ingest", "tetragon-sim", "kafka")]
    rows.append(Row("events/s", {"CPU µs/event": measured / (ended - began)}))
    rows.append(Row("sent", {"CPU µs/event": events}))
    rows.append(Row("written", {"CPU µs/event": int(counted.get("runtime_records_written_total", 0))}))
    rows.append(Row("dropped", {"CPU µs/event": int(counted.get("runtime_events_dropped_total", 0))}))
    running.stop("ingest", "tetragon-sim")
    return Table("Ingest alone", {"distinct events": DISTINCT_EVENTS}, rows)


def whole(running: Deployment, rate_per_s: int, seconds: float) -> list[Table]:
    """Everything at a fixed rate."""
    for stage in _STAGES:
        running.start(stage, "worker", "--stage", stage)
    simulator = running.start(
        "tetragon-sim",
        *("tetragon-sim", "--listen", "127.0.0.1:0", "--events", str(running.folder / "events.bin")),
        *("--repeat", "0", "--rate", str(rate_per_s)),
    )
    address = str(first_line(simulator)["address"])
    already = running.ends(topics.RAW)
    await_count(lambda: running.committed("callstream-canonicalize", topics.RAW), already, 300)
    running.start("ingest", "ingest", environ={"CALLSTREAM_TETRAGON_ADDRESS": address})
    time.sleep(WARM_UP_SECONDS)
    before, began, first = running.cpu(), time.perf_counter(), running.ends(topics.RAW)
    lags = _watched_lags(running, began + seconds)
    after, ended, last = running.cpu(), time.perf_counter(), running.ends(topics.RAW)
    events = last - first
    cpu = per_event_us(before, after, events)
    memory = running.memory()
    rows = [
        Row(name, {"CPU µs/event": value, "memory MB": round(memory.get(name, 0.0))}) for name, value in cpu.items()
    ]
    rows.append(Row("all", {"CPU µs/event": sum(cpu.values())}))
    settings = {
        "rate asked for": rate_per_s,
        "rate written to the raw topic": int(events / (ended - began)),
        "seconds": int(ended - began),
        "distinct events": DISTINCT_EVENTS,
    }
    half = len(lags) // 2
    lag_rows = [
        Row(
            group,
            {
                "first half, median": int(statistics.median(look[group] for look in lags[:half])),
                "second half, median": int(statistics.median(look[group] for look in lags[half:])),
                "at most": max(look[group] for look in lags),
                "at the end": lags[-1][group],
            },
        )
        for group in lags[0]
    ]
    latency = [
        Row(stage, {"ms at the 99.9th percentile, at most": _quantile_ms(running, stage, 0.999)})
        for stage in _STAGES[:2]
    ]
    return [
        Table("The whole pipeline at a fixed rate", settings, rows),
        Table("Lag in records", settings, lag_rows),
        Table("Conversion of an event", settings, latency),
    ]


def _watched_lags(running: Deployment, until: float) -> list[dict[str, int]]:
    """Lag by consumer group at every look, at least two."""
    lags = [_lags(running)]
    while (left := until - time.perf_counter()) > 0 or len(lags) < 2:
        time.sleep(max(0.0, min(LOOK_SECONDS, left)))
        lags.append(_lags(running))
    return lags


def _lags(running: Deployment) -> dict[str, int]:
    """Records that each stage has yet to commit."""
    sources = {
        "callstream-canonicalize": topics.RAW,
        "callstream-privacy": topics.CANONICAL,
        "callstream-hot-symbols": topics.CALLS,
    }
    return {group: running.ends(topic) - running.committed(group, topic) for group, topic in sources.items()}


def _page(running: Deployment, name: str) -> str:
    """A process's /metrics page; its address is in its log."""
    found = re.search(r"http=([\d.]+:\d+)", (running.folder / f"{name}.log").read_text(encoding="utf-8"))
    assert found is not None
    with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=10) as page:
        content: bytes = page.read()
    return content.decode()


def _metrics(running: Deployment, name: str) -> Mapping[str, float]:
    """Sums of a process's metrics over their labels."""
    sums: dict[str, float] = {}
    for line in _page(running, name).splitlines():
        if not line.startswith("#"):
            metric, _, value = line.rpartition(" ")
            key = metric.partition("{")[0]
            sums[key] = sums.get(key, 0.0) + float(value)
    return sums


def _quantile_ms(running: Deployment, name: str, quantile: float) -> float:
    """Upper bound of the histogram's bucket in which the quantile lies."""
    buckets = re.findall(
        r'runtime_event_conversion_duration_ms_bucket\{le="([\d.]+)"\} ([\d.e+]+)', _page(running, name)
    )
    total = max(float(count) for _, count in buckets)
    return min(float(bound) for bound, count in buckets if float(count) >= quantile * total)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--ingest-events", type=int, default=1_000_000)
    options = parser.parse_args()
    with deployment() as running:
        running.run("workload", "--events", str(DISTINCT_EVENTS), "--out", str(running.folder / "events.bin"))
        tables = [ingest_alone(running, options.ingest_events), *whole(running, options.rate, options.seconds)]
    record("pipeline", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()

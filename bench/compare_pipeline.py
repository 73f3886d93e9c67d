"""The whole pipeline of two commits in turn, or ingest alone, on one broker and the same events.

Each run has topics of its own (a prefix), a data folder of its own, and starts its processes new: ingest and the three
stages are the commit's, the source is always NEW's. What is counted is the CPU of all of them and of Kafka from the end
of the warm-up on, by the events that reached the raw topic in that time.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.builds import Build
from bench.deployment import Deployment, await_count, deployment, first_line, per_event_us
from bench.figures import Row, Table
from schemas import topics
from schemas.topics import Stage

DISTINCT_EVENTS: Final = 100_000
WARM_UP_SECONDS: Final = 15.0
_STAGES: Final = tuple(stage.value for stage in Stage)
_SOURCE: Final = "tetragon-sim"
_ALL: Final = "all without the source"
_RATE: Final = "events a second"


@dataclass(frozen=True, slots=True)
class Load:
    """Events a second, 0 for as fast as they are taken; how long it is measured; and the stages that run."""

    rate_per_s: int
    seconds: float
    stages: Sequence[str] = _STAGES


def compare_pipelines(old: Build, new: Build, rounds: int, load: Load) -> list[Table]:
    """Tables of CPU for an event and of lag at the end; none for no rounds."""
    pairs: list[tuple[Mapping[str, float], Mapping[str, float]]] = []
    with deployment() as running:
        running.run("workload", "--events", str(DISTINCT_EVENTS), "--out", str(running.folder / "events.bin"))
        for number in range(rounds):
            costs = {}
            for built in (old, new) if number % 2 else (new, old):
                prefix = f"r{number}-{built.commit[:12]}."
                costs[built.commit] = _cost(running, built, new, prefix, load)
            pairs.append((costs[old.commit], costs[new.commit]))
    settings: dict[str, str | int] = {"old": old.commit[:12], "new": new.commit[:12], "rounds": rounds}
    settings |= {"rate asked for": load.rate_per_s or "none", "seconds": int(load.seconds)}
    settings |= {"distinct events": DISTINCT_EVENTS}
    what = "The whole pipeline" if load.stages else "Ingest without stages"
    return [Table(f"{what}, two commits in turn", settings, _rows(pairs))] if pairs else []


def _rows(pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> list[Row]:
    """A row for each process, of CPU µs for one event; one of the rate, and one of the lag in records."""
    rows = []
    for name in pairs[0][1]:
        olds, news = ([one[name] for one in side] for side in zip(*pairs, strict=True))
        figures = {"old": statistics.median(olds), "new": statistics.median(news)}
        if not name.startswith("lag"):
            ratios = sorted(newer / older for older, newer in zip(olds, news, strict=True))
            figures |= {"ratio": statistics.median(ratios), "least": ratios[0], "most": ratios[-1]}
        rows.append(Row(name, figures))
    return rows


def _cost(running: Deployment, built: Build, source: Build, prefix: str, load: Load) -> dict[str, float]:
    """One run: CPU µs for one event by process, and what the last stage had yet to commit at the end."""
    program = {
        **built.environ(),
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_DATA_DIR": str(running.folder / prefix),
    }
    running.run("topics", "apply", program=(built.python, program))
    for stage in load.stages:
        running.start(stage, "worker", "--stage", stage, program=(built.python, program))
    serve = (_SOURCE, "--listen", "127.0.0.1:0", "--events", str(running.folder / "events.bin"))
    pace = ("--rate", str(load.rate_per_s)) if load.rate_per_s else ()
    simulator = running.start(_SOURCE, *serve, "--repeat", "0", *pace, program=(source.python, source.environ()))
    agent = {"CALLSTREAM_TETRAGON_ADDRESS": str(first_line(simulator)["address"])}
    running.start("ingest", "ingest", program=(built.python, {**program, **agent}))
    raw, calls = prefix + topics.RAW, prefix + topics.CALLS
    if load.stages:
        await_count(lambda: running.committed(f"{prefix}callstream-hot-symbols", calls), 1, 120)
    else:
        await_count(lambda: running.ends(raw), 1, 120)
    time.sleep(WARM_UP_SECONDS)
    before, first = running.cpu(), running.ends(raw)
    time.sleep(load.seconds)
    after, last = running.cpu(), running.ends(raw)
    lag = running.ends(raw) - running.committed(f"{prefix}callstream-canonicalize", raw)
    running.stop()
    cost = per_event_us(before, after, last - first)
    cost[_ALL] = sum(figure for name, figure in cost.items() if name != _SOURCE)
    cost[_RATE] = (last - first) / load.seconds
    if load.stages:
        cost["lag of canonicalize at the end, records"] = float(lag)
    return cost

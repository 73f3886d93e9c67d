"""Where an event's CPU goes: `python -m bench.cost_by_part [--rates N...] [--seconds N] [--stacks FOLDER]`.

Every process is the real command, of the wheel of a commit (HEAD by default), under load: at each rate the whole
pipeline at once, and then ingest, canonicalize and privacy alone, as fast as they go, over what the one before has
written. First the CPU of every thread is counted, with no profiler near it. Then py-spy looks at one process after the
other, and what it sees divides what the threads of Python took. So the sum of a process's parts is what the kernel
counted.

A part is the work of the innermost frame that bench/parts.py knows: compression inside producing counts as
compression. `--stacks` keeps the stacks, in the form that flame graph tools read.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.builds import Build, build
from bench.deployment import Deployment, await_count, deployment, first_line
from bench.figures import Row, Table, record, text_of
from bench.parts import BROKER, PARTS, WAKING, part_of_stack, part_of_thread
from bench.samples import ThreadCpu, keep_stacks, sampled_stacks, thread_seconds
from schemas import topics
from schemas.topics import Stage

RATES: Final = (200, 5_000, 20_000)
ALONE: Final = "alone"
DISTINCT_EVENTS: Final = 100_000
WARM_UP_SECONDS: Final = 15.0
FLOOD_PER_S: Final = 100_000
"""What a process alone passes in a second, at most: so many events are written for each second that it is watched."""

GROWTH_SECONDS: Final = 60.0
"""Longest wait for a commit."""

_SOURCES: Final = {
    Stage.CANONICALIZE.value: topics.RAW,
    Stage.PRIVACY.value: topics.CANONICAL,
    Stage.HOT_SYMBOLS.value: topics.CALLS,
}
_PROCESSES: Final = ("ingest", *_SOURCES)

Costs = dict[str, dict[str, float]]
"""CPU µs for an event by part, by process; the broker is a process with one part."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How long processes are watched: seconds counted, then as many sampled. Stacks go to `stacks` if it is given."""

    seconds: int
    stacks: Path | None


class Pipeline:
    """A commit's processes on one broker."""

    def __init__(self, running: Deployment, built: Build, watch: Watch) -> None:
        self._running = running
        self._program = (built.python, built.environ())
        self._watch = watch
        running.run("workload", "--events", str(DISTINCT_EVENTS), "--out", str(running.folder / "events.bin"))

    def at_rate(self, rate_per_s: int) -> Costs:
        """Everything at once."""
        running = self._running
        for stage in _SOURCES:
            self._start_stage(stage)
        calls = partial(running.committed, Stage.HOT_SYMBOLS.group, topics.CALLS)
        before = calls()
        self._start_ingest("--repeat", "0", "--rate", str(rate_per_s))
        await_count(calls, before + 1, 120)
        time.sleep(WARM_UP_SECONDS)
        counted = self._counted(_PROCESSES, partial(running.ends, topics.RAW))
        costs = {name: self._divided(name, counted[name], str(rate_per_s)) for name in _PROCESSES}
        costs[BROKER] = {BROKER: sum(one.cpu for one in counted[BROKER].values())}
        running.stop()
        return costs

    def alone(self) -> Costs:
        """One process after the other, each over what is there already.

        Not hot symbols: it is through with what the others need half a minute for before it has committed twice.
        """
        running, costs = self._running, Costs()
        raw, flood = partial(running.ends, topics.RAW), 3 * self._watch.seconds * FLOOD_PER_S
        first = raw()
        self._start_ingest("--repeat", str(-(-flood // DISTINCT_EVENTS)))
        await_count(raw, first + FLOOD_PER_S, 300)
        costs["ingest"] = self._alone("ingest", raw)
        await_count(raw, first + flood, 300)
        running.stop()
        for stage, source in list(_SOURCES.items())[:-1]:
            committed = partial(running.committed, Stage(stage).group, source)
            first = committed()
            self._start_stage(stage)
            await_count(committed, first + FLOOD_PER_S, 300)
            costs[stage] = self._alone(stage, committed)
            await_count(committed, running.ends(source), 600)
            running.stop()
        return costs

    def _alone(self, name: str, progress: Callable[[], int]) -> dict[str, float]:
        return self._divided(name, self._counted((name,), progress)[name], ALONE)

    def _counted(self, names: Sequence[str], progress: Callable[[], int]) -> dict[str, dict[int, ThreadCpu]]:
        """CPU µs for an event by thread, by process and for the broker, between two moments at which `progress` grew.

        A group commits now and then, so what is between two commits is known and what is between two looks is not.
        """
        pids = {name: self._running.processes[name].pid for name in names}
        pids[BROKER] = self._running.broker.kafka_pid
        first = _grown(progress)
        before = {name: thread_seconds(pid) for name, pid in pids.items()}
        time.sleep(self._watch.seconds)
        events = _grown(progress) - first
        after = {name: thread_seconds(pid) for name, pid in pids.items()}
        return {name: _cost_us(before[name], after[name], events) for name in pids}

    def _divided(self, name: str, threads: Mapping[int, ThreadCpu], load: str) -> dict[str, float]:
        """What threads took, by part."""
        stacks = sampled_stacks(self._running.processes[name].pid, self._watch.seconds)
        if self._watch.stacks is not None:
            keep_stacks(self._watch.stacks / f"{name}-{load}.txt", stacks)
        parts: defaultdict[str, float] = defaultdict(float)
        for thread, (thread_name, cpu_us) in threads.items():
            seen = stacks.get(thread, Counter())
            if (part := part_of_thread(thread_name)) is not None:
                parts[part] += cpu_us
            elif not seen:
                parts[WAKING] += cpu_us
            else:
                for stack, count in seen.items():
                    parts[part_of_stack(stack)] += cpu_us * count / seen.total()
        return dict(parts)

    def _start_stage(self, stage: str) -> None:
        self._running.start(stage, "worker", "--stage", stage, program=self._program)

    def _start_ingest(self, *sending: str) -> None:
        serve = ("tetragon-sim", "--listen", "127.0.0.1:0", "--events", str(self._running.folder / "events.bin"))
        simulator = self._running.start("tetragon-sim", *serve, *sending, program=self._program)
        agent = {"CALLSTREAM_TETRAGON_ADDRESS": str(first_line(simulator)["address"])}
        self._running.start("ingest", "ingest", environ=agent, program=self._program)


def _cost_us(before: Mapping[int, ThreadCpu], after: Mapping[int, ThreadCpu], events: int) -> dict[int, ThreadCpu]:
    """CPU µs of each thread for an event."""
    nothing = ThreadCpu("", 0.0)
    return {
        thread: ThreadCpu(name, (seconds - before.get(thread, nothing).cpu) / events * 1e6)
        for thread, (name, seconds) in after.items()
    }


def _grown(progress: Callable[[], int]) -> int:
    """What `progress` is right after it has grown. Raises TimeoutError."""
    await_count(progress, progress() + 1, GROWTH_SECONDS, pause=0.02)
    return progress()


def tables_of(built: Build, costs: Mapping[str, Costs], seconds: int) -> list[Table]:
    """A table for each process, and one of the sums; `costs` is by load."""
    settings: dict[str, str | int] = {"wheel of": built.commit[:12], "seconds": seconds}
    tables = []
    for process in _PROCESSES:
        at_loads = {load: found[process] for load, found in costs.items() if process in found}
        parts = sorted({part for one in at_loads.values() for part in one}, key=PARTS.index)
        rows = [Row(part, {load: one.get(part, 0.0) for load, one in at_loads.items()}) for part in parts]
        rows.append(Row("all", {load: sum(one.values()) for load, one in at_loads.items()}))
        tables.append(Table(f"CPU µs for an event in {process}, by part and load", settings, rows))
    at_rates = {load: found for load, found in costs.items() if BROKER in found}
    rows = [
        Row(name, {load: sum(found[name].values()) for load, found in at_rates.items()})
        for name in (*_PROCESSES, BROKER)
    ]
    rows.append(
        Row("all", {load: sum(sum(one.values()) for one in found.values()) for load, found in at_rates.items()})
    )
    return [*tables, Table("CPU µs for an event in all processes", settings, rows, "Without the simulator.")]


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost_by_part", description=__doc__)
    parser.add_argument("--commit", default="HEAD", help="whose wheel runs")
    parser.add_argument("--rates", type=int, nargs="*", default=RATES, help="events a second")
    parser.add_argument("--seconds", type=int, default=10, help="of counting, then of sampling each process")
    parser.add_argument("--stacks", type=Path, help="folder for the stacks")
    options = parser.parse_args()
    built, watch = build(options.commit), Watch(options.seconds, options.stacks)
    costs: dict[str, Costs] = {}
    with deployment() as running:
        pipeline = Pipeline(running, built, watch)
        for rate in options.rates:
            costs[f"{rate:,} a second"] = pipeline.at_rate(rate)
        costs[ALONE] = pipeline.alone()
    tables = tables_of(built, costs, options.seconds)
    record("cost_by_part", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()

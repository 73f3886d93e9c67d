"""Runs lanes in processes: records from a source through the pipeline into a sink, in memory that does not grow.

Rules: a process builds its own steps once, from settings, as a live stage does. What a lane gives does not depend on
which process ran it, on how many there were, or on the size of batches. The first failure of a lane is that of the run.
This module refuses to know what is done with the results.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from agents.contract import StatefulStep
from app.evidence.configuration import call_schema_fingerprint
from app.evidence.span_lines import SpanLine
from app.kafka.records import Recorded
from app.processes.garbage import collect_seldom
from app.replay.lanes import Lane, plan
from app.replay.pipeline import Books, Pipeline, Sink, Steps, Witness
from app.replay.source import ReplaySource
from app.settings import Settings
from app.steps import canonicalize_step, privacy_step
from schemas.tetragon_parts_pb2 import GetEventsResponse

BATCH_RECORDS: Final = 1_000
"""As a live stage's. Any number gives the same bytes."""

POLL_SECONDS: Final = 0.25

NO_SCHEMA_ID: Final = 0


class LaneSink(Sink, Protocol):
    """A sink for one lane."""

    def close(self) -> None:
        """Called after the lane's last span, and not when the lane failed."""


OpenSink = Callable[[Lane], LaneSink]
OpenWitness = Callable[[Lane], Witness]
BuildSteps = Callable[[Settings, str | None, int], Steps]


def build_steps(settings: Settings, symbols: str | None, schema_id: int) -> Steps:
    """The live stages' steps, at the symbol store's snapshot `symbols`."""
    return Steps(
        canonicalize_step(settings, snapshot=symbols), privacy_step(settings, schema_id), call_schema_fingerprint()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every lane is run with. Everything in it can be given to another process."""

    source: ReplaySource
    settings: Settings
    open_sink: OpenSink
    symbols: str | None = None
    schema_id: int = NO_SCHEMA_ID
    open_witness: OpenWitness | None = None
    batch_records: int = BATCH_RECORDS
    build: BuildSteps = build_steps


@dataclass(frozen=True, slots=True)
class LaneResult:
    """What came of a lane. `witness` is what the witness says, where there was one."""

    lane: Lane
    lines: Sequence[SpanLine]
    books: Books
    witness: Any = None


@dataclass(slots=True)
class RunResult:
    """What came of all lanes, in the order of offsets."""

    lanes: list[LaneResult] = field(default_factory=list)

    def lines(self, partition: int) -> list[SpanLine]:
        """A partition's lines."""
        return [line for one in self.lanes if one.lane.partition == partition for line in one.lines]

    def books(self) -> Books:
        """Books of the whole run."""
        books = Books()
        for one in self.lanes:
            books.add(one.books)
        return books


class CallsNowhere:
    """A sink that forgets: for comparing digests."""

    def calls(self, *_: object) -> None:
        """Forget."""

    def end_span(self, _refused: Sequence[str]) -> tuple[int, int, str]:
        """Nothing was stored."""
        return 0, 0, ""

    def close(self) -> None:
        """Nothing is open."""


def calls_nowhere(_lane: Lane) -> LaneSink:
    """An `OpenSink`."""
    return CallsNowhere()


def default_processes() -> int:
    """As many as there are cores for us."""
    return len(os.sched_getaffinity(0))


def run(
    work: Work, processes: int, report: Callable[[int], None] = lambda _records: None, *, divide: bool = True
) -> RunResult:
    """Run everything that the source has; `report` learns now and then how many records are done.

    Without `divide` a partition is one lane. Raises what a lane raises, DamagedError before all; steps raise nothing on
    data.
    """
    lanes = plan(work.source.ranges(), processes, divide=divide)
    if processes == 1:
        done, results, steps = 0, [], build(work)
        for lane in lanes:
            results.append(run_lane(work, lane, steps, lambda records, base=done: report(base + records)))  # type: ignore[misc]  # mypy cannot type a default
            done += results[-1].books.records
    else:
        results = _run_in_processes(work, lanes, processes, report)
    report(sum(result.books.records for result in results))
    return RunResult(sorted(results, key=lambda result: (result.lane.partition, result.lane.number)))


def build(work: Work) -> Steps:
    """Steps for one lane after another: what they remember of others decides no byte, and they need not learn again."""
    return work.build(work.settings, work.symbols, work.schema_id)


def run_lane(work: Work, lane: Lane, steps: Steps, report: Callable[[int], None]) -> LaneResult:
    """Run one lane in this process."""
    restore(steps, work.source, lane)
    sink = work.open_sink(lane)
    witness = None if work.open_witness is None else work.open_witness(lane)
    pipeline = Pipeline(steps, sink, witness)
    lines: list[SpanLine] = []
    for batch in work.source.batches(lane.partition, lane.first, lane.next - 1, work.batch_records):
        if line := pipeline.take(batch):
            lines.append(line)
            report(pipeline.books.records)
    if line := pipeline.finish():
        lines.append(line)
    sink.close()
    return LaneResult(lane, lines, pipeline.books, None if witness is None else witness.result())


def restore(steps: Steps, source: ReplaySource, lane: Lane) -> None:
    """Bring the steps to the state that the lane's first event sees."""
    steps.canonicalize.restore(lane.partition, source.start_rows(lane.partition))
    if lane.first > lane.range_first:
        for batch in source.batches(lane.partition, lane.range_first, lane.first - 1, BATCH_RECORDS):
            observe_loaders(steps.canonicalize, batch)


def observe_loaders(step: StatefulStep, batch: Iterable[Recorded]) -> dict[bytes, bytes | None]:
    """Have a step take what changes its state, and nothing else; returns the rows that changed."""
    found = [record for record in batch if _is_remembered(record.value)]
    if not found:
        return {}
    step.release(found[0].partition, found[0].offset)
    return step(found).state


def _is_remembered(value: bytes | None) -> bool:
    """Whether a raw event is of the kinds that later events depend on: what was loaded, and what ended."""
    try:
        kind: str | None = GetEventsResponse.FromString(value or b"").WhichOneof("event")
    except DecodeError:
        return False
    return kind in {"process_loader", "process_exit"}


@dataclass(slots=True)
class _Process:
    """What a process that runs lanes works with; `progress` has records done by the lane's place in the plan."""

    work: Work
    progress: Any
    steps: Steps | None = None


_process: _Process | None = None


def _begin_process(work: Work, progress: Any) -> None:
    global _process  # noqa: PLW0603 - the one thing that a process must inherit
    _process = _Process(work, progress)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    collect_seldom()


def _end_with_parent() -> None:
    """End this process when its parent is gone: a pool's processes would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_in_process(number: int, lane: Lane) -> LaneResult:
    here = _process
    assert here is not None
    if here.steps is None:  # not earlier: what an initializer raises is lost
        here.steps = build(here.work)

    def report(records: int) -> None:
        here.progress[number] = records

    return run_lane(here.work, lane, here.steps, report)


def _run_in_processes(
    work: Work, lanes: Sequence[Lane], processes: int, report: Callable[[int], None]
) -> list[LaneResult]:
    # spawned, not forked: a fork would inherit the Kafka clients' locks without their threads
    context: SpawnContext = multiprocessing.get_context("spawn")
    progress = context.Array("q", max(1, len(lanes)), lock=False)
    with ProcessPoolExecutor(
        max(1, min(processes, len(lanes))), mp_context=context, initializer=_begin_process, initargs=(work, progress)
    ) as executor:
        waiting: set[Future[LaneResult]] = {
            executor.submit(_run_in_process, number, lane) for number, lane in enumerate(lanes)
        }
        results: list[LaneResult] = []
        try:
            while waiting:
                done, waiting = wait(waiting, POLL_SECONDS)
                results += [future.result() for future in done]
                report(sum(progress))
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        return results

"""Runs a replay's lanes in processes: records from a source through the pipeline into a sink, in constant memory.

A lane is a partition, or a part of one. A lane that begins inside its partition's range first takes the loader events
before it, for the state that its first event sees; that costs a sixth of replaying them. Lanes end where spans end, so
that their results join without a seam.

A process builds its steps once, from settings, as a live stage does. A lane's bytes do not depend on the process that
runs it, on the number of processes, or on the size of batches. The first failure of a lane fails the run.
"""

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext
from typing import Any, Final

from app.evidence.configuration import call_schema_fingerprint, fingerprint_of_text, says_snapshot
from app.evidence.digests import SPAN_OFFSETS, Columns, span_of, span_start
from app.evidence.span_lines import SpanLine
from app.kafka.records import OffsetRange
from app.processes.garbage import collect_seldom
from app.replay.pipeline import Pipeline, RunBooks, Sink, Steps, Witness
from app.replay.request import BATCH_RECORDS, ReplayError, ReplayRequest
from app.replay.sources import ReplaySource
from app.replay.start_state import observe_loaders
from app.steps import canonicalize_step, privacy_step

SMALLEST_LANE: Final = 16 * SPAN_OFFSETS
"""A smaller lane costs more for its start state than it saves."""

POLL_SECONDS: Final = 0.25

NO_SCHEMA_ID: Final = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """Raw offsets `first` to before `next` of the range that begins at `range_first`.

    `number` is its place among its partition's lanes.
    """

    partition: int
    number: int
    first: int
    next: int
    range_first: int

    @property
    def offsets(self) -> int:
        """How many offsets."""
        return self.next - self.first


OpenSink = Callable[[Lane], Sink]
OpenWitness = Callable[[Lane], Witness]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOutput:
    """Where each lane's calls go, under which schema id, and who looks on. It is sent to other processes."""

    open_sink: OpenSink
    open_witness: OpenWitness | None = None
    schema_id: int = NO_SCHEMA_ID


@dataclass(frozen=True, slots=True)
class LaneResult:
    """The lines and books of one lane. `witness` is what the lane's witness found, if there was one."""

    lane: Lane
    lines: Sequence[SpanLine]
    books: RunBooks
    witness: Any = None


@dataclass(slots=True)
class RunResult:
    """The results of all lanes, in the order of offsets."""

    lanes: list[LaneResult] = field(default_factory=list)

    def lines(self, partition: int) -> list[SpanLine]:
        """A partition's lines."""
        return [line for one in self.lanes if one.lane.partition == partition for line in one.lines]

    def books(self) -> RunBooks:
        """Books of the whole run."""
        books = RunBooks()
        for one in self.lanes:
            books.add(one.books)
        return books


class CallsNowhere:
    """A sink that keeps nothing, for any lane: for a run that only compares digests."""

    def __init__(self, _lane: Lane | None = None) -> None:
        """Nothing is opened."""

    def calls(self, _records: Columns, _values: Sequence[bytes | None], /) -> None:
        """Drop the calls."""

    def end_span(self, _refused: Sequence[str]) -> tuple[int, int, str]:
        """Return that nothing was stored."""
        return 0, 0, ""

    def close(self) -> None:
        """Nothing is open."""


def default_processes() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def plan_lanes(ranges: Iterable[OffsetRange], processes: int, *, divide: bool) -> tuple[Lane, ...]:
    """Lanes for that many processes, longest first. Without `divide`, each partition is one lane."""
    ranges = tuple(ranges)
    share = -(-sum(one.offsets for one in ranges) // processes)
    lanes = [lane for one in ranges for lane in _lanes(one, max(share, SMALLEST_LANE) if divide else one.offsets)]
    return tuple(sorted(lanes, key=lambda lane: (-lane.offsets, lane.partition, lane.number)))


def _lanes(whole: OffsetRange, largest: int) -> Iterable[Lane]:
    pieces = max(1, -(-whole.offsets // largest)) if largest else 1
    cuts = [whole.first + whole.offsets * number // pieces for number in range(1, pieces)]
    inner = sorted({start for cut in cuts if whole.first < (start := span_start(span_of(cut))) < whole.next})
    bounds = [whole.first, *inner, whole.next]
    for number, (first, following) in enumerate(itertools.pairwise(bounds)):
        yield Lane(whole.partition, number, first, following, whole.first)


def run(
    request: ReplayRequest,
    source: ReplaySource,
    output: LaneOutput,
    report: Callable[[int], None] = lambda _records: None,
    *,
    divide: bool = True,
) -> RunResult:
    """Replay all of the source; `report` gets the number of records done, from time to time.

    Without `divide`, each partition is one lane. Raises ReplayError if the books do not balance, and what a lane
    raises, above all DamagedError. Steps raise nothing because of data.
    """
    lanes = plan_lanes(source.ranges(), request.processes, divide=divide)
    runner = _LaneRunner(request, source, output)
    if request.processes == 1:
        done, results, steps = 0, [], runner.build()
        for lane in lanes:
            results.append(runner.run(lane, steps, lambda records, base=done: report(base + records)))  # type: ignore[misc]  # mypy cannot type a default
            done += results[-1].books.records
    else:
        results = _run_in_processes(runner, lanes, report)
    result = RunResult(sorted(results, key=lambda result: (result.lane.partition, result.lane.number)))
    books = result.books()
    if not books.balance:
        raise ReplayError(f"the run's books do not balance: {books}; this is a defect of callstream, please report it")
    report(books.records)
    return result


def build_steps(request: ReplayRequest, schema_id: int = NO_SCHEMA_ID) -> Steps:
    """The live stages' steps under the request's configuration, for one lane after another.

    What they remember of earlier lanes decides no byte, and saves time.
    """
    settings, text = request.settings, request.call_schema
    says = says_snapshot(text)
    return Steps(
        canonicalize_step(settings, snapshot=request.snapshot, says_snapshot=says),
        privacy_step(settings, schema_id, says_snapshot=says),
        call_schema_fingerprint() if text is None else fingerprint_of_text(text),
    )


def restore(steps: Steps, source: ReplaySource, lane: Lane) -> None:
    """Bring the steps to the state that the lane's first event sees."""
    steps.canonicalize.restore(lane.partition, source.start_rows(lane.partition))
    if lane.first > lane.range_first:
        for batch in source.batches(lane.partition, lane.range_first, lane.first - 1, BATCH_RECORDS):
            observe_loaders(steps.canonicalize, batch)


@dataclass(frozen=True, slots=True)
class _LaneRunner:
    """Runs lanes of one request. It is sent to other processes."""

    request: ReplayRequest
    source: ReplaySource
    output: LaneOutput

    def build(self) -> Steps:
        return build_steps(self.request, self.output.schema_id)

    def run(self, lane: Lane, steps: Steps, report: Callable[[int], None]) -> LaneResult:
        restore(steps, self.source, lane)
        sink = self.output.open_sink(lane)
        witness = None if self.output.open_witness is None else self.output.open_witness(lane)
        pipeline = Pipeline(steps, sink, witness)
        lines: list[SpanLine] = []
        for batch in self.source.batches(lane.partition, lane.first, lane.next - 1, self.request.batch_records):
            if line := pipeline.take(batch):
                lines.append(line)
                report(pipeline.books.records)
        if line := pipeline.finish():
            lines.append(line)
        sink.close()
        return LaneResult(lane, lines, pipeline.books, None if witness is None else witness.result())


@dataclass(slots=True)
class _Process:
    """What a process that runs lanes works with; `progress` has the records done by each lane, by place in the plan."""

    runner: _LaneRunner
    progress: Any
    steps: Steps | None = None


_process: _Process | None = None


def _begin_process(runner: _LaneRunner, progress: Any) -> None:
    global _process  # noqa: PLW0603 - the one thing that a process must inherit
    _process = _Process(runner, progress)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    collect_seldom()


def _end_with_parent() -> None:
    """End this process when its parent has ended: a pool's processes would wait for work without end."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_in_process(number: int, lane: Lane) -> LaneResult:
    here = _process
    assert here is not None
    if here.steps is None:  # not earlier: what an initializer raises is lost
        here.steps = here.runner.build()

    def report(records: int) -> None:
        here.progress[number] = records

    return here.runner.run(lane, here.steps, report)


def _run_in_processes(runner: _LaneRunner, lanes: Sequence[Lane], report: Callable[[int], None]) -> list[LaneResult]:
    # spawned, not forked: a fork would inherit the Kafka clients' locks without their threads
    context: SpawnContext = multiprocessing.get_context("spawn")
    progress = context.Array("q", max(1, len(lanes)), lock=False)
    with ProcessPoolExecutor(
        max(1, min(runner.request.processes, len(lanes))),
        mp_context=context,
        initializer=_begin_process,
        initargs=(runner, progress),
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

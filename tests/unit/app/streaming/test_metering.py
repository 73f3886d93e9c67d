"""What runners and watchdog report shows in the metrics, and balances."""

import time

from faust.types import TP

from agents.contract import DeadLetter, OutRecord, StepResult
from app.streaming.metering import StageObserver
from app.telemetry import metrics
from app.telemetry.meter import Meter
from schemas import topics
from schemas.topics import Stage

PREFIX = "p."
RAW = PREFIX + topics.RAW


def _observed() -> tuple[Meter, StageObserver]:
    meter = Meter()
    return meter, StageObserver(meter, Stage.CANONICALIZE, topic_prefix=PREFIX, output_topic=topics.CANONICAL)


def _result() -> StepResult:
    letter = DeadLetter(RAW, 0, 3, "canonicalize", "no_known_kind", None, 0, 3, 0)
    return StepResult(
        outputs=[OutRecord(b"", b"", 0)] * 7,
        dead_letters=[letter],
        skipped={"Loader": 2},
        tally={("frames", "Symbol"): 5, ("probe_types", "3"): 7, ("unknown_fields", "ProcessUprobe.14"): 2},
    )


def test_the_books_of_a_batch_balance_before_and_after_it_is_done() -> None:
    """Consumed = converted + not calls + dead letters + in flight, at any time."""
    meter, observer = _observed()

    def balance() -> tuple[float, float]:
        outcome = sum(map(meter.total, (metrics.CONVERTED, metrics.NOT_CALLS, metrics.DEAD_LETTERS)))
        return meter.total(metrics.CONSUMED), outcome + meter.read(metrics.IN_FLIGHT)

    observer.taken(RAW, 10)
    observer.taken(RAW, 4)
    assert balance() == (14, 14)
    assert meter.read(metrics.IN_FLIGHT) == 14
    observer.done(RAW, 10, _result(), 0.001)
    assert balance() == (14, 14)
    assert meter.read(metrics.IN_FLIGHT) == 4


def test_results_are_counted_by_topic_reason_and_tally() -> None:
    """A tally that has no metric is left out."""
    meter, observer = _observed()
    observer.taken(RAW, 10)
    observer.done(RAW, 10, _result(), 0.001)
    assert meter.read(metrics.CONSUMED, topics.RAW) == 10
    assert meter.read(metrics.WRITTEN, topics.CANONICAL) == 7
    assert meter.read(metrics.WRITTEN, topics.DEAD_LETTERS) == 1
    assert meter.read(metrics.NOT_CALLS, "Loader") == 2
    assert meter.read(metrics.DEAD_LETTERS, "canonicalize", "no_known_kind") == 1
    assert meter.read(metrics.FRAMES, "Symbol") == 5
    assert meter.read(metrics.UNKNOWN_FIELDS, "ProcessUprobe", "14") == 2


def test_the_lag_of_a_partition_that_is_no_longer_ours_disappears() -> None:
    """Two workers would report it otherwise, one of them for ever the same."""
    meter, observer = _observed()
    observer.lag({(RAW, 0): 5, (RAW, 1): 0})
    assert meter.read(metrics.LAG, topics.RAW, "0") == 5
    observer.lag({(RAW, 1): 2})
    family = next(one for one in meter.collect() if one.name == metrics.LAG.name)
    assert [(s.labels["partition"], s.value) for s in family.samples] == [("1", 2)]


def test_a_commit_tells_how_old_the_last_event_is_that_is_done() -> None:
    """One observation for each partition of the source; other topics, and partitions of unknown age, do not count."""
    meter, observer = _observed()
    ms_ago = int(time.time() * 1_000) - 90_000
    observer.committed({TP(RAW, 0): ms_ago, TP(RAW, 1): 0, TP(PREFIX + topics.COVERAGE, 0): ms_ago})

    (family,) = (one for one in meter.collect() if one.name == "runtime_event_age_seconds")
    counts = {sample.labels.get("le"): sample.value for sample in family.samples}
    assert (counts["60.0"], counts["120.0"], counts["+Inf"]) == (0, 1, 1)

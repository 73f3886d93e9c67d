"""Books that balance say nothing; books that do not name the stage to look at."""

from collections.abc import Mapping

import pytest

from app.books.balance import (
    Imbalance,
    SourcePartition,
    StageSource,
    equation_of,
    findings,
    pipeline_books,
    unsettled,
)
from app.kafka.records import OffsetRange
from app.streaming.account import Account
from app.telemetry import metrics
from app.telemetry.metric import BufferPlace, DropReason, Metric
from app.telemetry.metric_pages import Page
from schemas import topics
from schemas.topics import Stage

WIDE = {name: {0: OffsetRange(0, 0, 1_000_000)} for name in (topics.CANONICAL, topics.CALLS, topics.DEAD_LETTERS)}


def _page(process: str, samples: Mapping[Metric, Mapping[tuple[str, ...], float]]) -> Page:
    return Page("127.0.0.1:9", process, {metric.name: series for metric, series in samples.items()})


def _source(stage: Stage, partition: SourcePartition) -> StageSource:
    topic = {Stage.CANONICALIZE: topics.RAW, Stage.PRIVACY: topics.CANONICAL, Stage.HOT_SYMBOLS: topics.HOT_PARTIALS}
    return StageSource(stage, topic[stage], {0: partition})


def _check(partition: SourcePartition, stage: Stage = Stage.PRIVACY) -> list[Imbalance]:
    return findings([], [_source(stage, partition)], [], WIDE)


def test_ingest_balances_over_all_the_places_where_an_event_can_be() -> None:
    """Written, dropped for any reason, or waiting anywhere."""
    page = _page(
        "ingest",
        {
            metrics.RECEIVED: {("ProcessExec",): 70, ("Throttle",): 20},
            metrics.RESTORED: {(): 10},
            metrics.WRITTEN: {(topics.RAW,): 60, (topics.COVERAGE,): 7},
            metrics.DROPPED: {(DropReason.OVERFLOW,): 5, (DropReason.SPILL,): 5},
            metrics.BUFFERED: {(BufferPlace.MEMORY,): 10, (BufferPlace.DISK,): 15, (BufferPlace.PRODUCER,): 5},
        },
    )
    assert equation_of(page).difference == 0


def test_a_process_that_lost_a_record_is_named_with_its_numbers() -> None:
    """Consumed and neither converted, nor skipped, nor dead-lettered, nor in flight."""
    page = _page(
        "privacy",
        {
            metrics.CONSUMED: {(topics.CANONICAL,): 100},
            metrics.CONVERTED: {(): 90},
            metrics.DEAD_LETTERS: {("privacy", "malformed"): 4},
            metrics.IN_FLIGHT: {(): 5},
        },
    )
    (found,) = findings([equation_of(page)], [], [page], {})
    assert found.where == "privacy"
    assert "the difference is 1" in found.what


def test_the_stage_that_counts_symbols_balances_over_both_its_steps() -> None:
    """Calls are counted, were counted before or refused; partial counts are merged."""
    page = _page(
        "hot-symbols",
        {
            metrics.CONSUMED: {(topics.CALLS,): 100, (topics.HOT_PARTIALS,): 40},
            metrics.FINISHED: {(topics.CALLS,): 90, (topics.HOT_PARTIALS,): 30},
            metrics.CONVERTED: {(): 80},
            metrics.DUPLICATES: {("hot-symbols",): 7},
            metrics.DEAD_LETTERS: {("hot-symbols", "malformed_call"): 3},
            metrics.IN_FLIGHT: {(): 20},
        },
    )
    assert equation_of(page).difference == 0


def test_a_stage_that_accounts_for_all_it_committed_balances_however_far_it_is_behind() -> None:
    """Lag is shown and is not a finding."""
    partition = SourcePartition(150, Account(100, outputs=40, not_calls=6, dead_letters=4), OffsetRange(0, 90, 5_000))
    assert (
        _check(SourcePartition(150, Account(90, outputs=50, not_calls=6, dead_letters=4), OffsetRange(0, 90, 5_000)))
        == []
    )
    assert partition.waiting == 4_850


@pytest.mark.parametrize(
    ("partition", "said"),
    [
        (SourcePartition(None, None, OffsetRange(0, 20, 70)), "20 records of runtime.canonical[0] were deleted before"),
        (
            SourcePartition(50, Account(0, outputs=30, lost=20), OffsetRange(0, 20, 70)),
            "20 records of runtime.canonical[0] before offset 50 were deleted before they were read",
        ),
        (SourcePartition(150, Account(100, outputs=40), OffsetRange(0, 100, 200)), "10 of 50 records"),
        (SourcePartition(150, Account(100, outputs=60), OffsetRange(0, 100, 200)), "-10 of 50 records"),
        (SourcePartition(150, None, OffsetRange(0, 0, 200)), "without an account"),
        (
            SourcePartition(150, Account(100, outputs=50), OffsetRange(0, 40, 200)),
            "60 records of runtime.canonical[0] from",
        ),
        (
            SourcePartition(150, Account(100, outputs=50), OffsetRange(0, 160, 200)),
            "10 records of runtime.canonical[0] expired",
        ),
        (SourcePartition(150, Account(100, outputs=50), OffsetRange(0, 100, 120)), "recreated"),
    ],
)
def test_records_that_a_stage_passed_over_are_named(partition: SourcePartition, said: str) -> None:
    """Skipped, moved past by another tool, never read, expired before they were read, or gone with their topic."""
    (found,) = _check(partition)
    assert found.where == "privacy"
    assert said in found.what


def test_a_stage_that_has_never_run_balances_and_everything_waits() -> None:
    """Nothing is claimed, so nothing is wrong."""
    partition = SourcePartition(None, None, OffsetRange(0, 0, 70))
    assert _check(partition) == []
    assert partition.waiting == 70


def test_compacted_topics_lose_offsets_by_design() -> None:
    """What compaction removed was replaced by a newer record of its key."""
    assert _check(SourcePartition(150, Account(0, outputs=20), OffsetRange(0, 0, 200)), Stage.HOT_SYMBOLS) == []


def test_a_topic_with_fewer_records_than_its_stage_made_is_named() -> None:
    """The topic was recreated, or offsets were committed before the records were there."""
    source = _source(Stage.PRIVACY, SourcePartition(50, Account(0, outputs=50), OffsetRange(0, 0, 50)))
    (found,) = findings([], [source], [], {**WIDE, topics.CALLS: {0: OffsetRange(0, 0, 49)}})
    assert found.where == "privacy"
    assert "runtime.calls[0] has had 49" in found.what


def test_dead_letters_of_all_stages_must_be_on_their_topic() -> None:
    """Both stages write to it."""
    sources = [
        _source(Stage.CANONICALIZE, SourcePartition(10, Account(0, dead_letters=10), OffsetRange(0, 0, 10))),
        _source(Stage.PRIVACY, SourcePartition(5, Account(0, dead_letters=5), OffsetRange(0, 0, 5))),
    ]
    assert findings([], sources, [], {**WIDE, topics.DEAD_LETTERS: {0: OffsetRange(0, 3, 15)}}) == []
    (found,) = findings([], sources, [], {**WIDE, topics.DEAD_LETTERS: {0: OffsetRange(0, 3, 14)}})
    assert found.where == topics.DEAD_LETTERS


def test_a_topic_with_fewer_records_than_processes_count_as_written_names_them() -> None:
    """Two processes of a stage add up."""
    pages = [_page("privacy", {metrics.WRITTEN: {(topics.CALLS,): 30}}) for _ in range(2)]
    assert findings([], [], pages, {topics.CALLS: {0: OffsetRange(0, 0, 40), 1: OffsetRange(0, 5, 20)}}) == []
    (found,) = findings([], [], pages, {topics.CALLS: {0: OffsetRange(0, 0, 40), 1: OffsetRange(0, 5, 19)}})
    assert found.where == "privacy"


def test_the_pipelines_books_tell_repetition_from_loss() -> None:
    """Records that came again after a crash are more than one for each raw record, never fewer."""
    sources = [
        _source(Stage.CANONICALIZE, SourcePartition(100, Account(20, 70, 8, 2), OffsetRange(0, 20, 110))),
        _source(Stage.PRIVACY, SourcePartition(73, Account(0, outputs=72, dead_letters=1), OffsetRange(0, 0, 75))),
    ]
    books = pipeline_books(sources)
    assert books is not None
    assert (books.raw, books.calls, books.not_calls, books.dead_letters, books.waiting) == (90, 72, 8, 3, 12)
    assert books.counted_twice == 5


def test_the_pipelines_books_know_what_was_deleted_and_what_never_held_a_record() -> None:
    """Deleted records are lost and missing from the calls; the marks of transactions never were records."""
    canonicalize = Account(0, outputs=80, no_records=5, lost=15)
    sources = [
        _source(Stage.CANONICALIZE, SourcePartition(100, canonicalize, OffsetRange(0, 15, 100))),
        _source(Stage.PRIVACY, SourcePartition(80, Account(0, outputs=80), OffsetRange(0, 0, 80))),
    ]
    books = pipeline_books(sources)
    assert books is not None
    assert (books.raw, books.calls, books.lost, books.counted_twice) == (95, 80, 15, 0)


def test_partitions_that_were_added_to_a_topic_are_read_by_nobody() -> None:
    """As many are read of each topic as the one with the fewest has."""
    two = {0: OffsetRange(0, 0, 5), 1: OffsetRange(1, 0, 5)}
    three = two | {2: OffsetRange(2, 3, 10)}
    (found,) = findings([], [], [], {topics.RAW: three, topics.CALLS: two})
    assert found.where == topics.RAW
    assert "nobody reads the 7 records of the partitions from 2 on" in found.what


def test_at_rest_nothing_may_wait_anywhere() -> None:
    """Records behind a group, and events inside a process."""
    sources = [_source(Stage.PRIVACY, SourcePartition(5, Account(0, outputs=5), OffsetRange(0, 0, 7)))]
    held = equation_of(_page("ingest", {metrics.BUFFERED: {(BufferPlace.DISK,): 3}, metrics.RECEIVED: {("USDT",): 3}}))
    assert [finding.where for finding in unsettled(sources, [held])] == ["privacy", "ingest"]


def test_a_heartbeat_that_waits_is_no_event() -> None:
    """Ingest vouches for its node however quiet that is, so there is always one on its way."""
    heartbeat = SourcePartition(5, Account(0, outputs=5), OffsetRange(0, 0, 7))
    assert unsettled([StageSource(Stage.HOT_SYMBOLS, topics.COVERAGE, {0: heartbeat})], []) == []

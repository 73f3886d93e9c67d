"""Standing still is told from having nothing to do, and from a broker that does not answer."""

from app.streaming.standstill import Sample, StallLimits, Standstill

TP = ("topic", 0)
OTHER = ("topic", 1)
LIMITS = StallLimits(commit=60.0, rebalance=120.0, recovery=90.0)


def _sample(
    at: float,
    committed: int,
    end: int | None,
    *,
    rebalancing: bool = False,
    remaining: int | None = None,
    other: int | None = None,
) -> Sample:
    offsets = {TP: committed} | ({} if other is None else {OTHER: other})
    ends = None if end is None else dict.fromkeys(offsets, end)
    return Sample(at_seconds=at, committed=offsets, ends=ends, rebalancing=rebalancing, recovery_remaining=remaining)


def _verdicts(samples: list[Sample]) -> list[str | None]:
    watcher = Standstill(LIMITS)
    return [watcher.feed(sample) for sample in samples]


def test_a_partition_that_does_not_commit_while_records_wait_is_ended_after_the_limit() -> None:
    """The verdict names the partition; until then there is none."""
    verdicts = _verdicts([_sample(10.0 * n, 5, 9) for n in range(8)])
    assert verdicts[:7] == [None] * 7
    assert verdicts[7] is not None
    assert "topic[0]" in verdicts[7]


def test_a_partition_whose_log_does_not_grow_may_rest_for_ever() -> None:
    """Nothing to read, nothing to commit."""
    assert not any(_verdicts([_sample(100.0 * n, 9, 9) for n in range(9)]))


def test_any_commit_starts_the_clock_anew() -> None:
    """However slow, it moves."""
    assert not any(_verdicts([_sample(50.0 * n, n, 1_000) for n in range(9)]))


def test_time_in_which_the_broker_does_not_tell_its_ends_does_not_count() -> None:
    """An outage of minutes is nobody's standing still; the time before it is not forgotten."""
    ends = [9, 9, None, None, None, 9]
    assert not any(_verdicts([_sample(40.0 * n, 5, end) for n, end in enumerate(ends)]))
    assert _verdicts([_sample(40.0 * n, 5, end) for n, end in enumerate([*ends, 9])])[-1] is not None


def test_one_stuck_partition_is_seen_beside_one_that_moves() -> None:
    """The sum of all commits would hide it."""
    samples = [_sample(10.0 * n, n, 100, other=5) for n in range(8)]
    verdict = _verdicts(samples)[-1]
    assert verdict is not None
    assert "topic[1]" in verdict


def test_a_rebalance_suspends_the_partitions_clocks_and_has_its_own() -> None:
    """A rebalance that does not end is a reason of its own."""
    samples = [_sample(30.0 * n, 5, 9, rebalancing=True) for n in range(6)]
    verdicts = _verdicts(samples)
    assert verdicts[:5] == [None] * 5
    assert verdicts[5] is not None
    assert "rebalance" in verdicts[5]


def test_a_recovery_may_take_long_as_long_as_it_reads() -> None:
    """And is ended when it does not."""
    reading = [_sample(60.0 * n, 0, 9, rebalancing=True, remaining=1_000 - n) for n in range(9)]
    assert not any(_verdicts(reading))
    stuck = [_sample(60.0 * n, 0, 9, rebalancing=True, remaining=1_000) for n in range(3)]
    verdict = _verdicts(stuck)[-1]
    assert verdict is not None
    assert "recovery" in verdict


def test_lag_is_what_lies_between_committed_and_end() -> None:
    """Unknown while the ends are."""
    assert _sample(0, 5, 9).lag == {TP: 4}
    assert _sample(0, 9, 5).lag == {TP: 0}
    assert _sample(0, 5, None).lag is None


def _joining(at: float, *, joined: bool, answers: bool = True) -> Sample:
    ends: dict[tuple[str, int], int] | None = {} if answers else None
    return Sample(at_seconds=at, committed={}, ends=ends, rebalancing=False, joined=joined)


def test_a_process_that_its_group_never_takes_in_is_ended() -> None:
    """It has no partition whose standing still could be seen."""
    verdicts = _verdicts([_joining(10.0 * n, joined=False) for n in range(8)])
    assert verdicts[:7] == [None] * 7
    assert verdicts[7] is not None
    assert "has not taken this process in" in verdicts[7]


def test_waiting_for_a_broker_is_no_standing_still() -> None:
    """Nor is having no partitions, once the group has said so."""
    assert not any(_verdicts([_joining(100.0 * n, joined=False, answers=False) for n in range(9)]))
    assert not any(_verdicts([_joining(100.0 * n, joined=True) for n in range(9)]))

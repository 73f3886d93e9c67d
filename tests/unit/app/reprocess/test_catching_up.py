"""When a version has caught up with the live topics."""

from app.reprocess.catching_up import BEHIND_SECONDS, CAUGHT_UP_SECONDS, CatchUp, PartitionSample
from app.streaming.account import Account


def _sample(committed: int, end: int, first: int = 0) -> dict[int, PartitionSample]:
    return {0: PartitionSample(first, end, committed, Account(0, outputs=committed))}


def test_a_version_with_nothing_to_do_has_caught_up_at_once() -> None:
    """Empty topics, or one that goes on where nothing came since."""
    state = CatchUp()
    assert state.feed(5.0, [_sample(0, 0), _sample(0, 0)])
    assert (state.is_caught_up, state.behind_seconds) == (True, 0.0)


def test_history_is_caught_up_with_only_when_also_what_came_meanwhile_is_done() -> None:
    """The first ends lie far back by the time they are reached, so newer ends are waited for."""
    state = CatchUp()
    assert not state.feed(0.0, [_sample(0, 1_000)])
    assert not state.feed(50.0, [_sample(1_000, 3_000)])
    assert state.behind_seconds == 50.0
    assert not state.feed(58.0, [_sample(2_999, 3_500)])
    assert state.feed(59.0, [_sample(3_000, 3_600)])
    assert state.is_caught_up
    assert state.behind_seconds == 9.0 <= CAUGHT_UP_SECONDS


def test_a_later_stage_must_have_done_what_the_earlier_one_has_made_of_the_ends() -> None:
    """Ends of its source are those seen once the earlier stage is done, never older ones."""
    state = CatchUp()
    state.feed(0.0, [_sample(0, 100), _sample(0, 0)])
    assert not state.feed(1.0, [_sample(99, 100), _sample(90, 90)])
    assert not state.feed(2.0, [_sample(100, 100), _sample(90, 95)])
    assert state.feed(3.0, [_sample(100, 130), _sample(95, 99)])
    assert state.behind_seconds == 3.0


def test_every_partition_counts() -> None:
    """One that lags keeps the whole version from having caught up."""
    state = CatchUp()
    lagging = {0: _sample(10, 10)[0], 1: _sample(3, 4)[0]}
    assert not state.feed(0.0, [lagging])
    assert not state.feed(1.0, [lagging])
    assert state.feed(2.0, [{0: _sample(10, 10)[0], 1: _sample(4, 4)[0]}])


def test_records_that_have_expired_are_not_waited_for_and_are_counted() -> None:
    """Kafka deletes what is older than the topic's retention, read or not."""
    state = CatchUp()
    expired = {0: PartitionSample(first=50, end=50, committed=20, account=Account(0, outputs=20))}
    assert state.feed(0.0, [expired])
    assert expired[0].expired == 30
    assert expired[0].lag == 0
    assert expired[0].done == 50


def test_a_version_falls_behind_when_ends_are_not_reached_for_long() -> None:
    """A short pause, as of a restarted broker, is not news; a long one is told, and its end too."""
    state = CatchUp()
    state.feed(0.0, [_sample(10, 10)])
    assert state.is_caught_up
    state.feed(1.0, [_sample(10, 20)])
    assert not state.feed(BEHIND_SECONDS, [_sample(10, 900)])
    assert state.is_caught_up
    assert state.feed(BEHIND_SECONDS + 3, [_sample(10, 900)])
    assert not state.is_caught_up
    assert state.feed(100.0, [_sample(900, 900)])
    assert state.is_caught_up
    assert state.behind_seconds == 0.0

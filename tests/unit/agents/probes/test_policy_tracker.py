"""Answers of an agent become windows in which a policy was the same."""

from dataclasses import replace

import pytest

from agents.probes.policy_seen import PolicySeen, fell
from agents.probes.policy_tracker import PolicyTracker, PolicyWindow
from schemas.probes import PolicyState, SeenHooks, SeenHookState, WindowEnd

LOADED = (SeenHooks("uprobes", 0, 2, SeenHookState.LOADED),)
POLICY = PolicySeen(
    name="tls", policy_id=7, state=PolicyState.ENABLED, hooks=LOADED, counters={"post": 5}, spec_digest="d"
)


def test_a_window_grows_while_answers_say_the_same() -> None:
    """It begins when the first answer was there, and ends when the last one was asked for; counters grow."""
    tracker = PolicyTracker(100)
    more = replace(POLICY, counters={"post": 9})

    assert tracker.answered(10, 12, [POLICY]) == [PolicyWindow(POLICY, 12, 12)]
    assert tracker.answered(40, 43, [more]) == [PolicyWindow(more, 12, 40)]
    assert tracker.open_windows == [PolicyWindow(more, 12, 40)]


@pytest.mark.parametrize(
    ("later", "end"),
    [
        (replace(POLICY, policy_id=8), WindowEnd.RELOADED),
        (replace(POLICY, policy_id=8, state=PolicyState.LOADING), WindowEnd.RELOADED),
        (replace(POLICY, counters={"post": 4}), WindowEnd.RELOADED),
        (replace(POLICY, counters={}), WindowEnd.RELOADED),
        (replace(POLICY, state=PolicyState.DISABLED), WindowEnd.CHANGED),
        (replace(POLICY, hooks=()), WindowEnd.CHANGED),
        (replace(POLICY, spec_digest=None), WindowEnd.CHANGED),
    ],
)
def test_another_loading_or_state_is_another_window(later: PolicySeen, end: WindowEnd) -> None:
    """What was between the two answers nobody knows."""
    tracker = PolicyTracker(100)
    tracker.answered(10, 12, [POLICY])
    tracker.answered(20, 22, [POLICY])

    assert tracker.answered(30, 33, [later]) == [PolicyWindow(POLICY, 12, 20, end), PolicyWindow(later, 33, 33)]
    assert tracker.answered(50, 51, [later]) == [PolicyWindow(later, 33, 50)]


def test_a_policy_that_is_gone_or_stands_twice_has_no_window() -> None:
    """Of two with one name nobody knows which is meant; others go on."""
    other = replace(POLICY, name="other")
    tracker = PolicyTracker(100)
    tracker.answered(10, 12, [POLICY, other])

    assert tracker.answered(20, 22, [POLICY, other, POLICY]) == [
        PolicyWindow(POLICY, 12, 12, WindowEnd.GONE),
        PolicyWindow(other, 12, 20),
    ]
    assert tracker.answered(30, 32, []) == [PolicyWindow(other, 12, 20, WindowEnd.GONE)]


def test_a_window_outlives_an_answer_that_did_not_come_but_not_many() -> None:
    """Up to the silence that is allowed."""
    tracker = PolicyTracker(100)
    tracker.answered(10, 12, [POLICY])

    assert tracker.answered(112, 113, [POLICY]) == [PolicyWindow(POLICY, 12, 112)]
    assert tracker.answered(213, 214, [POLICY]) == [
        PolicyWindow(POLICY, 12, 112, WindowEnd.UNASKED),
        PolicyWindow(POLICY, 214, 214),
    ]


def test_a_clock_that_goes_back_ends_the_window() -> None:
    """It would otherwise vouch for a time that is still to come."""
    tracker = PolicyTracker(100)
    tracker.answered(10, 12, [POLICY])
    tracker.answered(50, 51, [POLICY])

    assert tracker.answered(20, 21, [POLICY]) == [
        PolicyWindow(POLICY, 12, 50, WindowEnd.CLOCK_SET),
        PolicyWindow(POLICY, 21, 21),
    ]


def test_no_window_outlives_the_stream() -> None:
    """An agent that was started again may give the same id to another loading."""
    tracker = PolicyTracker(100)
    tracker.answered(10, 12, [POLICY])

    assert tracker.ended() == [PolicyWindow(POLICY, 12, 12, WindowEnd.STREAM_ENDED)]
    assert tracker.answered(20, 22, [POLICY]) == [PolicyWindow(POLICY, 22, 22)]


def test_a_successor_goes_on_with_the_windows_of_the_ingest_before() -> None:
    """Its stream overlapped with the other's, so a new agent would have been seen."""
    tracker = PolicyTracker(100, [PolicyWindow(POLICY, 12, 40)])

    assert tracker.answered(70, 71, [POLICY]) == [PolicyWindow(POLICY, 12, 70)]


def test_a_counter_that_is_new_did_not_fall() -> None:
    """Selectors count from their first call; one that is gone was set back."""
    assert not fell({"post": 5}, {"post": 5, "nopost": 1})
    assert fell({"post": 5}, {"nopost": 1})
    assert fell({"post": 5, "nopost": 2}, {"post": 6, "nopost": 1})


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_file_that_was_changed_says_nothing_of_what_is_loaded(*, is_cut: bool) -> None:
    """The agent has the policy of before until it is loaded again, whether or not the stream goes on."""
    tracker = PolicyTracker(100)
    tracker.answered(10, 12, [POLICY])
    changed = replace(POLICY, spec_digest="e")
    for at in (20, 30):
        if is_cut:
            tracker.ended()
        assert tracker.answered(at, at, [changed])[-1].policy == replace(POLICY, spec_digest=None)
    assert tracker.answered(40, 40, [POLICY])[-1].policy == POLICY
    assert tracker.answered(50, 50, [changed])[-1].policy.spec_digest is None
    for reloaded in (replace(changed, policy_id=8), replace(changed, policy_id=8, counters={"post": 1})):
        assert tracker.answered(60, 60, [reloaded])[-1].policy == reloaded


def test_a_file_may_come_after_the_policy_was_loaded() -> None:
    """Whoever supplies it says what was loaded."""
    tracker = PolicyTracker(100)
    tracker.answered(10, 12, [replace(POLICY, spec_digest=None)])

    assert tracker.answered(20, 20, [POLICY])[-1].policy == POLICY


def test_an_ingest_that_goes_on_knows_what_was_loaded() -> None:
    """By the windows that it got."""
    tracker = PolicyTracker(100, [PolicyWindow(POLICY, 5, 9)])

    assert tracker.answered(20, 20, [replace(POLICY, spec_digest="e")])[-1].policy.spec_digest is None

"""A stage stops at a limit, and not before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings
from app.streaming.dead_letter_limits import MIN_RECORDS, WINDOW_RECORDS, DeadLetterGuard, DeadLetterLimits, limits_of

NO_RUN = 0
NO_SHARE = 100


def _cut(refused: list[bool], sizes: list[int]) -> list[list[int]]:
    """Offsets of `refused`, cut into batches whose sizes repeat."""
    batches, begin, turn = [], 0, 0
    while begin < len(refused):
        size = sizes[turn % len(sizes)]
        batches.append(list(range(begin, min(len(refused), begin + size))))
        begin, turn = begin + size, turn + 1
    return batches


def _stops(limits: DeadLetterLimits, refused: list[bool], sizes: list[int]) -> bool:
    judge = DeadLetterGuard(limits)
    batches = _cut(refused, sizes)
    return any(judge.exceeded(batch, [offset for offset in batch if refused[offset]]) for batch in batches)


@given(st.lists(st.booleans(), max_size=60), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 8))
def test_a_run_stops_the_stage_however_it_is_cut_into_batches(
    refused: list[bool], sizes: list[int], max_run: int
) -> None:
    """More refusals in a row than allowed, anywhere, and nothing else."""
    text = "".join("x" if one else "." for one in refused)
    assert _stops(DeadLetterLimits(max_run, NO_SHARE), refused, sizes) == ("x" * (max_run + 1) in text)


def test_a_share_above_the_limit_stops_the_stage_once_there_are_enough_records() -> None:
    """One refusal in four, with a limit of a fifth."""
    refused = [number % 4 == 0 for number in range(2 * MIN_RECORDS)]
    assert not _stops(DeadLetterLimits(NO_RUN, 20), refused[: MIN_RECORDS - 1], [100])
    assert _stops(DeadLetterLimits(NO_RUN, 20), refused, [100])
    assert not _stops(DeadLetterLimits(NO_RUN, 25), refused, [100])


def test_refusals_of_long_ago_do_not_count() -> None:
    """A burst below the limit of its time is forgotten when the window has passed over it."""
    judge = DeadLetterGuard(DeadLetterLimits(NO_RUN, 10))
    for _ in range(5):
        assert judge.share_exceeded(WINDOW_RECORDS, WINDOW_RECORDS // 12) is None
    assert judge.share_exceeded(WINDOW_RECORDS, 0) is None
    assert judge.share_exceeded(WINDOW_RECORDS, WINDOW_RECORDS // 8) is not None


def test_without_limits_nothing_stops() -> None:
    """An operator may want every event seen, whatever becomes of it."""
    assert not _stops(DeadLetterLimits(NO_RUN, NO_SHARE), [True] * (2 * WINDOW_RECORDS), [1_000])


@pytest.mark.parametrize(
    ("limits", "name"), [(DeadLetterLimits(5, NO_SHARE), "MAX_RUN"), (DeadLetterLimits(NO_RUN, 5), "MAX_PERCENT")]
)
def test_the_reason_says_what_to_do(limits: DeadLetterLimits, name: str) -> None:
    """Repair and retry, or raise the limit that it was."""
    reason = DeadLetterGuard(limits).exceeded(range(2_000), range(2_000))
    assert reason is not None
    assert "callstream dead-letters retry" in reason
    assert f"CALLSTREAM_DEAD_LETTER_{name}" in reason


def test_limits_come_from_the_settings() -> None:
    """A bad deployment is stopped by default."""
    limits = limits_of(Settings())
    assert 0 < limits.max_run <= 10_000
    assert 0 < limits.max_percent < 100

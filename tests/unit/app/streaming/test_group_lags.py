"""Since when records wait is found by questions for offsets by time."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from app.kafka.records import Partition
from app.streaming.group_lags import waiting_since

NOW_MS = 1_800_000_000_000
HERE: Partition = ("t", 0)


@given(
    ages=st.lists(st.integers(0, 40 * 86_400_000), min_size=1, max_size=30),
    next_offset=st.integers(0, 29),
)
def test_the_wait_is_told_up_to_an_eighth_too_long_and_never_too_short(ages: list[int], next_offset: int) -> None:
    """Whatever lies in the partition, and wherever the group is."""
    times = sorted(NOW_MS - age for age in ages)
    at = min(next_offset, len(times) - 1)

    def ask(asked: Mapping[Partition, int]) -> dict[Partition, int | None]:
        return {p: next((n for n, time in enumerate(times) if time >= since), None) for p, since in asked.items()}

    found = waiting_since(ask, {HERE: at}, NOW_MS)[HERE]

    received = times[at]
    assert found <= received
    assert received - found <= max(1_000, (NOW_MS - found) / 8)


def test_a_question_is_for_all_partitions_at_once() -> None:
    """A lag of a day costs some twenty questions, however many partitions there are."""
    asked: list[int] = []

    def ask(times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        asked.append(len(times))
        return {place: 0 if time_ms <= NOW_MS - 86_400_000 else None for place, time_ms in times.items()}

    waiting_since(ask, {("t", number): 0 for number in range(100)}, NOW_MS)

    assert asked[0] == 100
    assert len(asked) < 25


def test_nothing_is_asked_where_nothing_waits() -> None:
    """A pipeline that keeps up costs no question."""
    assert waiting_since(lambda _times: {}, {}, NOW_MS) == {}

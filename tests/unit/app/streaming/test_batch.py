"""Fetched records are cut into batches within both limits."""

from hypothesis import given
from hypothesis import strategies as st

from app.streaming.batch import cut, size_bytes
from tests.support.fake_kafka import record


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 10), st.integers(2, 60))
def test_cutting_keeps_every_record_in_order_and_within_limits(
    sizes: list[int], max_records: int, max_bytes: int
) -> None:
    """Only a record that is larger than the limit by itself makes a larger batch, alone."""
    records = [record(offset, value=b"x" * size) for offset, size in enumerate(sizes)]
    runs = list(cut(records, max_records, max_bytes))
    assert [r.offset for run in runs for r in run] == list(range(len(sizes)))
    for run in runs:
        assert 1 <= len(run) <= max_records
        assert len(run) == 1 or sum(map(size_bytes, run)) <= max_bytes


def test_a_batch_is_as_large_as_the_limits_allow() -> None:
    """A cut is made where the next record would exceed a limit, and nowhere else."""
    records = [record(offset, value=b"x" * 9) for offset in range(7)]  # 10 bytes each, with the key
    assert [len(run) for run in cut(records, 5, 1_000)] == [5, 2]
    assert [len(run) for run in cut(records, 100, 30)] == [3, 3, 1]


def test_a_tombstone_and_a_record_without_key_have_a_size() -> None:
    """Compacted sources hold records without a value."""
    assert size_bytes(record(0, value=b"")) == 1

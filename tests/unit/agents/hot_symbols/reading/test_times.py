"""agents/hot_symbols/reading/times.py: times as bytes."""

from hypothesis import example, given
from hypothesis import strategies as st

from agents.hot_symbols.reading.times import sortable, time_of
from schemas import avro_wire

TIMES = st.integers(-(2**63), 2**63 - 1) | st.integers(2**55 - 9, 2**55 + 9) | st.integers(2**62 - 9, 2**62 + 9)


@given(one=TIMES, other=TIMES)
@example(one=2**55 - 1, other=2**55)
@example(one=2**62 - 1, other=2**62)
@example(one=-1, other=0)
def test_bytes_sort_as_the_times_do(one: int, other: int) -> None:
    """Comparing bytes is comparing times."""
    assert (sortable(one) < sortable(other)) == (one < other)


@given(time_ns=TIMES)
def test_time_is_read_back(time_ns: int) -> None:
    """No time is lost or changed."""
    assert time_of(sortable(time_ns)) == time_ns


@given(time_ns=st.integers(2**55, 2**62 - 1))
def test_usual_times_are_cut_out_of_a_call(time_ns: int) -> None:
    """What a call holds of a time, read backwards, is its bytes."""
    assert sortable(time_ns) == avro_wire.long(time_ns)[::-1]

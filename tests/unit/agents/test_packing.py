"""State as bytes: it comes back as it was, or it raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.packing import StateError, first_two, pack, unpack

NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40)
TEXTS = st.lists(st.text(st.characters(), max_size=10), min_size=1, max_size=10)


@given(numbers=NUMBERS, texts=TEXTS)
def test_numbers_and_texts_come_back(numbers: list[int], texts: list[str]) -> None:
    """Any 64-bit numbers and any texts survive, zero characters and surrogates included."""
    assert unpack(pack(numbers, texts)) == (tuple(numbers), texts)


@given(first=st.integers(-5, 5), second=st.integers(0, 2**62), rest=NUMBERS)
def test_first_two_are_read_without_the_rest(first: int, second: int, rest: list[int]) -> None:
    """What decides between two states stands in front."""
    assert first_two(pack([first, second, *rest], ["x"])) == (first, second)


@pytest.mark.parametrize("state", [b"", b"\x01", b"\x01\x05\x00" + b"\0" * 39, b"\x02" + pack([1, 2], ["x"])[1:]])
def test_state_that_is_cut_short_or_of_another_version_raises(state: bytes) -> None:
    """Damage is never read as a smaller count."""
    with pytest.raises(StateError):
        unpack(state)
    with pytest.raises(StateError):
        first_two(state[:10])

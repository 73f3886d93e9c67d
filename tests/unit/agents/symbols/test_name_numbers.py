"""Names get numbers in their order, whichever way a range or a copy finds its own."""

from collections.abc import Sequence
from random import Random
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from agents.symbols.name_numbers import NamedPlaces, NumberedNames, numbered_names

NO_RANGES: Final = NamedPlaces((), ())
NAMES = ["b", "x", "a", "a", "c"]


def numbered(names: list[str], ranges: NamedPlaces = NO_RANGES, copies: Sequence[str] = ()) -> NumberedNames:
    """The numbers of functions at addresses 0, 1 and so on."""
    return numbered_names(NamedPlaces(names, range(len(names))), ranges, copies)


def test_each_name_is_there_once_and_in_order() -> None:
    """Two functions of one name have one number; functions are listed by name and then by place."""
    found = numbered(NAMES)

    assert found.names == ["a", "b", "c", "x"]
    assert list(found.of_functions) == [1, 3, 0, 0, 2]
    assert list(found.by_name) == [2, 3, 0, 4, 1]
    assert numbered([]).names == []


def test_other_names_move_the_numbers() -> None:
    """A function that was only inlined has a name, too."""
    found = numbered(NAMES, NamedPlaces(["z", "bb", "B"], [0, 1, 2]), ["bb", "a", "bb"])

    assert found.names == ["B", "a", "b", "bb", "c", "x", "z"]
    assert list(found.of_functions) == [2, 5, 1, 1, 4]
    assert list(found.by_name) == [2, 3, 0, 4, 1]
    assert list(found.of_ranges) == [6, 3, 0]
    assert list(found.of_copies) == [3, 1, 3]


def test_known_names_move_nothing() -> None:
    """A name is found as the string of a function, and also as another string that says the same."""
    back_and_forth = NamedPlaces([NAMES[0], NAMES[2], NAMES[4], NAMES[1]], [0, 2, 4, 1])
    assert numbered(NAMES, back_and_forth, [NAMES[4], NAMES[0]]) == numbered(NAMES)._replace(
        of_ranges=[1, 0, 2, 3], of_copies=[2, 1]
    )
    equal = ["".join(name) for name in (["x"] * 30, ["y"] * 30)]  # other objects
    found = numbered(["y" * 30, "x" * 30], NamedPlaces(equal, [0, 1]), equal)
    assert (found.names, list(found.of_ranges), list(found.of_copies)) == (equal, [0, 1], [0, 1])


def test_a_range_is_found_behind_any_number_of_functions_without_one() -> None:
    """Labels inside a function have no range; those behind them are still the strings of functions."""
    names = [f"f{number}" for number in range(1000)]
    looked_at: list[str] = []

    class Seen(str):
        """A name that notes when it is compared."""

        __slots__ = ()

        def __lt__(self, other: str) -> bool:
            looked_at.append(self)
            return super().__lt__(other)

        def __gt__(self, other: str) -> bool:
            looked_at.append(self)
            return super().__gt__(other)

    last = Seen(names[-1])
    alone = numbered([*names[:-1], last])
    compared = len(looked_at)
    looked_at.clear()
    behind = numbered([*names[:-1], last], NamedPlaces([last], [999]))

    assert behind == alone._replace(of_ranges=alone.of_functions[-1:])
    assert len(looked_at) == compared  # it is sorted once, and not searched for


@given(st.lists(st.text("ab", max_size=3)), st.lists(st.text("abc", max_size=3)), st.randoms(use_true_random=False))
def test_numbers_are_the_places_among_all_names(names: list[str], strangers: list[str], chance: Random) -> None:
    """Whatever the functions and the others are called, a number is the place in the sorted names."""
    others = [*strangers, *names, *map("".join, map(list, names))]
    chance.shuffle(others)
    copies, in_ranges = others[: len(strangers)], others[len(strangers) :]

    found = numbered(names, NamedPlaces(in_ranges, range(len(in_ranges))), copies)

    assert found.names == sorted({*names, *others})
    assert [found.names[number] for number in found.of_functions] == names
    assert [found.names[number] for number in found.of_copies] == copies
    assert [found.names[number] for number in found.of_ranges] == in_ranges
    assert list(found.by_name) == sorted(range(len(names)), key=names.__getitem__)

"""Names get numbers in their order, whichever way a range or a copy finds its own."""

from bisect import bisect_left
from random import Random
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from agents.symbols.name_numbers import NamedPlaces, numbered_names, with_other_names

NAMES = ["b", "x", "a", "a", "c"]


def test_each_name_is_there_once_and_in_order() -> None:
    """Two functions of one name have one number; functions are listed by name and then by place."""
    numbered = numbered_names(NAMES)

    assert numbered.names == ["a", "b", "c", "x"]
    assert list(numbered.of_functions) == [1, 3, 0, 0, 2]
    assert list(numbered.by_name) == [2, 3, 0, 4, 1]
    assert numbered_names([]).names == []


def test_other_names_move_the_numbers() -> None:
    """A function that was only inlined has a name, too."""
    functions, ranges = places(NAMES), places(["z", "bb", "B"])
    numbered, of_ranges, of_copies = with_other_names(numbered_names(NAMES), functions, ranges, ["bb", "a"])

    assert numbered.names == ["B", "a", "b", "bb", "c", "x", "z"]
    assert list(numbered.of_functions) == [2, 5, 1, 1, 4]
    assert list(numbered.by_name) == [2, 3, 0, 4, 1]
    assert of_ranges == [6, 3, 0]
    assert of_copies == [3, 1]


def test_known_names_move_nothing() -> None:
    """A name is found as the string of a function, and also as another string that says the same."""
    known, functions = numbered_names(NAMES), places(NAMES)
    long = ["y" * 30, "x" * 30]
    equal = ["".join(name) for name in (["x"] * 30, ["y"] * 30)]  # other objects

    assert with_other_names(known, functions, NamedPlaces([NAMES[3]], [3]), [NAMES[4], NAMES[0]]) == (
        known,
        [0],
        [2, 1],
    )
    back_and_forth = NamedPlaces([NAMES[0], NAMES[2], NAMES[4], NAMES[1]], [0, 2, 4, 1])
    assert with_other_names(known, functions, back_and_forth, []) == (known, [1, 0, 2, 3], [])
    assert with_other_names(numbered_names(long), places(long), places(equal), [])[1] == [0, 1]


def test_a_range_is_found_behind_any_number_of_functions_without_one() -> None:
    """Labels inside a function have no range, and the ranges behind them are still looked up by address alone."""
    names = [f"f{number}" for number in range(1000)]
    behind = NamedPlaces(names[-1:], [999])

    with patch("agents.symbols.name_numbers.bisect_left", wraps=bisect_left) as search:
        assert with_other_names(numbered_names(names), places(names), behind, [])[1] == [sorted(names).index("f999")]
    assert [call.args[0] for call in search.call_args_list] == [range(1000)]  # and never among the names


@given(st.lists(st.text("ab", max_size=3)), st.lists(st.text("abc", max_size=3)), st.randoms(use_true_random=False))
def test_numbers_are_the_places_among_all_names(names: list[str], strangers: list[str], chance: Random) -> None:
    """Whatever the functions and the others are called, a number is the place in the sorted names."""
    others = [*strangers, *names, *map("".join, map(list, names))]
    chance.shuffle(others)
    copies, in_ranges = others[: len(strangers)], others[len(strangers) :]

    numbered, of_ranges, of_copies = with_other_names(numbered_names(names), places(names), places(in_ranges), copies)

    assert numbered.names == sorted({*names, *others})
    assert [numbered.names[number] for number in numbered.of_functions] == names
    assert [numbered.names[number] for number in of_copies] == copies
    assert [numbered.names[number] for number in of_ranges] == in_ranges


def places(names: list[str]) -> NamedPlaces:
    """Names of functions at addresses 0, 1 and so on."""
    return NamedPlaces(names, range(len(names)))

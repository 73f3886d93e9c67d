"""Names get numbers in their order, whichever way a range or a copy finds its own."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agents.symbols.name_numbers import numbered_names, with_other_names

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
    numbered, others = with_other_names(numbered_names(NAMES), NAMES, ["bb", "a"], ["z", "bb", "B"])

    assert numbered.names == ["B", "a", "b", "bb", "c", "x", "z"]
    assert list(numbered.of_functions) == [2, 5, 1, 1, 4]
    assert list(numbered.by_name) == [2, 3, 0, 4, 1]
    assert others == [3, 1, 6, 3, 0]


def test_known_names_move_nothing() -> None:
    """A name is found as the string of a function, and also as another string that says the same."""
    known = numbered_names(NAMES)
    equal = ["".join(name) for name in (["x"] * 30, ["y"] * 30)]  # other objects
    named = numbered_names(["y" * 30, "x" * 30])

    assert with_other_names(known, NAMES, [NAMES[4], NAMES[0]], [NAMES[3]]) == (known, [2, 1, 0])
    assert with_other_names(known, NAMES, [], [NAMES[0], NAMES[2], NAMES[4], NAMES[1]]) == (known, [1, 0, 2, 3])
    assert with_other_names(named, ["y" * 30, "x" * 30], [], equal)[1] == [0, 1]


@given(st.lists(st.text("ab", max_size=3)), st.lists(st.text("abc", max_size=3)), st.randoms(use_true_random=False))
def test_numbers_are_the_places_among_all_names(names: list[str], strangers: list[str], chance: Random) -> None:
    """Whatever the functions and the others are called, a number is the place in the sorted names."""
    others = [*strangers, *names, *map("".join, map(list, names))]
    chance.shuffle(others)

    numbered, numbers = with_other_names(
        numbered_names(names), names, others[: len(strangers)], others[len(strangers) :]
    )

    assert numbered.names == sorted({*names, *others})
    assert [numbered.names[number] for number in numbered.of_functions] == names
    assert [numbered.names[number] for number in numbers] == others

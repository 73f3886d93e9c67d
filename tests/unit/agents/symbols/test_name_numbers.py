"""Names get numbers in their order, whichever way a range or a copy finds its own."""

from agents.symbols.name_numbers import numbered_names, places_of_names, with_other_names

ADDRESSES = [0x10, 0x10, 0x20, 0x30, 0x30]
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
    numbered, others = with_other_names(numbered_names(NAMES), ["bb", "a"])

    assert numbered.names == ["a", "b", "bb", "c", "x"]
    assert list(numbered.of_functions) == [1, 4, 0, 0, 3]
    assert others == [2, 0]


def test_range_finds_its_function_among_aliases() -> None:
    """By address and name, also where a function goes on behind another."""
    assert places_of_names([0x10, 0x20, 0x30, 0x10], ["x", "a", "c", "b"], ADDRESSES, NAMES) == [1, 2, 4, 0]


def test_name_without_a_function_is_noticed() -> None:
    """Another name at the address, or no function there."""
    assert places_of_names([0x10], ["a"], ADDRESSES, NAMES) is None
    assert places_of_names([0x18], ["b"], ADDRESSES, NAMES) is None
    assert places_of_names([0x40], ["c"], ADDRESSES, NAMES) is None

"""Numbers for the names of an index, which keeps each name once, in order, and elsewhere its number.

A library has 70,000 names, scattered over memory: whatever touches all of them takes longer than all else that writing
an index does. So they are touched to be sorted, and then found by their identity.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain, compress, count, islice
from operator import add, ne
from typing import Final, NamedTuple

_NEAR: Final = 64
"""Names that are looked at for one: a function may have aliases, and a hostile file gives it a million."""


class NumberedNames(NamedTuple):
    """Every name, in order; the number of each function's name; the functions in order of name."""

    names: list[str]
    of_functions: Sequence[int]
    by_name: Sequence[int]


def numbered_names(function_names: Sequence[str]) -> NumberedNames:
    """The names of functions, numbered without a table of them."""
    by_name = sorted(range(len(function_names)), key=function_names.__getitem__)
    ordered = list(map(function_names.__getitem__, by_name))
    is_next = list(map(ne, ordered, islice(ordered, 1, None)))
    of_functions = array("I", bytes(4 * len(ordered)))
    for at, number in zip(by_name, accumulate(is_next, initial=0), strict=False):
        of_functions[at] = number
    return NumberedNames(list(compress(ordered, chain((True,), is_next))), of_functions, by_name)


class NamedPlaces(NamedTuple):
    """Names, and the addresses of the functions that have them."""

    names: Sequence[str]
    addresses: Sequence[int]


def with_other_names(
    numbered: NumberedNames, functions: NamedPlaces, ranges: NamedPlaces, copies: Sequence[str]
) -> tuple[NumberedNames, list[int], list[int]]:
    """The names with those of ranges and copies among them, and the numbers of these two.

    Most are the very strings of functions, which are found without a look at what they say: that of a range by the
    address of its function, that of a copy by its identity.
    """
    of_ranges = _numbers_in_order(numbered.of_functions, functions, ranges)
    of_copies: dict[int, int | None] = {}
    names_of_copies = dict(zip(map(id, copies), copies, strict=True))  # a function has many copies
    if copies:
        number_of = dict(zip(map(id, functions.names), numbered.of_functions, strict=True))
        of_copies = {one: number_of.get(one) for one in names_of_copies}
    others_of_ranges = {at: ranges.names[at] for at, number in enumerate(of_ranges) if number is None}
    others_of_copies = {one: names_of_copies[one] for one, number in of_copies.items() if number is None}
    known = numbered.names
    others = {*others_of_ranges.values(), *others_of_copies.values()}
    places = {name: bisect_left(known, name) for name in others}
    unknown = sorted(name for name, at in places.items() if at == len(known) or known[at] != name)
    if unknown:
        before = [0] * (len(known) + 1)  # how many unknown names come before a known one
        for name in unknown:
            before[places[name]] += 1
        moved = list(map(add, accumulate(before), count()))
        of_ranges = [None if number is None else moved[number] for number in of_ranges]
        of_copies = {one: None if number is None else moved[number] for one, number in of_copies.items()}
        places = {name: moved[at] for name, at in places.items()} | {
            name: places[name] + at for at, name in enumerate(unknown)
        }
        numbered = NumberedNames(
            sorted([*known, *unknown]), list(map(moved.__getitem__, numbered.of_functions)), numbered.by_name
        )
    found_in_ranges = [
        places[others_of_ranges[at]] if number is None else number for at, number in enumerate(of_ranges)
    ]
    found = {one: places[others_of_copies[one]] if number is None else number for one, number in of_copies.items()}
    return numbered, found_in_ranges, list(map(found.__getitem__, map(id, copies)))


def _numbers_in_order(numbers: Sequence[int], functions: NamedPlaces, ranges: NamedPlaces) -> list[int | None]:
    """The number of each range's name if it is the very string of a function at its address; None for any other.

    Most follow the one before; between two ranges stand the aliases of a function, and labels inside of it.
    """
    names, addresses = functions
    found: list[int | None] = []
    at, behind = 0, len(names)
    for name, address in zip(*ranges, strict=True):
        if at == behind or names[at] is not name:
            first = bisect_left(addresses, address)
            aliases = range(first, min(first + _NEAR, behind))
            at = next((place for place in aliases if names[place] is name), behind)
            if at == behind:
                found.append(None)
                continue
        found.append(numbers[at])
        at += 1
    return found

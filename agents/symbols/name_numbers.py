"""Numbers for the names of an index, which keeps each name once, in order, and elsewhere its number.

A library has 70,000 names, scattered over memory: whatever touches all of them takes longer than all else that writing
an index does. So they are touched to be sorted, and then found by the place of their function.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain, compress, count, islice
from operator import is_not, ne
from typing import NamedTuple


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


def with_other_names(numbered: NumberedNames, others: Sequence[str]) -> tuple[NumberedNames, list[int]]:
    """The names with `others` among them, and the numbers of `others`."""
    known = dict(zip(numbered.names, count()))
    unknown = set(others).difference(known)
    if not unknown:
        return numbered, [known[name] for name in others]
    names = sorted([*numbered.names, *unknown])
    number_of = dict(zip(names, count()))
    moved = [number_of[name] for name in numbered.names]
    renumbered = [moved[number] for number in numbered.of_functions]
    return NumberedNames(names, renumbered, numbered.by_name), [number_of[name] for name in others]


def places_of_names(
    starts: Sequence[int], names: Sequence[str], addresses: Sequence[int], function_names: Sequence[str]
) -> list[int] | None:
    """For each name that begins at a start, its place among the functions; None if one of them is not there.

    `addresses` are rising. Where a function has aliases, the last of them is found first.
    """
    last_at = dict(zip(addresses, count()))
    try:
        places = list(map(last_at.__getitem__, starts))
    except KeyError:
        return None
    for at in compress(count(), map(is_not, map(function_names.__getitem__, places), names)):
        place = bisect_left(addresses, starts[at])
        while function_names[place] != names[at]:
            if place == places[at]:
                return None
            place += 1
        places[at] = place
    return places

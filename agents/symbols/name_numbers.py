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
"""Names that are looked at for the next one: between two ranges stand the aliases of a function."""


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


def _numbers_in_order(names: Sequence[str], numbers: Sequence[int], others: Sequence[str]) -> list[int | None]:
    """The number of each other name that is the string behind the one before it, or near; None for any other."""
    found: list[int | None] = []
    at, last = 0, len(names) - 1
    for name in others:
        if at > last or names[at] is not name:
            near = next((place for place in range(at, min(at + _NEAR, last + 1)) if names[place] is name), None)
            if near is None:
                found.append(None)
                continue
            at = near
        found.append(numbers[at])
        at += 1
    return found


def with_other_names(
    numbered: NumberedNames, function_names: Sequence[str], copy_names: Sequence[str], range_names: Sequence[str]
) -> tuple[NumberedNames, list[int]]:
    """The names with those of copies and ranges among them, and the numbers of these.

    Most are the very strings of functions, which are found without a look at what they say; those of ranges stand in
    the same order.
    """
    found: list[int | None] = []
    if copy_names:
        number_of = dict(zip(map(id, function_names), numbered.of_functions, strict=True))
        found += map(number_of.get, map(id, copy_names))
    found += _numbers_in_order(function_names, numbered.of_functions, range_names)
    others_alone = {
        at: copy_names[at] if at < len(copy_names) else range_names[at - len(copy_names)]
        for at, number in enumerate(found)
        if number is None
    }
    known = numbered.names
    places = {name: bisect_left(known, name) for name in others_alone.values()}
    unknown = sorted(name for name, at in places.items() if at == len(known) or known[at] != name)
    if not unknown:
        return numbered, [places[others_alone[at]] if number is None else number for at, number in enumerate(found)]
    before = [0] * (len(known) + 1)  # how many unknown names come before a known one
    for name in unknown:
        before[places[name]] += 1
    moved = list(map(add, accumulate(before), count()))
    number_of_other = {name: moved[at] for name, at in places.items()}
    number_of_other |= {name: places[name] + at for at, name in enumerate(unknown)}
    return (
        NumberedNames(
            sorted([*known, *unknown]), list(map(moved.__getitem__, numbered.of_functions)), numbered.by_name
        ),
        [number_of_other[others_alone[at]] if number is None else moved[number] for at, number in enumerate(found)],
    )

"""Numbers for the names of an index, which keeps each name once, in order, and elsewhere its number.

A library has 70,000 names, scattered over memory: whatever touches all of them takes longer than all else that writing
an index does. So they are touched to be sorted, and then found by their identity.
"""

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain, compress, count, islice
from operator import ne
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


def with_other_names(
    numbered: NumberedNames, function_names: Sequence[str], others: Sequence[str]
) -> tuple[NumberedNames, list[int]]:
    """The names with `others` among them, and the numbers of `others`.

    Most of `others` are the very strings of functions, which are found without a look at what they say.
    """
    function_names, others = list(function_names), list(others)  # held, for a dead string's identity is used again
    number_of = dict(zip(map(id, function_names), numbered.of_functions, strict=True))
    found = list(map(number_of.get, map(id, others)))
    numbers = [number for number in found if number is not None]
    if len(numbers) == len(found):
        return numbered, numbers
    known = numbered.names
    others_alone = {name for name, number in zip(others, found, strict=True) if number is None}
    names = sorted([*known, *sorted(others_alone.difference(known))])
    number_of_name = dict(zip(names, count()))
    moved = list(map(number_of_name.__getitem__, known))
    return (
        NumberedNames(names, list(map(moved.__getitem__, numbered.of_functions)), numbered.by_name),
        [number_of_name[name] if number is None else moved[number] for name, number in zip(others, found, strict=True)],
    )

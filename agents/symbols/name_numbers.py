"""Numbers for the names of an index, which keeps each name once, in order, and elsewhere its number.

A library has 70,000 names, scattered over memory: whatever touches all of them takes longer than all else that writing
an index does. So they are touched to be sorted, and then found by their identity.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain, compress, count, islice
from operator import ne
from typing import Final, NamedTuple

_NEAR: Final = 64
"""Names that are looked at for one: a function may have aliases, and a hostile file gives it a million."""

_NOWHERE: Final = -1


class NumberedNames(NamedTuple):
    """Every name, in order; the number of each function's, range's and copy's; the functions in order of name."""

    names: list[str]
    of_functions: Sequence[int]
    of_ranges: Sequence[int]
    of_copies: Sequence[int]
    by_name: Sequence[int]


class NamedPlaces(NamedTuple):
    """Names, and the addresses of the functions that have them."""

    names: Sequence[str]
    addresses: Sequence[int]


def numbered_names(functions: NamedPlaces, ranges: NamedPlaces, copies: Sequence[str]) -> NumberedNames:
    """All names, numbered without a table of them.

    Those of ranges and copies are mostly the very strings of functions, which are found without a look at what they
    say: that of a range by the address of its function, that of a copy by its identity.
    """
    all_names = [*functions.names]
    places = _places_in_order(functions, ranges)
    if _NOWHERE in places:
        for at in [at for at, place in enumerate(places) if place == _NOWHERE]:
            places[at] = len(all_names)
            all_names.append(ranges.names[at])
    place_of: dict[int, int] = {}
    if copies:
        place_of = dict(zip(map(id, functions.names), count()))
        for name in dict(zip(map(id, copies), copies, strict=True)).values():  # a function has many copies
            if place_of.setdefault(id(name), len(all_names)) == len(all_names):
                all_names.append(name)
    by_name = sorted(range(len(all_names)), key=all_names.__getitem__)
    ordered = list(map(all_names.__getitem__, by_name))
    is_next = list(map(ne, ordered, islice(ordered, 1, None)))
    numbers = [0] * len(ordered)
    for at, number in zip(by_name, accumulate(is_next, initial=0), strict=False):
        numbers[at] = number
    known = len(functions.names)
    return NumberedNames(
        names=list(compress(ordered, chain((True,), is_next))),
        of_functions=numbers[:known],
        of_ranges=list(map(numbers.__getitem__, places)),
        of_copies=list(map(numbers.__getitem__, map(place_of.__getitem__, map(id, copies)))),
        by_name=by_name if len(by_name) == known else [at for at in by_name if at < known],
    )


def _places_in_order(functions: NamedPlaces, ranges: NamedPlaces) -> list[int]:
    """Which function has each range's name, if it is the very string of one at its address; -1 for any other.

    Most follow the one before; between two ranges stand the aliases of a function, and labels inside of it.
    """
    names, addresses = functions
    found: list[int] = []
    at, behind = -1, len(names)
    for name, address in zip(*ranges, strict=True):
        at += 1
        if at >= behind or names[at] is not name:
            first = bisect_left(addresses, address)
            aliases = range(first, min(first + _NEAR, behind))
            at = next((place for place in aliases if names[place] is name), _NOWHERE)
        found.append(at)
    return found

"""Every name of every function, as the index keeps them: frames carry one name of a code, questions may use any."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress, count
from operator import eq, itemgetter
from typing import Final

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import NamedFunctions, NameTrait
from app.symbols.code_ranges import FunctionSymbol
from app.symbols.elf import SectionRange

_ADDRESS: Final = itemgetter(0)


def named_functions(symbols: Iterable[FunctionSymbol]) -> NamedFunctions:
    """The names of `symbols` in order, each address and name once: of two, the larger size and the traits of both.

    By column, because a loop over a library's symbols takes longer than all the rest; only aliases are looked at.
    """
    ordered = sorted(symbols, key=_ADDRESS)
    if not ordered:
        return NamedFunctions()
    addresses, sizes, names, traits = columns = [list(map(itemgetter(at), ordered)) for at in range(4)]
    aliases = list(compress(count(), map(eq, addresses, addresses[1:])))
    repeated: list[int] = []
    for first, behind in _runs(aliases):
        if behind - first == 2 and names[first] <= names[first + 1]:  # most aliases are two
            if names[first] == names[first + 1]:
                repeated.append(first + 1)
            continue
        order = sorted(range(first, behind), key=names.__getitem__)
        for column in columns[1:]:
            column[first:behind] = [column[at] for at in order]
        repeated += [at for at in range(first + 1, behind) if names[at] == names[at - 1]]
    for at in reversed(repeated):  # from the end, so that the last of several takes the others' in turn
        sizes[at - 1] = max(sizes[at - 1], sizes[at])
        traits[at - 1] |= traits[at]
        names[at - 1] = names[at]  # the string that Go's table of functions shares with its inline trees
    if repeated:
        kept = [True] * len(names)
        for at in repeated:
            kept[at] = False
        return NamedFunctions(*(list(compress(column, kept)) for column in columns))
    return NamedFunctions(*columns)


def _runs(aliases: Sequence[int]) -> list[tuple[int, int]]:
    """(first, behind) of symbols of one address; `aliases` are the places whose next one has the same."""
    runs: list[tuple[int, int]] = []
    for at in aliases:
        if runs and runs[-1][1] == at + 1:
            runs[-1] = runs[-1][0], at + 2
        else:
            runs.append((at, at + 2))
    return runs


def known_symbols(index: SymbolIndex, code: Sequence[SectionRange], *, only_exported: bool) -> list[FunctionSymbol]:
    """The symbols of an index that exists, as its file gave them; `code` are the file's executable sections."""
    sections = sorted((section.start, section.end) for section in code)
    found = []
    for function in index.functions():
        traits = function.traits
        if only_exported and not traits & NameTrait.EXPORTED:
            continue
        at = bisect_right(sections, (function.address, 2**64)) - 1
        end = sections[at][1] if at >= 0 else 0
        found.append(
            FunctionSymbol(
                function.address,
                function.size,
                function.name,
                traits,  # the names of Go's own table are as those in .symtab
                max(end, function.address + function.size),
            )
        )
    return found

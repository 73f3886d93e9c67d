"""Every name of every function, as the index keeps them: frames carry one name of a code, questions may use any."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import NamedFunctions, NameTrait
from app.symbols.code_ranges import FunctionSymbol
from app.symbols.elf import SectionRange

_BY_NAME: Final = itemgetter(0, 2)  # address, name

# by binding, whether exported, whether in .symtab, whether a resolver: a table, for a library has 70,000 symbols
_BINDINGS: Final = (NameTrait.GLOBAL, NameTrait(0), NameTrait.LOCAL)
_TRAITS: Final = {
    (binding, is_exported, in_symtab, is_resolver): int(
        trait | NameTrait.EXPORTED * is_exported | NameTrait.IN_SYMTAB * in_symtab | NameTrait.RESOLVER * is_resolver
    )
    for binding, trait in enumerate(_BINDINGS)
    for is_exported in (False, True)
    for in_symtab in (False, True)
    for is_resolver in (False, True)
}


def named_functions(symbols: Iterable[FunctionSymbol]) -> NamedFunctions:
    """The names of `symbols` in order, each address and name once: of two, the larger size and the traits of both."""
    addresses: list[int] = []
    sizes: list[int] = []
    names: list[str] = []
    traits: list[int] = []
    last_address, last_name = -1, ""
    for address, size, name, binding, is_exported, in_symtab, _, is_resolver in sorted(symbols, key=_BY_NAME):
        trait = _TRAITS[binding, is_exported, in_symtab, is_resolver]
        if address == last_address and name == last_name:
            sizes[-1] = max(sizes[-1], size)
            traits[-1] |= trait
            continue
        addresses.append(address)
        sizes.append(size)
        names.append(name)
        traits.append(trait)
        last_address, last_name = address, name
    return NamedFunctions(addresses, sizes, names, traits)


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
                2 if traits & NameTrait.LOCAL else 0 if traits & NameTrait.GLOBAL else 1,
                is_exported=bool(traits & NameTrait.EXPORTED),
                in_symtab=bool(traits & NameTrait.IN_SYMTAB) and not only_exported,
                limit=max(end, function.address + function.size),
                is_resolver=bool(traits & NameTrait.RESOLVER),
            )
        )
    return found

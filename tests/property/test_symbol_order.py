"""Which name an address gets does not depend on the order or on the completeness of a symbol table."""

from bisect import bisect_right
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agents.symbols.index_format import CodeRanges, NameTrait
from app.symbols.code_ranges import FunctionSymbol, disjoint_ranges
from app.symbols.symbol_tables import with_exports

LIMIT = 80


@st.composite
def symbols(draw: st.DrawFn) -> FunctionSymbol:
    """A symbol among few addresses and names, so that many overlap and coincide."""
    address = draw(st.integers(0, LIMIT - 1))
    return FunctionSymbol(
        address=address,
        size=draw(st.integers(0, LIMIT - address)),
        name=draw(st.sampled_from(["a", "b", "_a", "__a", "aa"])),
        traits=NameTrait.IN_SYMTAB | draw(st.sampled_from([NameTrait.GLOBAL, NameTrait(0), NameTrait.LOCAL])),
        limit=LIMIT,
    )


def dynamic_entry(symbol: FunctionSymbol) -> FunctionSymbol:
    """The symbol as .dynsym has it."""
    traits = symbol.traits & ~NameTrait.IN_SYMTAB
    return symbol._replace(traits=traits if traits & NameTrait.LOCAL else traits | NameTrait.EXPORTED)


def name_at(ranges: CodeRanges, address: int) -> tuple[str, int] | None:
    """(name, offset) at an address."""
    at = bisect_right(ranges.starts, address) - 1
    if at < 0 or address >= ranges.starts[at] + ranges.lengths[at]:
        return None
    return ranges.names[at], address - ranges.starts[at] + ranges.deltas[at]


@given(st.lists(symbols(), max_size=12), st.lists(symbols(), max_size=6), st.randoms(use_true_random=False))
def test_order_of_the_table_does_not_matter(
    static: list[FunctionSymbol], dynamic: list[FunctionSymbol], random: Random
) -> None:
    """Any permutation gives the same ranges."""
    table = static + [dynamic_entry(s) for s in dynamic]
    shuffled = list(table)
    random.shuffle(shuffled)

    assert disjoint_ranges(with_exports(shuffled)) == disjoint_ranges(with_exports(table))


@given(st.lists(symbols(), max_size=12))
def test_ranges_are_sorted_disjoint_and_covered_by_a_symbol_of_their_name(table: list[FunctionSymbol]) -> None:
    """Every named address lies in a symbol of that name, or behind a sizeless one with no symbol between."""
    ranges = disjoint_ranges(table)

    ends = [start + length for start, length in zip(ranges.starts, ranges.lengths, strict=True)]
    assert all(end <= start for end, start in zip(ends, ranges.starts[1:], strict=False))
    for address in range(LIMIT):
        found = name_at(ranges, address)
        covering = [s for s in table if s.size and s.address <= address < s.address + s.size]
        if found is None:
            assert not covering
            continue
        name, offset = found
        own = [s for s in table if s.name == name and s.address == address - offset]
        assert any(s in covering for s in own) or (
            not covering and any(not s.size and not any(s.address < o.address <= address for o in table) for s in own)
        )


@given(
    st.lists(symbols(), max_size=8, unique_by=lambda s: (s.address, s.name)),
    st.lists(symbols(), max_size=8),
)
def test_stripping_never_changes_the_name_of_an_exported_function(
    exported: list[FunctionSymbol], local: list[FunctionSymbol]
) -> None:
    """Where a stripped library gives a name, the unstripped one gives the same."""
    public = [symbol._replace(traits=symbol.traits & ~NameTrait.LOCAL) for symbol in exported]
    dynamic = [dynamic_entry(symbol) for symbol in public]
    # a linker writes an exported symbol into both tables; it has one size
    static = public + [s for s in local if (s.address, s.name) not in {(p.address, p.name) for p in public}]
    stripped = disjoint_ranges(with_exports(dynamic))
    unstripped = disjoint_ranges(with_exports(static + dynamic))

    for address in range(LIMIT):
        if (name := name_at(stripped, address)) is not None:
            assert name_at(unstripped, address) == name

"""Overlapping, aliased and sizeless symbols become ranges with one name an address."""

import pytest

from agents.symbols.index_format import CodeRanges, NameTrait
from app.symbols.code_ranges import FunctionSymbol, disjoint_ranges

GLOBAL, WEAK, LOCAL = NameTrait.GLOBAL, NameTrait(0), NameTrait.LOCAL


def function(
    name: str,
    address: int,
    size: int,
    binding: NameTrait = GLOBAL,
    *,
    exported: bool = False,
    in_symtab: bool = True,
    limit: int = 0x1000,
) -> FunctionSymbol:
    """A symbol in a section that ends at `limit`."""
    traits = binding | NameTrait.EXPORTED * exported | NameTrait.IN_SYMTAB * in_symtab
    return FunctionSymbol(address, size, name, traits, limit)


def rows(ranges: CodeRanges) -> list[tuple[int, int, int, str]]:
    """Start, length, delta and name of every range."""
    return list(zip(ranges.starts, ranges.lengths, ranges.deltas, ranges.names, strict=True))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (function("zz", 0, 8, LOCAL, exported=True), function("a", 0, 8)),
        (function("zz", 0, 8, LOCAL), function("a", 0, 0)),
        (function("zz", 0, 8), function("a", 0, 8, WEAK)),
        (function("zz", 0, 8, WEAK), function("a", 0, 8, LOCAL)),
        (function("zz", 0, 8, WEAK), function("_a", 0, 8)),
        (function("system", 0, 8, WEAK, exported=True), function("__libc_system", 0, 8, exported=True)),
        (function("_zz", 0, 8), function("__a", 0, 8)),
        (function("zz", 0, 8), function("aaa", 0, 8)),
        (function("a", 0, 8), function("b", 0, 8)),
    ],
)
def test_alias_order(better: FunctionSymbol, worse: FunctionSymbol) -> None:
    """Exported, sized, fewer underscores, global, weak, shorter, byte order: in this order, whatever came first."""
    assert rows(disjoint_ranges([better, worse])) == [(0, 8, 0, better.name)]
    assert rows(disjoint_ranges([worse, better])) == [(0, 8, 0, better.name)]


def test_gap_belongs_to_no_function() -> None:
    """Bytes between a function's end and the next function have no range."""
    assert rows(disjoint_ranges([function("a", 0, 8), function("b", 16, 8)])) == [(0, 8, 0, "a"), (16, 8, 0, "b")]


def test_nested_function_interrupts_the_outer_one() -> None:
    """Behind an inner function the outer one goes on, still counted from its own start."""
    ranges = disjoint_ranges([function("outer", 0, 100), function("inner", 40, 20)])

    assert rows(ranges) == [(0, 40, 0, "outer"), (40, 20, 0, "inner"), (60, 40, 60, "outer")]


def test_exported_function_is_not_interrupted_by_a_local_one() -> None:
    """A stripped library knows only the exported one, so the unstripped library must not say another name."""
    ranges = disjoint_ranges([function("outer", 0, 100, exported=True), function("inner", 40, 20, LOCAL)])

    assert rows(ranges) == [(0, 100, 0, "outer")]


def test_longer_alias_covers_what_the_better_one_leaves() -> None:
    """Each address goes to the best symbol that covers it."""
    assert rows(disjoint_ranges([function("short", 0, 8), function("long_alias", 0, 24)])) == [
        (0, 8, 0, "short"),
        (8, 16, 8, "long_alias"),
    ]


def test_label_without_size_goes_up_to_the_next_symbol() -> None:
    """An entry of .symtab without a size covers what no sized symbol does, and not beyond its section."""
    ranges = disjoint_ranges([function("a", 0, 0), function("b", 32, 8), function("c", 48, 0, limit=64)])

    assert rows(ranges) == [(0, 32, 0, "a"), (32, 8, 0, "b"), (48, 16, 0, "c")]


def test_label_inside_a_function_covers_nothing() -> None:
    """The function covers its label, and the gap behind the function stays a gap."""
    assert rows(disjoint_ranges([function("f", 0, 32), function("label", 16, 0), function("g", 64, 8)])) == [
        (0, 32, 0, "f"),
        (64, 8, 0, "g"),
    ]


def test_sizeless_export_covers_its_first_byte_only() -> None:
    """.dynsym has few entries, so a symbol that is in no other table is not stretched to the next one."""
    assert rows(disjoint_ranges([function("f", 16, 0, exported=True, in_symtab=False), function("g", 64, 8)])) == [
        (16, 1, 0, "f"),
        (64, 8, 0, "g"),
    ]


def test_sizeless_export_in_both_tables_goes_on_behind_its_first_byte() -> None:
    """With .symtab the rule for its labels holds, and the first byte has the same name in both."""
    ranges = disjoint_ranges([function("f", 16, 0, exported=True), function("g", 64, 8)])

    assert [row for row in rows(ranges) if row[3] == "f"] in ([(16, 48, 0, "f")], [(16, 1, 0, "f"), (17, 47, 1, "f")])
    assert rows(ranges)[-1] == (64, 8, 0, "g")

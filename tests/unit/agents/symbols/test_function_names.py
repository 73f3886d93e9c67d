"""What a name means in an index: its codes, other names, inlined copies, and names that the file does not have."""

import pytest

from agents.symbols.function_names import FunctionCode, FunctionNames, InlinedCopy
from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import NO_COPY, InlinedCopies, NameTrait, SymbolOrigin
from tests.support.made_indexes import ID, NO_COPIES, named_index

EXPORTED, LOCAL = NameTrait.EXPORTED | NameTrait.GLOBAL, NameTrait.LOCAL

FUNCTIONS = [
    (0x1000, 0x20, "__libc_system", EXPORTED),
    (0x1000, 0x20, "system", EXPORTED),
    (0x1100, 0x10, "parse", LOCAL),
    (0x1110, 0, "inside_parse", LOCAL),
    (0x1200, 0x10, "parse", LOCAL),
    (0x1300, 0x40, "strlen", EXPORTED | NameTrait.RESOLVER),
    (0x1400, 0x40, "__strlen_avx2", LOCAL),
    (0x1500, 0x40, "__strlen_sse4_2", LOCAL),
    (0x1600, 0x40, "__strlen_chk", LOCAL),
]
RANGES = [
    (0x1000, 0x20, "system"),
    (0x1100, 0x20, "parse"),
    (0x1200, 0x10, "parse"),
    (0x1300, 0x40, "strlen"),
    (0x1400, 0x40, "__strlen_avx2"),
    (0x1500, 0x40, "__strlen_sse4_2"),
    (0x1600, 0x40, "__strlen_chk"),
]


def names(copies: InlinedCopies = NO_COPIES, origins: SymbolOrigin = SymbolOrigin.SYMTAB) -> FunctionNames:
    """The names of a small C library."""
    return FunctionNames(SymbolIndex(memoryview(named_index(ID, RANGES, FUNCTIONS, copies, origins))))


def test_alias_is_the_code_whose_frames_carry_another_name() -> None:
    """A question with any name of a code learns the name that frames carry."""
    code = FunctionCode(0x1000, 0x20, ("system", "__libc_system"), "system", 0, is_exported=True, is_resolver=False)

    assert names().codes("__libc_system") == names().codes("system") == (code,)
    assert names().names_at(0x1000) == ("system", "__libc_system")


def test_name_of_two_functions_means_both_codes() -> None:
    """Static functions of two source files may have one name."""
    assert [code.address for code in names().codes("parse")] == [0x1100, 0x1200]


def test_label_inside_a_function_says_which_function_its_frames_name() -> None:
    """No frame can carry the label; the code says so by an offset."""
    (code,) = names().codes("inside_parse")

    assert (code.frame_symbol, code.frame_offset) == ("parse", 0x10)


def test_resolver_and_what_it_chooses_among() -> None:
    """The code of an IFUNC only chooses; the functions that it chooses among are known by their names."""
    assert names().is_resolver("strlen")
    assert not names().is_resolver("__strlen_avx2")
    assert names().implementations("strlen") == ("__strlen_avx2", "__strlen_sse4_2")


def test_name_that_the_file_does_not_have() -> None:
    """It has no code, and names spelled like it are offered."""
    assert not names().knows("sistem")
    assert names().codes("sistem") == ()
    assert names().nearest("sistem") == ("system",)


def test_inlined_copies_say_where_and_in_which_function() -> None:
    """A name can have copies and no code of its own; copies inside copies are copies, too."""
    copies = InlinedCopies(
        names=["decode_header", "checked", "decode_header"],
        addresses=[0x1008, 0x1204, 0x1204],
        outer=[NO_COPY, NO_COPY, 1],
        files=[0, 0, 0],
        lines=[0, 0, 0],
        described=9,
        functions=9,
    )
    found = names(copies, SymbolOrigin.SYMTAB | SymbolOrigin.DWARF_INLINES)

    assert found.knows("decode_header")
    assert found.codes("decode_header") == ()
    assert found.copies("decode_header") == (InlinedCopy(0x1008, "system"), InlinedCopy(0x1204, "parse"))
    assert found.copies("system") == ()
    assert found.inline_knowledge.is_whole


@pytest.mark.parametrize(
    ("origins", "described", "functions", "is_whole", "share"),
    [
        (SymbolOrigin.SYMTAB, 0, 9, False, 0.0),
        (SymbolOrigin.DWARF_INLINES, 3, 4, False, 0.75),
        (SymbolOrigin.DWARF_INLINES, 4, 4, True, 1.0),
        (SymbolOrigin.GO_INLINE_TREE, 4, 4, False, 1.0),
        (SymbolOrigin.GO_INLINE_TREE | SymbolOrigin.DWARF_INLINES, 4, 4, False, 1.0),
        (SymbolOrigin.DWARF_INLINES, 0, 0, False, 0.0),
    ],
)
def test_inlining_is_known_as_far_as_functions_are_described(
    origins: SymbolOrigin, described: int, functions: int, is_whole: bool, share: float
) -> None:
    """Without an inline tree or debug information nothing is known, and a part is not the whole."""
    knowledge = names(InlinedCopies(described=described, functions=functions), origins).inline_knowledge

    assert (knowledge.is_whole, knowledge.share) == (is_whole, share)


def test_names_come_in_byte_order_and_by_prefix() -> None:
    """Clones and builds of one function share a beginning."""
    for word in ("", "__strlen", "s", "é", "absent", "e__"):
        assert list(names().names_with(word)) == [name for name in names().all_names() if word in name]
    assert list(names().all_names()) == sorted({name for _, _, name, _ in FUNCTIONS})
    assert list(names().names_starting_with("__strlen")) == ["__strlen_avx2", "__strlen_chk", "__strlen_sse4_2"]

"""Go's inline trees, read from tables that are written here byte by byte."""

from struct import pack
from types import SimpleNamespace
from typing import Final, cast

import pytest

from app.symbols.elf import ByteOrder, ElfStructure, FileRange
from app.symbols.go_inlines import go_inlines
from app.symbols.gopclntab import GO_1_18, GO_1_20, GoTable, _Names
from app.symbols.inlining import InlineTree

_NAMES: Final = b"\0main.host\0main.inner\0main.called\0"
# Of the host's 16 bytes, 4 are its own, then 8 of node 1, then 4 its own again. Node 0 has no code.
_PCS: Final = bytes((0, 4, 4, 8, 3, 4))
_NODES: Final = ((_NAMES.index(b"main.called"), 6), (_NAMES.index(b"main.inner"), 2))
_TEXT: Final = 0x1000
_TREES: Final = 0x5000
_TREE: Final = 8  # from there


def _read(
    pcs: bytes = _PCS, tree: int = _TREE, order: ByteOrder = "little", magic: int = GO_1_20, *, with_code: bool = False
) -> tuple[bool, InlineTree]:
    """What is read of a program of one function."""
    sign = "<" if order == "little" else ">"
    tables = _NAMES + b"\0" + pcs + b"\0"
    tables += bytes(-len(tables) % 4)
    record = [0] * 7 + [3] + [0] * (1 if magic == GO_1_18 else 2)
    data_of_function = pack(f"{sign}7I", 0, 0, 1, *[2**32 - 1] * 3, tree)
    content = tables + pack(f"{sign}{len(record)}I", *record) + bytes((0, 0, 0, 4)) + data_of_function
    before, behind = ([0] * 3, []) if magic == GO_1_18 else ([0], [0])
    nodes = [word for name, pc in _NODES for word in (*before, name, pc, *behind)]
    data = memoryview(bytes(_TREE) + pack(f"{sign}{len(nodes)}I", *nodes))
    names = _Names(content, 0, len(_NAMES))
    functions = [(0x20, 0x30, "main.host")]
    table = GoTable(content, order, magic, 1, functions, [len(tables)], names, len(_NAMES), _TEXT, _TREES)
    structure = SimpleNamespace(loaded=(FileRange(0, len(data), _TREES),), byte_order=order)
    found = InlineTree()
    return go_inlines(data, cast("ElfStructure", structure), table, found, with_code=with_code), found


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("magic", [GO_1_18, GO_1_20])
def test_a_tree_is_read_in_each_byte_order_and_layout(order: ByteOrder, magic: int) -> None:
    """An inlined function has its lowest address; one without code of its own is where it is called."""
    is_read, tree = _read(order=order, magic=magic)
    assert is_read
    assert tree.described == [(0x1020, 0x1030)]
    assert tree.host_names == ["main.called", "main.inner"]
    assert tree.host_addresses == [0x1026, 0x1024]


def test_the_code_of_a_copy_is_known_where_it_is_asked_for() -> None:
    """With code, a copy has the range that its node has."""
    is_read, tree = _read(with_code=True)
    assert is_read
    assert (tree.names, tree.pieces) == (["main.inner"], [(0x1024, 0x102C, 1, 0)])


@pytest.mark.parametrize("with_code", [False, True])
@pytest.mark.parametrize(
    ("pcs", "tree"),
    [
        pytest.param(_PCS[:-1] + b"\x84", _TREE, id="a number that does not end"),
        pytest.param(_PCS[:-1], _TREE, id="a number without its pair"),
        pytest.param(_PCS[:-1] + b"\x84\x80\x80\x80\x01", _TREE, id="a number of five bytes"),
        pytest.param(_PCS[:-1] + b"\x05", _TREE, id="more code than the function has"),
        pytest.param(_PCS, _TREE + 4, id="a tree that ends behind the file"),
        pytest.param(b"\x80\x80\x80\x7e\x04", _TREE, id="a node that no tree has"),
    ],
)
def test_a_malformed_tree_is_no_tree(pcs: bytes, tree: int, *, with_code: bool) -> None:
    """What contradicts itself adds no copy, and the file's other names stay."""
    is_read, found = _read(pcs, tree, with_code=with_code)
    assert (is_read, found.names, found.host_names) == (False, [], [])

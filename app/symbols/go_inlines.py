"""Go's inline trees: which functions the compiler put into which, kept in .gopclntab for tracebacks.

A function's record names two tables: for each pc an index into the tree (PCDATA_InlTreeIndex), and the tree, whose
nodes have the name of the inlined function and the pc of the call (FUNCDATA_InlTree; cmd/internal/objabi/funcdata.go,
runtime/symtabinl.go). The trees lie in read-only data, from the address that moduledata calls `gofunc`.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

from agents.symbols.index_format import NO_COPY
from agents.symbols.kernel_symbols import canonical_symbol
from app.symbols.elf import ElfStructure
from app.symbols.gopclntab import GO_1_18, GoTable
from app.symbols.inlining import InlineTree

_PCDATA_INLINE_INDEX: Final = 2
_FUNCDATA_INLINE_TREE: Final = 3
_NO_FUNCDATA: Final = 2**32 - 1

# Where a node of the tree has the name and the pc of the call, and its size; older nodes have a parent and lines too.
_NODE: Final = (4, 8, 16)
_NODE_1_18: Final = (12, 16, 20)

# A function of 1 MiB has some 10,000 nodes.
_MAX_DEPTH: Final = 256
_FIRST_PC: Final = itemgetter(0)


def go_inlines(data: memoryview, structure: ElfStructure, table: GoTable, tree: InlineTree, *, with_code: bool) -> bool:
    """Add the copies in a Go program's functions to `tree`; false if its trees cannot be found or are malformed.

    Only `with_code` says which copy is inside which and which code is of which copy: that takes most of the time.
    """
    if table.gofunc is None:
        return False
    reader = _TreeReader(data, structure, table, tree)
    add = reader.add_function if with_code else reader.add_names
    try:
        for number, (entry, end, _) in enumerate(table.functions):
            add(number, table.text_start + entry, table.text_start + end)
    except (IndexError, _MalformedTreeError):
        return False
    return True


class _MalformedTreeError(Exception):
    """A tree or its table contradicts itself."""


class _InlinedInto(NamedTuple):
    """A function and what was put into it: where its tree is, which code is of which node, and the copies so far."""

    start: int
    tree_at: int
    ranges: list[tuple[int, int, int]]
    copies: dict[int, tuple[int, int]]
    """By number of node: the copy and its depth."""


@dataclass(slots=True)
class _TreeReader:
    data: memoryview
    structure: ElfStructure
    table: GoTable
    tree: InlineTree
    names: dict[int, str] = field(default_factory=dict)

    def add_function(self, number: int, start: int, end: int) -> None:
        """Add the copies in one function."""
        self.tree.described.append((start, end))
        places = self._places(number)
        if places is None:
            return
        pcs_at, tree_at = places
        into = _InlinedInto(start, tree_at, list(self._ranges(pcs_at, end - start)), {})
        begun: set[int] = set()
        for low, high, node in into.ranges:
            copy, depth = self._copy(node, into)
            self.tree.pieces.append((start + low, start + high, depth, copy))
            if copy not in begun:
                begun.add(copy)
                self.tree.addresses[copy] = start + low

    def add_names(self, number: int, start: int, end: int) -> None:
        """Add one copy of each function that is in this one, without their code."""
        self.tree.described.append((start, end))
        places = self._places(number)
        if places is None:
            return
        pcs_at, tree_at = places
        first: dict[int, int] = {}  # by number of node: its first pc
        for low, _, node in self._ranges(pcs_at, end - start):
            if node not in first:
                first[node] = low
        names: dict[int, int] = {}  # by offset of name
        for node in range(max(first, default=-1) + 1):
            name, called_at = self._fields(tree_at, node)
            low = first.get(node, called_at)
            names[name] = min(low, names.get(name, low))
        for name, low in names.items():
            self.tree.add(self._text(name), start + low, NO_COPY)

    def _places(self, number: int) -> tuple[int, int] | None:
        """Where the function's table of pcs and its tree begin; None if nothing was inlined."""
        content, word = self.table.content, self.table.word
        record = self.table.records[number]
        pcdata_count = word(record + 28)
        tail = record + (36 if self.table.magic == GO_1_18 else 40)
        funcdata_count = content[tail + 3]
        if pcdata_count <= _PCDATA_INLINE_INDEX or funcdata_count <= _FUNCDATA_INLINE_TREE:
            return None
        pcs = word(tail + 4 + 4 * _PCDATA_INLINE_INDEX)
        funcdata = word(tail + 4 + 4 * pcdata_count + 4 * _FUNCDATA_INLINE_TREE)
        if not pcs or funcdata == _NO_FUNCDATA or self.table.gofunc is None:
            return None
        return self.table.pcs_at + pcs, self.table.gofunc + funcdata

    def _ranges(self, at: int, size: int) -> Iterator[tuple[int, int, int]]:
        """(first, behind, index) from the function's start, where code is of an inlined function."""
        content = self.table.content
        unit = self.table.pc_unit
        value, pc, is_first = -1, 0, True
        while True:
            delta = content[at]  # most numbers have one byte
            at += 1
            if delta >= 0x80:
                delta, at = _varint(content, at - 1)
            if not delta and not is_first:
                return
            is_first = False
            value += -(delta >> 1) - 1 if delta & 1 else delta >> 1
            step = content[at]
            at += 1
            if step >= 0x80:
                step, at = _varint(content, at - 1)
            behind = pc + step * unit
            if behind > size or not step:
                raise _MalformedTreeError
            if value >= 0:
                yield pc, behind, value
            pc = behind

    def _copy(self, node: int, into: _InlinedInto) -> tuple[int, int]:
        """The number and the depth of a copy, added with those around it if it is new."""
        path: list[tuple[int, str, int]] = []
        while node not in into.copies and node >= 0:
            name, called_at = self._node(into.tree_at, node)
            path.append((node, name, called_at))
            if len(path) > _MAX_DEPTH:
                raise _MalformedTreeError
            around = bisect_right(into.ranges, called_at, key=_FIRST_PC) - 1
            node = into.ranges[around][2] if around >= 0 and called_at < into.ranges[around][1] else -1
        outer, depth = into.copies.get(node, (NO_COPY, 0))
        for inner, name, called_at in reversed(path):
            depth += 1
            outer = self.tree.add(name, into.start + called_at, outer)
            self.tree.called_at[outer] = into.start + called_at
            into.copies[inner] = outer, depth
        return outer, depth

    def _node(self, tree_at: int, number: int) -> tuple[str, int]:
        """The name of an inlined function, and the pc of the call from the start of the function around it."""
        name, called_at = self._fields(tree_at, number)
        return self._text(name), called_at

    def _fields(self, tree_at: int, number: int) -> tuple[int, int]:
        """The offset of the name of an inlined function, and the pc of the call."""
        name_at, called_at, size = _NODE_1_18 if self.table.magic == GO_1_18 else _NODE
        address = tree_at + number * size
        order = self.structure.byte_order
        for part in self.structure.loaded:
            if part.address <= address and address + size <= part.address + part.size:
                at = part.offset + address - part.address
                return (
                    int.from_bytes(self.data[at + name_at : at + name_at + 4], order),
                    int.from_bytes(self.data[at + called_at : at + called_at + 4], order),
                )
        raise _MalformedTreeError

    def _text(self, name: int) -> str:
        text = self.names.get(name)
        if text is None:
            text = self.names[name] = canonical_symbol(self.table.name(name))
        return text


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 31:
            raise _MalformedTreeError

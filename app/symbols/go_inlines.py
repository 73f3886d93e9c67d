"""Go's inline trees: which functions the compiler put into which, kept in .gopclntab for tracebacks.

A function's record names two tables: for each pc an index into the tree (PCDATA_InlTreeIndex), and the tree, whose
nodes have the name of the inlined function and the pc of the call (FUNCDATA_InlTree; cmd/internal/objabi/funcdata.go,
runtime/symtabinl.go). The trees lie in read-only data, from the address that moduledata calls `gofunc`.
"""

import re
import sys
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, islice, repeat
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Final, NamedTuple

from agents.symbols.index import MAX_INLINE_DEPTH
from agents.symbols.index_format import NO_COPY
from app.symbols.elf import ElfStructure, FileRange
from app.symbols.gopclntab import GO_1_18, GoTable
from app.symbols.inlining import InlineTree

_PCDATA_INLINE_INDEX: Final = 2
_FUNCDATA_INLINE_TREE: Final = 3
_NO_FUNCDATA: Final = 2**32 - 1

# Of a function's record: how many words of PCDATA and of FUNCDATA follow it. Since Go 1.20 it has its first line, too.
_RECORD: Final = "28xI8x3xB"
_RECORD_1_18: Final = "28xI4x3xB"
# Of a node of a tree: which word is the name and which the pc of the call, and how many words it has. Older nodes have
# a parent and lines, too.
_NODE: Final = (1, 2, 4)
_NODE_1_18: Final = (3, 4, 5)

_FIRST_PC: Final = itemgetter(0)
_LAST: Final = itemgetter(1)

# Numbers of seven bits a byte; the high bit says that more bytes follow.
_NUMBER: Final = re.compile(rb"[\x80-\xff]*[\x00-\x7f]", re.DOTALL)
_MAX_NUMBER_BYTES: Final = 5


def go_inlines(data: memoryview, structure: ElfStructure, table: GoTable, tree: InlineTree, *, with_code: bool) -> bool:
    """Add the copies in a Go program's functions to `tree`; false if its trees cannot be found or are malformed.

    Only `with_code` says which copy is inside which and which code is of which copy: that takes most of the time.
    """
    if table.gofunc is None:
        return False
    reader = _TreeReader(data, structure, table, table.gofunc, tree)
    tree.described += [(table.text_start + entry, table.text_start + end) for entry, end, _ in table.functions]
    try:
        if not with_code:
            tree.add_in_hosts(*reader.names_by_host())
            return True
        for record, (entry, end, _) in zip(table.records, table.functions, strict=True):
            if (places := reader.places(record)) is not None:
                reader.add_function(*places, table.text_start + entry, end - entry)
    except (IndexError, StructError, _MalformedTreeError):
        return False
    return True


class _MalformedTreeError(Exception):
    """A tree or its table contradicts itself."""


class _Numbers(dict[bytes | int, int]):
    """Numbers by their bytes, or by their only byte; a program has a few hundred different ones."""

    def __missing__(self, token: bytes | int) -> int:
        digits = (token,) if isinstance(token, int) else token
        if len(digits) > _MAX_NUMBER_BYTES:
            raise _MalformedTreeError
        number = self[token] = self.meaning(sum((byte & 0x7F) << 7 * place for place, byte in enumerate(digits)))
        return number

    def meaning(self, number: int) -> int:
        """What a number stands for."""
        return number


class _SignedNumbers(_Numbers):
    def meaning(self, number: int) -> int:
        """The lowest bit is the sign."""
        return -(number >> 1) - 1 if number & 1 else number >> 1


class _InlinedInto(NamedTuple):
    """A function and what was put into it: its tree's nodes, which code is of which node, and the copies so far."""

    start: int
    names: Sequence[int]
    calls: Sequence[int]
    ranges: list[tuple[int, int, int]]
    copies: dict[int, tuple[int, int]]
    """By number of node: the copy and its depth."""


class _TreeReader:
    __slots__ = (
        *("_change_of", "_data", "_gofunc", "_loaded", "_node", "_part", "_record", "_step_of", "_swaps", "_table"),
        *("_tree", "_word"),
    )

    def __init__(
        self, data: memoryview, structure: ElfStructure, table: GoTable, gofunc: int, tree: InlineTree
    ) -> None:
        self._data = data
        self._loaded = structure.loaded
        self._table = table
        self._gofunc = gofunc
        self._tree = tree
        self._change_of = _SignedNumbers().__getitem__
        self._step_of = _Numbers().__getitem__
        self._part = FileRange(0, 0)  # the part that had the tree before
        order = "<" if structure.byte_order == "little" else ">"
        is_1_18 = table.magic == GO_1_18
        self._record = Struct(order + (_RECORD_1_18 if is_1_18 else _RECORD))
        self._node = _NODE_1_18 if is_1_18 else _NODE
        self._swaps = structure.byte_order != sys.byteorder
        self._word = Struct(order + "I").unpack_from

    def places(self, record: int) -> tuple[int, int] | None:
        """Where a function's table of pcs and its tree begin; None if nothing was inlined."""
        content = self._table.content
        pcdata_count, funcdata_count = self._record.unpack_from(content, record)
        if pcdata_count <= _PCDATA_INLINE_INDEX or funcdata_count <= _FUNCDATA_INLINE_TREE:
            return None
        tail = record + self._record.size
        (pcs,) = self._word(content, tail + 4 * _PCDATA_INLINE_INDEX)
        if not pcs:
            return None
        (funcdata,) = self._word(content, tail + 4 * (pcdata_count + _FUNCDATA_INLINE_TREE))
        return None if funcdata == _NO_FUNCDATA else (self._table.pcs_at + pcs, self._gofunc + funcdata)

    def add_function(self, pcs_at: int, tree_at: int, start: int, size: int) -> None:
        """Add the copies in one function."""
        numbers, pcs = self._nodes_by_pc(pcs_at, size)
        ranges = [piece for piece in zip(pcs[:-1], pcs[1:], numbers, strict=True) if piece[2] >= 0]
        name_at, call_at, step = self._node
        nodes = self._nodes(tree_at, max(numbers) + 1)
        into = _InlinedInto(start, nodes[name_at::step], nodes[call_at::step], ranges, {})
        begun: set[int] = set()
        for low, high, node in into.ranges:
            copy, depth = self._copy(node, into)
            self._tree.pieces.append((start + low, start + high, depth, copy))
            if copy not in begun:
                begun.add(copy)
                self._tree.addresses[copy] = start + low

    def names_by_host(self) -> tuple[list[str], list[int]]:
        """The names of all inlined functions, once for each function that they are in, with their lowest address.

        In order of name, then address. One without code of its own is where it is called.
        """
        table, places, nodes_by_pc, nodes = self._table, self.places, self._nodes_by_pc, self._nodes
        name_at, call_at, step = self._node
        found: defaultdict[int, list[int]] = defaultdict(list)
        for record, (entry, end, _) in zip(table.records, table.functions, strict=True):
            if (at := places(record)) is None:
                continue
            numbers, pcs = nodes_by_pc(at[0], end - entry)
            count = max(numbers) + 1
            words = nodes(at[1], count)
            names = words[name_at::step]
            numbers.reverse()  # so that the lowest comes last, and stays
            pcs.reverse()
            lowest = dict(zip(numbers, islice(pcs, 1, None), strict=True))  # by number of node
            lowest.pop(-1, None)
            if len(lowest) < count:
                lowest = dict(enumerate(words[call_at::step])) | lowest
            by_name = dict(zip(map(names.__getitem__, lowest), lowest.values(), strict=True))
            if len(by_name) < len(lowest):
                by_name = {names[at]: pc for at, pc in sorted(lowest.items(), key=_LAST, reverse=True)}
            start = table.text_start + entry
            for name, pc in by_name.items():
                found[name].append(start + pc)
        return _in_order((table.names[offset], addresses) for offset, addresses in found.items())

    def _nodes_by_pc(self, at: int, size: int) -> tuple[list[int], list[int]]:
        """The number of a node, or a negative one, for each piece of a function's code, and the bounds of the pieces.

        The table has pairs of numbers: by how much the node's number changes, and how many bytes have it. The first
        zero behind its first byte ends it, because no later number is zero.
        """
        content = self._table.content
        end = content.find(b"\0", at + 1)
        table = content[at:end]
        if end < 0 or not table or table[-1] >= 0x80:
            raise _MalformedTreeError
        tokens: Sequence[bytes | int] = table if table.isascii() else _NUMBER.findall(table)
        pcs = list(accumulate(map(self._step_of, tokens[1::2]), initial=0))
        numbers = list(accumulate(map(self._change_of, tokens[::2]), initial=-1))
        del numbers[0]
        if (unit := self._table.pc_unit) != 1:
            pcs = [pc * unit for pc in pcs]
        if len(pcs) != len(numbers) + 1 or pcs[-1] > size:
            raise _MalformedTreeError
        return numbers, pcs

    def _nodes(self, at: int, count: int) -> "array[int]":
        """The words of a tree's nodes, one node after the other."""
        size = 4 * self._node[2] * count
        part = self._part
        if not part.address <= at <= at + size <= part.address + part.size:
            part = next((one for one in self._loaded if one.address <= at <= at + size <= one.address + one.size), part)
            if not part.address <= at <= at + size <= part.address + part.size:
                raise _MalformedTreeError
            self._part = part
        offset = part.offset + at - part.address
        nodes = array("I")
        nodes.frombytes(self._data[offset : offset + size])
        if self._swaps:
            nodes.byteswap()
        return nodes

    def _copy(self, node: int, into: _InlinedInto) -> tuple[int, int]:
        """The number and the depth of a copy, added with those around it if it is new."""
        path: list[tuple[int, str, int]] = []
        while node not in into.copies and node >= 0:
            called_at = into.calls[node]
            path.append((node, self._table.names[into.names[node]], called_at))
            if len(path) > MAX_INLINE_DEPTH:
                raise _MalformedTreeError
            around = bisect_right(into.ranges, called_at, key=_FIRST_PC) - 1
            node = into.ranges[around][2] if around >= 0 and called_at < into.ranges[around][1] else -1
        outer, depth = into.copies.get(node, (NO_COPY, 0))
        for inner, name, called_at in reversed(path):
            depth += 1
            outer = self._tree.add(name, into.start + called_at, outer)
            self._tree.called_at[outer] = into.start + called_at
            into.copies[inner] = outer, depth
        return outer, depth


def _in_order(found: Iterable[tuple[str, list[int]]]) -> tuple[list[str], list[int]]:
    """Names and addresses as two columns, in order of name and then address."""
    by_name: dict[str, list[int]] = {}
    for name, addresses in found:
        if name:
            by_name.setdefault(name, []).extend(addresses)
    ordered = sorted(by_name)
    counts = [len(by_name[name]) for name in ordered]
    return (
        list(chain.from_iterable(map(repeat, ordered, counts))),
        list(chain.from_iterable([sorted(by_name[name]) for name in ordered])),
    )

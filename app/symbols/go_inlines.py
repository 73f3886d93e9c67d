"""Go's inline trees: which functions the compiler put into which, kept in .gopclntab for tracebacks.

A function's record names two tables: for each pc an index into the tree (PCDATA_InlTreeIndex), and the tree, whose
nodes have the name of the inlined function and the pc of the call (FUNCDATA_InlTree; cmd/internal/objabi/funcdata.go,
runtime/symtabinl.go). The trees lie in read-only data, from the address that moduledata calls `gofunc`.

All is read by column, some thousand functions at once. Only index_builder imports this, and only for a Go program:
numpy takes a reading process 0.1 s.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.symbols.index import MAX_INLINE_DEPTH
from agents.symbols.index_format import NO_COPY
from app.symbols.elf import ElfStructure
from app.symbols.gopclntab import GO_1_18, GoTable
from app.symbols.inlining import MAX_COPIES, InlineTree

_PCDATA_INLINE_INDEX: Final = 2
_FUNCDATA_INLINE_TREE: Final = 3
_NO_FUNCDATA: Final = 2**32 - 1

# Of a function's record: which word says how many words of PCDATA follow it, and how long it is. Its last byte says how
# many words of FUNCDATA follow those. Since Go 1.20 it has its first line, too.
_PCDATA_COUNT: Final = 7
_RECORD_BYTES: Final = 44
_RECORD_BYTES_1_18: Final = 40
# Of a node of a tree: which word is the name and which the pc of the call, and how many words it has. Older nodes have
# a parent and lines, too.
_NODE: Final = (1, 2, 4)
_NODE_1_18: Final = (3, 4, 5)
_WORD: Final = 4

_FIRST_PC: Final = itemgetter(0)

# Numbers of seven bits a byte; the high bit says that more bytes follow.
_CONTINUED: Final = 0x80
_MAX_NUMBER_BYTES: Final = 4  # no function has 2^28 bytes or nodes
# Functions whose trees are read at once: enough for the costs of a call, few enough for memory.
_BATCH: Final = 4096

_Numbers = NDArray[np.int64]


def go_inlines(data: memoryview, structure: ElfStructure, table: GoTable, tree: InlineTree, *, with_code: bool) -> bool:
    """Add the copies in a Go program's functions to `tree`; false if its trees cannot be found or are malformed.

    Only `with_code` says which copy is inside which and which code is of which copy: that takes most of the time.
    """
    if table.gofunc is None:
        return False
    entries, ends, _ = zip(*table.functions, strict=True)
    from_text = table.text_start.__add__
    tree.described += zip(map(from_text, entries), map(from_text, ends), strict=True)
    try:
        reader = _TreeReader(data, structure, table, table.gofunc, tree)
        if with_code:
            reader.add_functions()
        else:
            tree.add_in_hosts(*reader.names_by_host())
    except (LookupError, OverflowError, _MalformedTreeError):
        return False
    return True


class _MalformedTreeError(Exception):
    """A tree or its table contradicts itself."""


class _Hosts(NamedTuple):
    """Functions that others were put into, by column: first addresses, sizes, where their tables of pcs and trees are.

    A table of pcs is at a place in .gopclntab, a tree at an address.
    """

    starts: _Numbers
    sizes: _Numbers
    tables: _Numbers
    trees: _Numbers


class _Pieces(NamedTuple):
    """The code of some hosts, by column: of each piece its host, its node and its bounds, which count from the host.

    A negative node is none. `firsts` says which piece is the first of each host.
    """

    hosts: _Numbers
    nodes: _Numbers
    lows: _Numbers
    highs: _Numbers
    firsts: _Numbers


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
        *("_ends", "_gofunc", "_loaded", "_node", "_record_bytes", "_starts", "_table", "_table_words", "_tree"),
        *("_words", "_zeros"),
    )

    def __init__(
        self, data: memoryview, structure: ElfStructure, table: GoTable, gofunc: int, tree: InlineTree
    ) -> None:
        self._loaded = structure.loaded
        self._table = table
        self._gofunc = gofunc
        self._tree = tree
        is_1_18 = table.magic == GO_1_18
        self._record_bytes = _RECORD_BYTES_1_18 if is_1_18 else _RECORD_BYTES
        self._node = _NODE_1_18 if is_1_18 else _NODE
        order = "<" if structure.byte_order == "little" else ">"
        self._words = _words_at(data, order)
        self._table_words = _words_at(table.content, order)
        entries, ends, _ = zip(*table.functions, strict=True)
        self._starts, self._ends = np.array(entries) + table.text_start, np.array(ends) + table.text_start
        # tables of pcs lie between those of names and the records
        tables = np.frombuffer(table.content[: min(table.records)], np.uint8)[table.pcs_at :]
        self._zeros = np.flatnonzero(tables == 0) + table.pcs_at

    def add_functions(self) -> None:
        """Add the copies in all functions, with their code."""
        name_at, call_at, step = self._node
        for hosts, pieces in self._batches():
            trees, counts = self._trees(hosts, pieces)
            nodes, lows, highs = pieces.nodes.tolist(), pieces.lows.tolist(), pieces.highs.tolist()
            bounds = pairwise([*pieces.firsts.tolist(), len(nodes)])
            for start, at, count, (first, behind) in zip(
                hosts.starts.tolist(), trees.tolist(), counts.tolist(), bounds, strict=True
            ):
                words = self._words[at : at + _WORD * step * count : _WORD].tolist()
                code = zip(lows[first:behind], highs[first:behind], nodes[first:behind], strict=True)
                ranges = [piece for piece in code if piece[2] >= 0]
                self._add_function(_InlinedInto(start, words[name_at::step], words[call_at::step], ranges, {}))

    def names_by_host(self) -> tuple[list[str], list[int]]:
        """The names of all inlined functions, once for each function that they are in, with their lowest address.

        In order of name, then address. One without code of its own is where it is called.
        """
        found = [self._lowest(hosts, pieces) for hosts, pieces in self._batches()]
        if not found:
            return [], []
        columns = zip(*found, strict=True)
        offsets, addresses = (np.concatenate(column) for column in columns)
        distinct, which = np.unique(offsets, return_inverse=True)
        texts = list(map(self._table.names.__getitem__, distinct.tolist()))
        ordered = sorted(set(texts))
        number_of = dict(zip(ordered, range(len(ordered)), strict=True))
        numbers = np.array([number_of[text] for text in texts], np.int64)[which]
        order = np.lexsort((addresses, numbers))
        if ordered and not ordered[0]:  # what has no name is left out
            order = order[np.count_nonzero(numbers == 0) :]
        return list(map(ordered.__getitem__, numbers[order].tolist())), addresses[order].tolist()

    def _batches(self) -> Iterator[tuple[_Hosts, _Pieces]]:
        """Every function that others were put into, with its code, some at a time."""
        found = self._hosts()
        for at in range(0, len(found.starts), _BATCH):
            hosts = _Hosts._make(column[at : at + _BATCH] for column in found)
            yield hosts, self._pieces(hosts)

    def _hosts(self) -> _Hosts:
        table, words = self._table, self._table_words
        records = np.array(table.records, np.int64)
        if np.any(records & 3):
            raise _MalformedTreeError
        tails = records + self._record_bytes
        kept = np.flatnonzero(np.frombuffer(table.content, np.uint8)[tails - 1] > _FUNCDATA_INLINE_TREE)
        pcdata = words[records[kept] + _WORD * _PCDATA_COUNT].astype(np.int64)
        kept, pcdata = kept[has := pcdata > _PCDATA_INLINE_INDEX], pcdata[has]
        pcs = words[tails[kept] + _WORD * _PCDATA_INLINE_INDEX].astype(np.int64)
        kept, pcdata, pcs = kept[has := pcs > 0], pcdata[has], pcs[has]
        trees = words[tails[kept] + _WORD * (pcdata + _FUNCDATA_INLINE_TREE)].astype(np.int64)
        kept, pcs, trees = kept[has := trees != _NO_FUNCDATA], pcs[has], trees[has]
        starts = self._starts[kept]
        return _Hosts(starts, self._ends[kept] - starts, pcs + table.pcs_at, trees + self._gofunc)

    def _pieces(self, hosts: _Hosts) -> _Pieces:
        """The code of functions, whose tables are read at once.

        A table has pairs of numbers: by how much the number of the node changes, which is -1 before, and how many bytes
        have it. The first zero behind its first byte ends it, because no later number is zero.
        """
        ends = self._zeros[np.searchsorted(self._zeros, hosts.tables + 1)]
        content = self._table.content
        tables = [content[at:end] for at, end in zip(hosts.tables.tolist(), ends.tolist(), strict=True)]
        written = np.frombuffer(b"".join(tables), np.uint8)
        table_ends = np.cumsum(ends - hosts.tables)
        lasts = np.flatnonzero(written < _CONTINUED)  # of each number, its last byte
        numbers = _numbers(written, lasts)
        behind = np.searchsorted(lasts, table_ends)  # of each table, the number behind it
        if np.any(written[table_ends - 1] >= _CONTINUED) or np.any(behind & 1):
            raise _MalformedTreeError
        counts = np.diff(behind >> 1, prepend=0)
        firsts = (behind >> 1) - counts
        changes, steps = numbers[::2], numbers[1::2] * self._table.pc_unit
        nodes = np.cumsum((changes >> 1) ^ -(changes & 1))  # the lowest bit is the sign
        highs = np.cumsum(steps)
        of_host = np.repeat(np.arange(len(counts)), counts)
        nodes -= np.append(0, nodes)[firsts][of_host] + 1
        highs -= np.append(0, highs)[firsts][of_host]
        if np.any(highs[(behind >> 1) - 1] > hosts.sizes):
            raise _MalformedTreeError
        return _Pieces(of_host, nodes, highs - steps, highs, firsts)

    def _trees(self, hosts: _Hosts, pieces: _Pieces) -> tuple[_Numbers, _Numbers]:
        """Where in the file the trees of functions are, and how many nodes of each are used."""
        counts = np.maximum(np.maximum.reduceat(pieces.nodes, pieces.firsts) + 1, 0)
        if np.sum(counts) > MAX_COPIES:
            raise _MalformedTreeError
        ends = hosts.trees + _WORD * self._node[2] * counts
        places = np.full(len(counts), -1)
        for part in reversed(self._loaded):  # the first that has a tree is the last that counts
            here = (hosts.trees >= part.address) & (ends <= part.address + part.size)
            places[here] = hosts.trees[here] + (part.offset - part.address)
        if np.any(places < 0):
            raise _MalformedTreeError
        return places, counts

    def _lowest(self, hosts: _Hosts, pieces: _Pieces) -> tuple[_Numbers, _Numbers]:
        """Where the names of what is in these hosts are, once for each host; and the lowest address of each."""
        trees, counts = self._trees(hosts, pieces)
        name_at, call_at, step = self._node
        bases = np.cumsum(counts) - counts
        of_node = np.repeat(np.arange(len(counts)), counts)
        nodes = trees[of_node] + _WORD * step * (np.arange(len(of_node)) - bases[of_node])
        lowest = np.full(len(of_node), -1)
        has_code = np.flatnonzero(pieces.nodes >= 0)[::-1]  # backwards, so that the lowest comes last, and stays
        owners = pieces.hosts[has_code]
        lowest[bases[owners] + pieces.nodes[has_code]] = pieces.lows[has_code]
        without_code = np.flatnonzero(lowest < 0)
        lowest[without_code] = self._words[nodes[without_code] + _WORD * call_at]
        addresses = hosts.starts[of_node] + lowest
        names = self._words[nodes + _WORD * name_at].astype(np.int64)
        keys = of_node << 32 | names
        order = np.lexsort((addresses, keys))
        is_first = np.diff(keys[order], prepend=-1) != 0
        order = order[is_first]
        return names[order], addresses[order]

    def _add_function(self, into: _InlinedInto) -> None:
        begun: set[int] = set()
        for low, high, node in into.ranges:
            copy, depth = self._copy(node, into)
            self._tree.pieces.append((into.start + low, into.start + high, depth, copy))
            if copy not in begun:
                begun.add(copy)
                self._tree.addresses[copy] = into.start + low

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


def _words_at(content: bytes | memoryview, order: str) -> NDArray[np.uint32]:
    """The word at each byte of `content`."""
    return np.ndarray((max(len(content) - _WORD + 1, 0),), np.dtype(f"{order}u4"), content, strides=(1,))


def _numbers(written: NDArray[np.uint8], lasts: _Numbers) -> _Numbers:
    """The numbers whose last bytes are at `lasts`."""
    firsts = np.append(0, lasts[:-1] + 1)
    lengths = lasts - firsts
    if np.any(lengths >= _MAX_NUMBER_BYTES):
        raise _MalformedTreeError
    numbers: _Numbers = (written[firsts] & (_CONTINUED - 1)).astype(np.int64)
    for more in range(1, _MAX_NUMBER_BYTES):
        longer = np.flatnonzero(lengths >= more)
        numbers[longer] |= (written[firsts[longer] + more] & (_CONTINUED - 1)).astype(np.int64) << 7 * more
    return numbers

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
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise, repeat
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Final, NamedTuple

from google.protobuf.descriptor_pb2 import SourceCodeInfo

from agents.symbols.index import MAX_INLINE_DEPTH
from agents.symbols.index_format import NO_COPY
from app.symbols.elf import ElfStructure, FileRange
from app.symbols.gopclntab import GO_1_18, GoTable
from app.symbols.inlining import InlineTree

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
# Of trees of up to so many nodes, names are unpacked by a format that is kept; few have more.
_USUAL_NODES: Final = 64

_NO_NAME: Final = -1

_FIRST_PC: Final = itemgetter(0)

# Numbers of seven bits a byte, as protobuf has them; the high bit says that more bytes follow.
_CONTINUED: Final = bytes(range(0x80, 0x100))
_TOO_LONG: Final = re.compile(rb"[\x80-\xff]{4}")  # no function has 2^28 bytes or nodes
# Of a message whose first field is a list of such numbers: the tag of it.
_NUMBERS_TAG: Final = b"\x0a"
# Functions whose tables are read at once: enough for the costs of a call, few enough for a processor's cache.
_BATCH: Final = 256


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
        for batch in reader.batches():
            for host in batch:
                reader.add_function(host)
    except (LookupError, StructError, _MalformedTreeError):
        return False
    return True


def _numbers(content: bytes) -> list[int]:
    """The numbers in `content`, read by protobuf: in Python, they take longer than all the rest of a tree."""
    if _TOO_LONG.search(content):
        raise _MalformedTreeError
    size = bytearray()
    rest = len(content)
    while rest >= 0x80:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    message = SourceCodeInfo.Location.FromString(b"".join((_NUMBERS_TAG, size, bytes((rest,)), content)))
    return message.path[:]


class _MalformedTreeError(Exception):
    """A tree or its table contradicts itself."""


class _SignedNumbers(dict[int, int]):
    """Signed numbers by what is written for them; a program has a few hundred different ones."""

    def __missing__(self, written: int) -> int:
        number = self[written] = -(written >> 1) - 1 if written & 1 else written >> 1  # the lowest bit is the sign
        return number


_Host = tuple[int, int, list[int], list[int]]
"""A function that others were put into: an origin, where its tree is, and its pieces of code.

Of each piece the number of the node that it belongs to, where a negative one is none; and how far from the origin each
piece begins, and the last one ends. A tuple, for a program has 100,000 of them.
"""


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
        *("_change_of", "_data", "_gofunc", "_loaded", "_names_of", "_node", "_order", "_part", "_record_bytes"),
        *("_swaps", "_table", "_tree", "_words"),
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
        self._part = FileRange(0, 0)  # the part that had the tree before
        is_1_18 = table.magic == GO_1_18
        self._record_bytes = _RECORD_BYTES_1_18 if is_1_18 else _RECORD_BYTES
        self._node = _NODE_1_18 if is_1_18 else _NODE
        self._names_of: dict[int, Struct] = {}
        self._order = "<" if structure.byte_order == "little" else ">"
        self._swaps = structure.byte_order != sys.byteorder
        self._words = self._in_words(table.content[: len(table.content) & ~3])

    def batches(self) -> Iterator[list[_Host]]:
        """Every function that others were put into, some at a time."""
        places = list(self._places())
        for at in range(0, len(places), _BATCH):
            yield self._decoded(places[at : at + _BATCH])

    def _places(self) -> Iterator[tuple[int, int, int, int]]:
        """Start and size of such a function, and where its table of pcs and its tree are."""
        table = self._table
        content, words = table.content, self._words
        record_bytes = self._record_bytes
        if any(record & 3 for record in table.records):
            raise _MalformedTreeError
        for record, (entry, end, _) in zip(table.records, table.functions, strict=True):
            tail = record + record_bytes
            at = tail >> 2
            if (
                content[tail - 1] > _FUNCDATA_INLINE_TREE
                and (pcdata := words[(record >> 2) + _PCDATA_COUNT]) > _PCDATA_INLINE_INDEX
                and (pcs := words[at + _PCDATA_INLINE_INDEX])
                and (funcdata := words[at + pcdata + _FUNCDATA_INLINE_TREE]) != _NO_FUNCDATA
            ):
                yield table.text_start + entry, end - entry, table.pcs_at + pcs, self._gofunc + funcdata

    def add_function(self, host: _Host) -> None:
        """Add the copies in one function."""
        origin, tree_at, nodes_by_piece, bounds = host
        start = origin + bounds[0]
        pcs = [bound - bounds[0] for bound in bounds]
        ranges = [piece for piece in zip(pcs[:-1], pcs[1:], nodes_by_piece, strict=True) if piece[2] >= 0]
        name_at, call_at, step = self._node
        nodes = self._nodes(tree_at, max(nodes_by_piece) + 1)
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
        found: defaultdict[int, list[int]] = defaultdict(list)
        for origin, tree_at, nodes, pcs in chain.from_iterable(self.batches()):
            count = max(nodes) + 1
            names = [*self._node_names(tree_at, count), _NO_NAME]  # the last is that of node -1
            # backwards, so that the lowest comes last, and stays
            lowest = dict(zip(map(names.__getitem__, nodes[::-1]), pcs[-2::-1], strict=True))
            lowest.pop(_NO_NAME, None)
            if len(lowest) < count and (without_code := set(range(count)).difference(nodes)):
                _, call_at, step = self._node
                calls = self._nodes(tree_at, count)[call_at::step]
                for node in without_code:
                    called_at = pcs[0] + calls[node]
                    lowest[names[node]] = min(lowest.get(names[node], called_at), called_at)
            for name, pc in lowest.items():
                found[name].append(origin + pc)
        return _in_order((self._table.names[offset], addresses) for offset, addresses in found.items())

    def _decoded(self, places: Sequence[tuple[int, int, int, int]]) -> list[_Host]:
        """Functions whose tables are read at once.

        A table has pairs of numbers: by how much the number of the node changes, which is -1 before, and how many bytes
        have it. The first zero behind its first byte ends it, because no later number is zero.
        """
        content = self._table.content
        ends = [content.find(b"\0", at + 1) for _, _, at, _ in places]
        tables = [content[at:end] for (_, _, at, _), end in zip(places, ends, strict=True)]
        numbers = [len(table.translate(None, _CONTINUED)) for table in tables]
        if min(ends) < 0 or any(content[end - 1] >= 0x80 for end in ends) or any(number & 1 for number in numbers):
            raise _MalformedTreeError
        written = _numbers(b"".join(tables))
        bounds = list(accumulate(numbers, initial=0))
        changes = list(map(self._change_of, written[::2]))
        steps = written[1::2]
        if (unit := self._table.pc_unit) != 1:
            steps = [step * unit for step in steps]
        pieces = [bound >> 1 for bound in bounds]
        last = 0
        for first, behind in pairwise(pieces):  # each begins with -1 again
            changes[first] -= last + 1
            last = sum(changes[first:behind]) + last
        nodes, pcs = list(accumulate(changes)), list(accumulate(steps, initial=0))
        hosts = []
        for (start, size, _, tree_at), (first, behind) in zip(places, pairwise(pieces), strict=True):
            if pcs[behind] - pcs[first] > size:
                raise _MalformedTreeError
            hosts.append((start - pcs[first], tree_at, nodes[first:behind], pcs[first : behind + 1]))
        return hosts

    def _node_names(self, at: int, count: int) -> Sequence[int]:
        """Where the names of a tree's nodes are."""
        name_at, _, words = self._node
        if count > _USUAL_NODES:
            return self._nodes(at, count)[name_at::words]
        names_of = self._names_of.get(count)
        if names_of is None:
            node = f"{4 * name_at}xI{4 * (words - name_at - 1)}x"
            names_of = self._names_of[count] = Struct(self._order + node * count)
        return names_of.unpack_from(self._data, self._offset(at, names_of.size))

    def _nodes(self, at: int, count: int) -> "array[int]":
        """The words of a tree's nodes, one node after the other."""
        size = 4 * self._node[2] * count
        offset = self._offset(at, size)
        return self._in_words(self._data[offset : offset + size])

    def _in_words(self, content: bytes | memoryview) -> "array[int]":
        words = array("I")
        words.frombytes(content)
        if self._swaps:
            words.byteswap()
        return words

    def _offset(self, at: int, size: int) -> int:
        """Where in the file `size` bytes at an address are."""
        part = self._part
        if not part.address <= at <= at + size <= part.address + part.size:
            part = next((one for one in self._loaded if one.address <= at <= at + size <= one.address + one.size), part)
            if not part.address <= at <= at + size <= part.address + part.size:
                raise _MalformedTreeError
            self._part = part
        return part.offset + at - part.address

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

"""Functions that were put into others, collected from Go's inline trees and from DWARF, as an index keeps them.

A tree has a copy for each place where a function was inlined, and a copy inside a copy. What no tree describes is
counted too: an index says of how many of the file's functions it knows what was put into them.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from typing import Final

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import NO_COPY, InlinedCopies, LineRows, SymbolOrigin
from app.symbols.code_ranges import FunctionSymbol
from app.symbols.elf import ElfStructure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError

# libLLVM has some 3 million; the limit on memory stands behind this one.
MAX_COPIES: Final = 8_000_000

# The C runtime's start code, helpers of compilers and marks of Go's linker: linked into each program without debug
# information, and nothing of the program is ever inlined into them.
_RUNTIME: Final = frozenset(
    {
        *("_start", "_init", "_fini", "__libc_csu_init", "__libc_csu_fini", "_dl_relocate_static_pie", "frame_dummy"),
        *("deregister_tm_clones", "register_tm_clones", "__do_global_dtors_aux", "__stack_chk_fail_local", "atexit"),
        *("go:buildid", "go:textfipsstart", "go:textfipsend"),
        *("at_quick_exit", "call_weak_fn", "__x86.get_pc_thunk.ax", "__x86.get_pc_thunk.bx", "__x86.get_pc_thunk.cx"),
        *("__x86.get_pc_thunk.dx", "__x86.get_pc_thunk.si", "__x86.get_pc_thunk.di", "__x86.get_pc_thunk.bp"),
    }
)


@dataclass(slots=True)
class InlineTree:
    """Copies by column, as InlinedCopies has them, and the code of each.

    `pieces` are (start, end, depth, copy). `called_at` is the address whose line is that of the call, where the line
    itself is not known. `described` are the (start, end) of functions of which the tree knows all copies, `partly`
    of those in which it may lack some. `host_names` and `host_addresses` are copies of which only that is known: in
    order of name, then address.
    """

    names: list[str] = field(default_factory=list)
    addresses: list[int] = field(default_factory=list)
    outer: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    called_at: dict[int, int] = field(default_factory=dict)
    pieces: list[tuple[int, int, int, int]] = field(default_factory=list)
    described: list[tuple[int, int]] = field(default_factory=list)
    partly: list[tuple[int, int]] = field(default_factory=list)
    host_names: list[str] = field(default_factory=list)
    host_addresses: list[int] = field(default_factory=list)

    def add(self, name: str, address: int, outer: int, file: int = 0, line: int = 0) -> int:
        """One more copy; returns its number. Raises FileRefusedError beyond the limit."""
        if len(self.names) >= MAX_COPIES:
            raise FileRefusedError(FileRefusalReason.OVER_LIMIT, "inlined functions")
        self.names.append(name)
        self.addresses.append(address)
        self.outer.append(outer)
        self.files.append(file)
        self.lines.append(line)
        return len(self.names) - 1

    def add_in_hosts(self, names: list[str], addresses: list[int]) -> None:
        """Copies of which nothing is known but a function that they are in, in order, if there are none yet.

        Raises FileRefusedError beyond the limit.
        """
        if len(names) > MAX_COPIES:
            raise FileRefusedError(FileRefusalReason.OVER_LIMIT, "inlined functions")
        self.host_names, self.host_addresses = names, addresses


def known_go_tree(index: SymbolIndex, *, with_copies: bool) -> InlineTree:
    """What an index knows by Go's inline tree: its copies, and that they are all; empty if it has no such tree."""
    tree = InlineTree()
    if SymbolOrigin.GO_INLINE_TREE not in index.origins:
        return tree
    if index.head.described == index.head.functions:
        ends = {one.address: one.address + one.size for one in index.functions()}  # Go's table has no gaps
        tree.described += pairwise([*ends, *list(ends.values())[-1:]])
    if with_copies:
        for number, address in zip(index.parts.copy_names, index.parts.copy_addresses, strict=True):
            tree.host_names.append(index.name(number))
            tree.host_addresses.append(address)
    return tree


def inlined_copies(
    tree: InlineTree,
    lines: LineRows,
    symbols: Sequence[FunctionSymbol],
    unwound: Sequence[int],
    structure: ElfStructure,
) -> InlinedCopies:
    """What an index keeps of `tree`: with lines all of it, otherwise which function has copies in which other.

    Functions of the file are its symbols that have a size, and what the unwind table has besides them.
    """
    to_describe = _functions(symbols, unwound, structure)
    described = _covered(to_describe, tree.described)
    if not len(lines.addresses):
        return _without_lines(tree, described, len(to_describe))
    files, numbers = list(tree.files), list(tree.lines)
    for copy, address in tree.called_at.items():
        at = bisect_right(lines.addresses, address) - 1
        if at >= 0:
            files[copy], numbers[copy] = lines.files[at], lines.numbers[at]
    starts, innermost = _flattened(tree.pieces)
    return InlinedCopies(
        tree.names, tree.addresses, tree.outer, files, numbers, starts, innermost, described, len(to_describe)
    )


def _without_lines(tree: InlineTree, described: int, functions: int) -> InlinedCopies:
    """Each function once for each function that it is in: the copy with the lowest address."""
    if not tree.names:
        return _known(tree.host_names, tree.host_addresses, described, functions)
    starts = sorted(start for start, _ in (*tree.described, *tree.partly))
    names, addresses = [*tree.names, *tree.host_names], [*tree.addresses, *tree.host_addresses]
    copies = sorted(zip(addresses, names, strict=True), reverse=True)
    hosts = [bisect_right(starts, address) for address, _ in copies]
    # the lowest address comes last, and stays
    first = {(name, host): address for (address, name), host in zip(copies, hosts, strict=True) if name}
    return _known([name for name, _ in first], list(first.values()), described, functions)


def _known(names: Sequence[str], addresses: Sequence[int], described: int, functions: int) -> InlinedCopies:
    """Copies of which only that is known."""
    count = len(names)
    return InlinedCopies(
        names,
        addresses,
        outer=[NO_COPY] * count,
        files=[0] * count,
        lines=[0] * count,
        described=described,
        functions=functions,
    )


def _functions(symbols: Sequence[FunctionSymbol], unwound: Sequence[int], structure: ElfStructure) -> list[int]:
    """First addresses of the functions that may have copies of others in them."""
    runtime = {symbol[0] for symbol in symbols if symbol[2] in _RUNTIME} | {structure.entry}
    starts = dict.fromkeys([symbol[0] for symbol in symbols if symbol[1] and symbol[2] not in _RUNTIME])
    starts |= dict.fromkeys(unwound)
    ordered = sorted(starts)
    # where a signal returns, one byte before a function, is none: see SymbolIndex
    followers = chain(islice(ordered, 1, None), (-1,))
    functions = [at for at, behind in zip(ordered, followers, strict=True) if behind != at + 1 and at not in runtime]
    for section in structure.linkage:
        del functions[bisect_left(functions, section.start) : bisect_left(functions, section.end)]
    return functions


def _covered(starts: Sequence[int], ranges: Iterable[tuple[int, int]]) -> int:
    """How many of `starts` lie in `ranges`, which may overlap."""
    count = at = 0
    ordered = sorted(ranges)
    if not ordered:
        return 0
    begins, ends = zip(*ordered, strict=True)
    if begins[1:] == ends[:-1]:  # as those of a Go program, whose table has no gaps
        return bisect_left(starts, ends[-1]) - bisect_left(starts, begins[0])
    for first, behind in ordered:
        while at < len(starts) and starts[at] < first:
            at += 1
        while at < len(starts) and starts[at] < behind:
            at += 1
            count += 1
    return count


def _flattened(pieces: list[tuple[int, int, int, int]]) -> tuple[list[int], list[int]]:
    """Where the innermost copy changes, and what it is from there on."""
    ordered = sorted(piece for piece in pieces if piece[0] < piece[1])
    bounds = sorted({piece[0] for piece in ordered} | {piece[1] for piece in ordered})
    starts: list[int] = []
    innermost: list[int] = []
    active: list[tuple[int, int, int]] = []  # the deepest first
    upcoming, last = 0, NO_COPY
    for start, _ in pairwise([*bounds, bounds[-1] + 1] if bounds else []):
        while upcoming < len(ordered) and ordered[upcoming][0] <= start:
            _, end, depth, copy = ordered[upcoming]
            heapq.heappush(active, (-depth, copy, end))
            upcoming += 1
        while active and active[0][2] <= start:
            heapq.heappop(active)
        current = active[0][1] if active else NO_COPY
        if current != last:
            starts.append(start)
            innermost.append(current)
            last = current
    return starts, innermost

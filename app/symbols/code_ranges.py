"""Function symbols become disjoint ranges: at every address of a binary at most one name, chosen by one total order.

Linkers leave aliases (one libc address may have six names), overlaps and sizeless labels. The order, best first:

1. exported (in .dynsym), so that a stripped and an unstripped build of one library agree;
2. a size of its own, before a label without one;
3. the symbol that starts closest before the address;
4. fewer leading `_`, so that `system`, which is weak, stands before `__libc_system`; global, then weak, then local;
   shorter; byte order.

A symbol covers `[address, address + size)`. Without a size, an entry of .symtab covers what no sized symbol does, up to
the next symbol in its section, or to where the unwind table has another function, whose symbol may be stripped. An
entry that is only in .dynsym covers its first byte, for that table has few entries and the next one may be far. What
nothing covers stays a gap: no name is better than a wrong one.

The result does not depend on the order of the input.
"""

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from operator import is_, itemgetter, sub
from typing import Final, NamedTuple

from agents.symbols.index_format import CodeRanges, NameTrait

_EXPORTED: Final = NameTrait.EXPORTED.value
_GLOBAL: Final = NameTrait.GLOBAL.value
_LOCAL: Final = NameTrait.LOCAL.value
_IN_SYMTAB: Final = NameTrait.IN_SYMTAB.value


class FunctionSymbol(NamedTuple):
    """One function symbol. A tuple, for a library has 70,000 of them.

    `traits` are those of NameTrait, as a number. `limit` is the end of its section, which lies behind `address` and not
    before `address + size`.
    """

    address: int
    size: int
    name: str
    traits: int
    limit: int


_Piece = tuple[int, int, FunctionSymbol]
"""Start, end, and the symbol that owns it."""

_START, _END, _OWNER = itemgetter(0), itemgetter(1), itemgetter(2)
_ADDRESS, _NAME = itemgetter(0), itemgetter(2)


def disjoint_ranges(symbols: Iterable[FunctionSymbol], unwound: Sequence[int] = ()) -> CodeRanges:
    """The code ranges of `symbols`, in order of address; `unwound` is where functions begin by the unwind table."""
    # by address only: everything that depends on the order among equals ranks them itself
    ordered = sorted(symbols, key=_ADDRESS)
    pieces, labels = _sized_pieces(ordered)
    if labels and (sizeless := _sizeless_pieces(labels, ordered, pieces, unwound)):
        pieces += sizeless
        pieces.sort(key=_START)
    return _joined(pieces)


def _rank(symbol: FunctionSymbol) -> tuple[bool, bool, int, int, int, int, str, int]:
    """The total order; the least is the best."""
    address, size, name, traits, _ = symbol
    return (
        not traits & _EXPORTED,
        not size,
        -address,
        len(name) - len(name.lstrip("_")),
        0 if traits & _GLOBAL else 2 if traits & _LOCAL else 1,
        len(name),
        name,
        -size,
    )


def _end(symbol: FunctionSymbol) -> int:
    """Where a symbol stops covering; a sizeless exported one covers its first byte."""
    return symbol[0] + (symbol[1] or 1)


def _sized_pieces(ordered: list[FunctionSymbol]) -> tuple[list[_Piece], list[FunctionSymbol]]:
    """Pieces of everything but sizeless labels, in order of address; and all symbols without a size."""
    pieces: list[_Piece] = []
    labels: list[FunctionSymbol] = []
    overlapping: list[FunctionSymbol] = []
    behind = -1
    for symbol in ordered:
        address, size = symbol[0], symbol[1]
        if not size:
            labels.append(symbol)
            if not symbol[3] & _EXPORTED:
                continue
            size = 1
        end = address + size
        if address >= behind:
            if overlapping:
                pieces[-1:] = _settled([pieces[-1][2], *overlapping])
                overlapping = []
            pieces.append((address, end, symbol))
            behind = end
        else:
            overlapping.append(symbol)
            behind = max(behind, end)
    if overlapping:
        pieces[-1:] = _settled([pieces[-1][2], *overlapping])
    return pieces, labels


def _settled(cluster: list[FunctionSymbol]) -> list[_Piece]:
    """Pieces of symbols that overlap, each address given to the best that covers it."""
    start, size = cluster[0][0], cluster[0][1]
    if all(symbol[0] == start and symbol[1] == size for symbol in cluster):  # aliases
        exported = [symbol for symbol in cluster if symbol[3] & _EXPORTED]
        best = exported[0] if len(exported) == 1 else min(exported or cluster, key=_rank)
        return [(start, _end(best), best)]
    pieces: list[_Piece] = []
    bounds = sorted({s.address for s in cluster} | {_end(s) for s in cluster})
    upcoming = deque(cluster)
    active: list[tuple[tuple[object, ...], FunctionSymbol]] = []
    for start, end in pairwise(bounds):
        while upcoming and upcoming[0].address <= start:
            symbol = upcoming.popleft()
            heapq.heappush(active, (_rank(symbol), symbol))
        while active and _end(active[0][1]) <= start:
            heapq.heappop(active)
        if active:
            pieces.append((start, end, active[0][1]))
    return pieces


def _sizeless_pieces(
    labels: list[FunctionSymbol], ordered: list[FunctionSymbol], sized: list[_Piece], unwound: Sequence[int]
) -> list[_Piece]:
    """Pieces of .symtab's sizeless labels: what no sized symbol covers, up to the next function."""
    best: dict[int, FunctionSymbol] = {}
    for symbol in labels:
        if symbol.traits & _IN_SYMTAB:
            known = best.get(symbol.address)
            if known is None or _rank(symbol) < _rank(known):
                best[symbol.address] = symbol
    pieces: list[_Piece] = []
    for address, symbol in best.items():
        start = address
        before = bisect_right(sized, address, key=_START) - 1
        if before >= 0 and start < sized[before][1]:
            if sized[before][2].size:  # a label inside a function
                continue
            start = sized[before][1]  # its own first byte, or that of an exported alias
        following = bisect_right(ordered, address, key=_ADDRESS)
        end = min(ordered[following].address if following < len(ordered) else symbol.limit, symbol.limit)
        unwound_at = bisect_right(unwound, address)
        if unwound_at < len(unwound):
            end = min(end, unwound[unwound_at])
        if start < end:
            pieces.append((start, end, symbol))
    return pieces


def _joined(pieces: list[_Piece]) -> CodeRanges:
    """Pieces as ranges, neighbours of one symbol made one. By column, for a library has as many as symbols."""
    owners = list(map(_OWNER, pieces))
    if any(map(is_, owners, islice(owners, 1, None))):
        pieces = _merged(pieces)
        owners = list(map(_OWNER, pieces))
    starts = list(map(_START, pieces))
    lengths = list(map(sub, map(_END, pieces), starts))
    deltas = list(map(sub, starts, map(_ADDRESS, owners)))
    return CodeRanges(starts, lengths, deltas, list(map(_NAME, owners)))


def _merged(pieces: Iterable[_Piece]) -> list[_Piece]:
    """The pieces, but those of one symbol that touch are one."""
    merged: list[_Piece] = []
    for start, end, symbol in pieces:
        if merged and merged[-1][2] is symbol and merged[-1][1] == start:
            merged[-1] = merged[-1][0], end, symbol
        else:
            merged.append((start, end, symbol))
    return merged

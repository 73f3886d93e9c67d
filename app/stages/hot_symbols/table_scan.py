"""Looking through the table of hot symbols from another thread, while its stage works.

What is seen is what the table held when the look began; a partition that is given up meanwhile ends it, so that nothing
holds the partition's files. Only the best rows are unpacked as a whole.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from agents.hot_symbols.counting.tally import NEVER_LAST
from agents.hot_symbols.identity import parse_symbol_id
from agents.hot_symbols.table.published import published_record
from agents.hot_symbols.table.query import Query
from agents.hot_symbols.table.symbol_row import SymbolRow, hits_and_last_seen_ns
from app.streaming.table import StrictTable

_OWN_KEYS: Final = (b"\x00", b"\x01")
"""Begins of keys under which a table and its step keep something beside the rows."""

_LOOK_EVERY_ROWS: Final = 512


class PartitionGoneError(Exception):
    """The partition is not ours, or not any more; the argument is its number."""


def rows_while(
    owned: Callable[[], Collection[int]], table: StrictTable, partition: int
) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a partition by key, as long as it is among the `owned`. Raises PartitionGoneError."""
    if partition not in owned():
        raise PartitionGoneError(partition)
    try:
        for number, (key, row) in enumerate(table.rows(partition)):
            if not number % _LOOK_EVERY_ROWS and partition not in owned():
                raise PartitionGoneError(partition)
            if not key.startswith(_OWN_KEYS):
                yield key, row
    except KeyError:
        raise PartitionGoneError(partition) from None


def top_rows(rows: Iterator[tuple[bytes, bytes]], query: Query, count: int) -> list[dict[str, Any]]:
    """The first `count` rows that are meant, by hits and then by symbol id, as they are published."""
    kept: list[tuple[int, str, dict[str, Any]]] = []
    least = -1  # rows with fewer hits are not among the first
    needles, since_ns = query.needles(), NEVER_LAST if query.since_ns is None else query.since_ns
    for key, state in rows:
        hits, last_seen_ns = hits_and_last_seen_ns(state)
        if hits < least or last_seen_ns < since_ns:
            continue
        if needles and not all(needle in state or needle in key for needle in needles):
            continue
        if not query.may_mean_key(key):
            continue
        text = key.decode()
        identity = parse_symbol_id(text)
        if not query.may_mean(identity.symbol or "", text, identity.build_id):
            continue
        record = published_record(text, SymbolRow.from_bytes(state).tally())
        if not query.matches(record):
            continue
        kept.append((-hits, text, record))
        if len(kept) >= 2 * count:
            kept = sorted(kept, key=_rank)[:count]
            least = -kept[-1][0]
    return [record for _, _, record in sorted(kept, key=_rank)[:count]]


def _rank(entry: tuple[int, str, dict[str, Any]]) -> tuple[int, str]:
    return entry[:2]

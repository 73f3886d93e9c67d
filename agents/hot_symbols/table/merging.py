"""Second step: the partial counts of all raw partitions become one row a symbol, published when it changes.

A row keeps the newest partial of every raw partition as it came, and is published as their sum. A partial replaces the
one before it from the same partition only if it includes more, so nothing changes when partials come twice, late or in
any order. Every row that a partial touched is written and published again, even when the partial was known: nobody
knows whether that happened already.

The caller reads rows and decides when to flush, and so how often a symbol is published.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agents.contract import OutRecord, SourceRecord
from agents.hot_symbols.counting.partial import offsets
from agents.hot_symbols.counting.symbol_counter import parse_partial_key, partial_key
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table import symbol_row

Publish = Callable[[str, Tally], bytes]
"""Value of the published record of a symbol id and its tally."""

Read = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Rows of the table's partition by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFlush:
    """What one flush of a partition writes there: `rows` of the table, `published` for the public topic."""

    partition: int
    rows: Mapping[bytes, bytes]
    published: Sequence[OutRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeExpiry:
    """What the removal of rows of one partition writes there: to the table, the public and the internal topic."""

    rows: Mapping[bytes, bytes | None]
    published: Sequence[OutRecord]
    partials: Sequence[OutRecord]


@dataclass(slots=True)
class _WaitingPartials:
    """Partials of one partition that wait, by symbol and raw partition.

    For each, the newest record since it was last expired, and before that the newest of each earlier life.
    """

    timestamp_ms: int = 0
    partials: dict[bytes, dict[int, list[bytes]]] = field(default_factory=dict)


class SymbolMerger:
    """Merges the partials of all partitions that a worker owns."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: dict[int, _WaitingPartials] = {}

    @property
    def waiting_symbols(self) -> int:
        """Symbols in memory, over all partitions: what a flush costs grows with them."""
        return sum(len(waiting.partials) for waiting in self._waiting.values())

    def absorb(self, partition: int, records: Sequence[SourceRecord]) -> None:
        """Take partials into memory: records of one partition of the internal topic, in offset order.

        A tombstone is of a row that expired.
        """
        waiting = self._waiting.setdefault(partition, _WaitingPartials())
        for record in records:
            if record.value is None:
                continue
            assert record.key is not None
            key, source = parse_partial_key(record.key)
            lives = waiting.partials.setdefault(key, {}).setdefault(source, [])
            if lives and offsets(record.value)[0] <= offsets(lives[-1])[1]:
                lives[-1] = _newer(lives[-1], record.value)
            else:
                lives.append(record.value)
        waiting.timestamp_ms = max(waiting.timestamp_ms, records[-1].timestamp)

    def unwritten(self) -> list[int]:
        """Partitions with something to flush."""
        return sorted(self._waiting)

    def flush(self, partition: int, read: Read) -> MergeFlush:
        """Turn what waits into rows and published records."""
        waiting = self._waiting.pop(partition)
        keys = list(waiting.partials)
        rows: dict[bytes, bytes] = {}
        published: list[OutRecord] = []
        for key, state in zip(keys, read(keys), strict=True):
            row = symbol_row.SymbolRow() if state is None else symbol_row.SymbolRow.from_bytes(state)
            for source, lives in sorted(waiting.partials[key].items()):
                for partial in lives:
                    row.take(source, partial)
            rows[key] = row.to_bytes()
            published.append(OutRecord(key, self._publish(key.decode(), row.tally()), waiting.timestamp_ms))
        return MergeFlush(partition=partition, rows=rows, published=published)

    def expire(self, partition: int, keys: Sequence[bytes], before_ns: int, read: Read, *, now_ms: int) -> MergeExpiry:
        """Remove those of the rows that were last hit before `before_ns`; those with a partial that waits stay."""
        waiting = self._waiting.get(partition, _WaitingPartials()).partials
        rows: dict[bytes, bytes | None] = {}
        published: list[OutRecord] = []
        partials: list[OutRecord] = []
        for key, state in zip(keys, read(keys), strict=True):
            row = None if state is None or key in waiting else symbol_row.SymbolRow.from_bytes(state)
            if row is not None and row.last_seen_ns < before_ns:
                rows[key] = None
                published.append(OutRecord(key, None, now_ms))
                partials += [OutRecord(partial_key(key, source), None, now_ms) for source in row.sources]
        return MergeExpiry(rows=rows, published=published, partials=partials)


def _newer(known: bytes, partial: bytes) -> bytes:
    return partial if offsets(partial)[1] > offsets(known)[1] else known

"""First step: the calls of one partition become partial counts by symbol.

Calls wait in memory, grouped by what they say and where, until a flush turns them into cumulative partials: rows of the
table `partial-counts` and records of the internal topic, which must both be acknowledged before the calls are.

What makes the counts exact:

- A call with a raw offset not above the highest seen came again, and is left out.
- A flush can die halfway, and then some partials include calls that will be read again and others do not. Every partial
  knows the last raw offset that it includes, so each takes from a repeated call exactly what it lacks.
- Every symbol that a flush touches is sent, even when its partial had it all: nobody knows whether it was sent before.
- With the rows of a flush goes the raw offset up to which an *earlier* flush was acknowledged as a whole. Calls up to
  there are in all partials, so they count no more even for a symbol whose partial has been expired. Another worker may
  have written a later one, so the table is read at every flush.

What is remembered of a partition between flushes stays true while another worker owns it: every call that it has seen
was acknowledged as part of a flush.

The caller reads rows and decides when to flush. It may give up a partition only when no call of it waits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from agents.contract import OutRecord, SourceRecord
from agents.hot_symbols.counting.partial import Partial, offsets
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.partitioning import symbol_partition
from agents.hot_symbols.reading.evidence import EventEvidence, EventPlace, Touch
from agents.hot_symbols.reading.gathering import NONE_YET, CountRefusal, Gather, Gathered
from agents.hot_symbols.reading.sightings import Sightings, Summary, added_up, summarized

MS_PER_HOUR: Final = 3_600_000

INCLUDED_KEY: Final = b"\x01included"
"""Row of the raw offset that everything includes; symbol ids have no control characters."""

Read = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Rows of the table's partition by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountFlush:
    """What one flush of a partition writes.

    `rows` are for the table's partition, `partials` for the internal topic by partition number.
    """

    partition: int
    rows: Mapping[bytes, bytes]
    highest: int
    """Highest raw offset included."""
    partials: Mapping[int, Sequence[OutRecord]]
    refusals: Sequence[CountRefusal]
    counted: int
    repeated: int


@dataclass(slots=True)
class _Memory:
    """What a worker remembers of one partition of the calls topic."""

    gathered: Gathered
    position: int
    included: int = NONE_YET
    """Raw offset up to which every partial is acknowledged, as far as the table was read."""
    timestamp_ms: int = 0
    latest_ms: int = 0
    """Latest receipt of a call."""


class SymbolCounter:
    """Counts the calls of all partitions that a worker owns. `partitions` is the partition count of all topics."""

    def __init__(self, gather: Gather, partitions: int) -> None:
        self._gather = gather
        self._partitions = partitions
        self._memories: dict[int, _Memory] = {}
        self._unwritten: set[int] = set()

    def absorb(self, partition: int, records: Sequence[SourceRecord]) -> None:
        """Take calls into memory: records of one partition, in offset order, following those taken before.

        Raises RuntimeError when the partition was positioned back while calls were waiting: they would count twice.
        """
        memory = self._memory(partition, records[0].offset)
        self._gather(records, memory.gathered)
        memory.position = records[-1].offset + 1
        memory.timestamp_ms = records[-1].timestamp
        memory.latest_ms = max(memory.latest_ms, records[0].timestamp, records[-1].timestamp)
        self._unwritten.add(partition)

    @property
    def waiting_kinds(self) -> int:
        """Kinds of event in memory, over all partitions: what a flush costs grows with them."""
        return sum(self._memories[partition].gathered.size() for partition in self._unwritten)

    @property
    def waiting_touches(self) -> int:
        """Different things that are said about symbols in memory, over all partitions: a flush reads a row for each."""
        return sum(self._memories[partition].gathered.touches() for partition in self._unwritten)

    def may_have_touches(self, number: int) -> bool:
        """Whether `waiting_touches` may be as high as `number`, which is cheaper to say."""
        return sum(self._memories[partition].gathered.most_touches for partition in self._unwritten) >= number

    def unwritten(self) -> list[int]:
        """Partitions with something to flush."""
        return sorted(self._unwritten)

    def flush(self, partition: int, read: Read) -> CountFlush:
        """Turn what waits into rows and partials. Call `acknowledged` when all of it is."""
        memory = self._memories[partition]
        gathered = memory.gathered
        waiting = _WaitingCalls(gathered.kinds, memory.latest_ms // MS_PER_HOUR)
        keys = [symbol.encode() for symbol in waiting.touched]
        *found, included = read([*keys, INCLUDED_KEY])
        memory.included = max(_to_int(included), memory.included)
        rows = {INCLUDED_KEY: _to_bytes(memory.included)}
        partials: dict[int, list[OutRecord]] = {}
        for symbol, key, row in zip(waiting.touched, keys, found, strict=True):
            state = _counted(symbol, row, waiting, memory.included, partition)
            if state is not None:
                rows[key] = state
                record = OutRecord(partial_key(key, partition), state, memory.timestamp_ms)
                partials.setdefault(symbol_partition(symbol, self._partitions), []).append(record)
        flush = CountFlush(
            partition=partition,
            rows=rows,
            highest=gathered.highest,
            partials=partials,
            refusals=tuple(gathered.refusals),
            counted=gathered.counted,
            repeated=gathered.repeated,
        )
        gathered.forget()
        return flush

    def expire(self, partition: int, old: Mapping[bytes, int], read: Read) -> dict[bytes, bytes | None]:
        """Rows that remove partials, by key with the raw offset that each includes; empty where none may go.

        A partial goes only as it was looked at, and only where no call of it can be counted again: all it includes lies
        within what an earlier flush had acknowledged, which is written in front of the removals.
        """
        memory = self._memories.get(partition)
        *found, included_row = read([*old, INCLUDED_KEY])
        included = max(_to_int(included_row), NONE_YET if memory is None else memory.included)
        gone: dict[bytes, bytes | None] = {
            key: None
            for (key, last), row in zip(old.items(), found, strict=True)
            if row is not None and offsets(row)[1] == last <= included
        }
        return {INCLUDED_KEY: _to_bytes(included), **gone} if gone else {}

    def acknowledged(self, flush: CountFlush) -> None:
        """Note that everything a flush wrote is acknowledged. At most one flush of a partition is under way."""
        memory = self._memories[flush.partition]
        memory.included = max(flush.highest, memory.included)
        self._unwritten.discard(flush.partition)

    def _memory(self, partition: int, offset: int) -> _Memory:
        memory = self._memories.get(partition)
        if memory is None:
            memory = self._memories[partition] = _Memory(Gathered(partition), position=offset)
        elif offset < memory.position and partition in self._unwritten:
            raise RuntimeError(f"partition {partition} went back to {offset} with unwritten calls in memory")
        return memory


def partial_key(symbol_key: bytes, partition: int) -> bytes:
    """Key of a partial on the internal topic: the symbol's key, a zero byte, the raw partition's number."""
    return b"%b\x00%d" % (symbol_key, partition)


def parse_partial_key(key: bytes) -> tuple[bytes, int]:
    """Symbol key and raw partition of a partial's key. Raises ValueError."""
    symbol_key, separator, partition = key.rpartition(b"\x00")
    if not separator:
        raise ValueError("not the key of a partial count")
    return symbol_key, int(partition)


class _WaitingCalls:
    """What waits of one partition, by symbol."""

    def __init__(self, groups: Mapping[tuple[EventEvidence, EventPlace], Sightings], latest_hour: int) -> None:
        self._groups = groups
        self._latest_hour = latest_hour
        self._first_offset = min((sightings.offsets[0] for sightings in groups.values()), default=0)
        self.touched = _by_symbol(((evidence, sightings) for (evidence, _), sightings in groups.items()), latest_hour)
        """What all events that wait say about a symbol."""

    def touched_above(self, symbol: str, offset: int) -> list[tuple[Touch, Summary]]:
        """What the events with a raw offset above `offset` say about a symbol."""
        if offset < self._first_offset:
            return self.touched[symbol]
        cut = ((evidence, sightings.above(offset)) for evidence, sightings in self._groups_by_symbol[symbol])
        left = ((evidence, sightings) for evidence, sightings in cut if sightings.offsets)
        return _by_symbol(left, self._latest_hour, only=symbol).get(symbol, [])

    @cached_property
    def _groups_by_symbol(self) -> dict[str, list[tuple[EventEvidence, Sightings]]]:
        """Made once a flush: after a crash, all symbols of a flush may have partials that include some of the calls."""
        found: dict[str, list[tuple[EventEvidence, Sightings]]] = {}
        for (evidence, _), sightings in self._groups.items():
            for symbol in {touch.symbol_id for touch in evidence.touches}:
                found.setdefault(symbol, []).append((evidence, sightings))
        return found


def _by_symbol(
    groups: Iterable[tuple[EventEvidence, Sightings]], latest_hour: int, only: str | None = None
) -> dict[str, list[tuple[Touch, Summary]]]:
    """By symbol: each different thing that is said about it, and the summary of all events that say so.

    Of one symbol `only`, if it is given.

    Stacks have most of their touches in common, so what is said is looked at once, and not once a stack.
    """
    by_evidence: dict[EventEvidence, list[Summary]] = {}
    for evidence, sightings in groups:
        by_evidence.setdefault(evidence, []).append(summarized(sightings, latest_hour))
    touches: dict[int, Touch] = {}  # equal touches are one object as a rule
    by_touch: defaultdict[int, list[Summary]] = defaultdict(list)
    for evidence, summaries in by_evidence.items():
        summary = added_up(summaries)
        said = evidence.touches
        if only is not None:
            said = tuple(touch for touch in said if touch.symbol_id == only)
        identities = list(map(id, said))
        touches.update(zip(identities, said, strict=True))
        for identity in identities:
            by_touch[identity].append(summary)
    by_symbol: dict[str, list[tuple[Touch, Summary]]] = {}
    for touch, summaries in zip(touches.values(), by_touch.values(), strict=True):
        by_symbol.setdefault(touch.symbol_id, []).append((touch, added_up(summaries)))
    return by_symbol


def _counted(symbol: str, row: bytes | None, waiting: _WaitingCalls, included: int, partition: int) -> bytes | None:
    """The symbol's partial with the waiting calls; None where there is no partial and nothing to count."""
    partial = None if row is None else Partial.from_bytes(row)
    new = waiting.touched_above(symbol, included if partial is None else max(included, partial.last_offset))
    if not new:
        return row
    if partial is None:
        partial = Partial(Tally(new[0][0].module))
    partial.tally.observe(new, partition)
    partial.first_offset = min(partial.first_offset, *[summary.first_offset for _, summary in new])
    partial.last_offset = max(partial.last_offset, *[summary.last_offset for _, summary in new])
    return partial.to_bytes()


def _to_bytes(offset: int) -> bytes:
    return offset.to_bytes(8, "big", signed=True)


def _to_int(row: bytes | None) -> int:
    return NONE_YET if row is None else int.from_bytes(row, "big", signed=True)

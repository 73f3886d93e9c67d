"""Step one of the hot-symbol stage at its edges; tests/property/test_hot_exactness.py has the rest."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from agents.contract import OutRecord
from agents.hot_symbols.counting.partial import Partial
from agents.hot_symbols.counting.symbol_counter import (
    INCLUDED_KEY,
    CountFlush,
    SymbolCounter,
    parse_partial_key,
    partial_key,
)
from agents.hot_symbols.partitioning import symbol_partition
from agents.hot_symbols.reading.evidence import EventEvidence, EventPlace, Touch
from agents.hot_symbols.reading.gathering import Unreadable, one_by_one
from agents.hot_symbols.reading.meaning import Observation
from agents.hot_symbols.reading.sightings import HOUR_NS
from tests.support.hot_world import START_NS, Event, Stored, World

EVIDENCE = EventEvidence((Touch("/a!f", "/a", 1, 0, (), ()),))
NOWHERE = EventPlace(None, None, None)
PARTITIONS = 4


def observe(value: bytes | None) -> Observation | Unreadable:
    """A call is its raw offset; anything else is malformed."""
    if value is None:
        return Unreadable.EMPTY
    try:
        return int(value), 1_000, f"{int(value):032x}", EVIDENCE, NOWHERE
    except ValueError:
        return Unreadable.MALFORMED


def calls(first: int, *values: bytes | None) -> list[Stored]:
    """Records of one batch, from offset `first` on."""
    return [Stored("calls", 3, first + index, 50 + index, None, value) for index, value in enumerate(values)]


def read_nothing(keys: Sequence[bytes]) -> list[bytes | None]:
    """An empty table."""
    return [None] * len(keys)


def flushed(*batches: list[Stored]) -> CountFlush:
    """What a new counter writes after these batches."""
    counter = SymbolCounter(one_by_one(observe), PARTITIONS)
    for batch in batches:
        counter.absorb(3, batch)
    return counter.flush(3, read_nothing)


def test_flush_accounts_for_every_record() -> None:
    """Counted, repeated and refused records add up, and a refused one is named by its position."""
    flush = flushed(calls(10, b"5", b"6", None), calls(13, b"6", b"junk", b"-1", b"8"))

    assert (flush.counted, flush.repeated, flush.highest) == (3, 1, 8)
    assert [(refused.offset, refused.timestamp_ms, refused.reason) for refused in flush.refusals] == [
        (12, 52, Unreadable.EMPTY),
        (14, 51, Unreadable.MALFORMED),
        (15, 52, Unreadable.NO_RAW_POSITION),
    ]


def test_flush_sends_a_partial_to_the_partition_of_its_symbol() -> None:
    """Row and partial are the same bytes; the partial goes where the symbol's row is, with the calls' timestamp."""
    flush = flushed(calls(10, b"5", b"6"))

    state = flush.rows[b"/a!f"]
    record = OutRecord(partial_key(b"/a!f", 3), state, 51)
    assert flush.partials == {symbol_partition("/a!f", PARTITIONS): [record]}
    partial = Partial.from_bytes(state)
    assert (partial.first_offset, partial.last_offset, partial.tally.hits) == (5, 6, 2)


def test_the_included_offset_is_that_of_the_flush_before() -> None:
    """A flush can only say of earlier ones that all they wrote is acknowledged."""
    counter = SymbolCounter(one_by_one(observe), PARTITIONS)
    counter.absorb(3, calls(10, b"5"))
    first = counter.flush(3, read_nothing)
    counter.acknowledged(first)
    assert counter.unwritten() == []
    counter.absorb(3, calls(11, b"9"))
    second = counter.flush(3, read_nothing)

    assert int.from_bytes(first.rows[INCLUDED_KEY], "big", signed=True) == -1
    assert int.from_bytes(second.rows[INCLUDED_KEY], "big", signed=True) == 5


def test_calls_up_to_the_included_offset_count_no_more_even_without_a_partial() -> None:
    """A symbol whose partial was expired is not counted again from calls that are read again."""
    table = {INCLUDED_KEY: (7).to_bytes(8, "big")}
    counter = SymbolCounter(one_by_one(observe), PARTITIONS)
    counter.absorb(3, calls(10, b"5", b"7"))

    assert counter.flush(3, lambda keys: [table.get(key) for key in keys]).partials == {}


def test_absorb_raises_when_a_partition_went_back_with_calls_in_memory() -> None:
    """The transport ends the process in this case; if it ever does not, counting twice must not follow."""
    counter = SymbolCounter(one_by_one(observe), PARTITIONS)
    counter.absorb(3, calls(10, b"5", b"6"))

    with pytest.raises(RuntimeError):
        counter.absorb(3, calls(10, b"5"))


def test_waiting_kinds_tell_how_much_a_flush_will_cost() -> None:
    """Kinds of event are counted while they wait, over all partitions."""
    counter = SymbolCounter(one_by_one(observe), PARTITIONS)
    counter.absorb(3, calls(10, b"5", b"6"))
    counter.absorb(0, calls(10, b"5"))
    assert counter.waiting_kinds == 2

    counter.flush(3, read_nothing)

    assert counter.waiting_kinds == 1


def test_waiting_touches_tell_how_many_symbols_few_kinds_may_touch() -> None:
    """One event with a thousand symbols of its own is one kind, and a thousand rows of a flush."""
    many = EventEvidence(tuple(Touch(f"/a!f{number}", "/a", 1, 0, (), ()) for number in range(1_000)))

    def observe_many(value: bytes | None) -> Observation | Unreadable:
        offset = int(value or b"0")
        return offset, 1_000, f"{offset:032x}", EVIDENCE if offset % 2 else many, NOWHERE

    counter = SymbolCounter(one_by_one(observe_many), PARTITIONS)
    counter.absorb(3, calls(10, b"4", b"5", b"6"))
    counter.absorb(0, calls(10, b"5"))
    assert (counter.waiting_kinds, counter.waiting_touches) == (3, 1_002)
    assert counter.may_have_touches(1_002)
    assert not counter.may_have_touches(1_003)

    flush = counter.flush(3, read_nothing)
    counter.acknowledged(flush)

    assert (len(flush.rows), counter.waiting_touches) == (1_002, 1)


class _CountedTouches(tuple[Touch, ...]):
    """Touches that know how often somebody went through them."""

    __slots__ = ()
    passes = 0

    def __iter__(self) -> Iterator[Touch]:
        type(self).passes += 1
        return super().__iter__()


def test_flush_that_comes_again_looks_for_a_symbol_only_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash every partial may have the calls already; that must not cost symbols times events."""
    monkeypatch.setattr(_CountedTouches, "passes", 0)
    events = symbols = 40
    said = [
        EventEvidence(_CountedTouches(Touch(f"/a!f{event}_{one}", "/a", 1, 0, (), ()) for one in range(symbols)))
        for event in range(events)
    ]

    def observe_own(value: bytes | None) -> Observation | Unreadable:
        offset = int(value or b"0")
        return offset, 1_000, f"{offset:032x}", said[offset], NOWHERE

    def flush(rows: Mapping[bytes, bytes]) -> CountFlush:
        counter = SymbolCounter(one_by_one(observe_own), PARTITIONS)
        counter.absorb(3, calls(10, *(b"%d" % event for event in range(events))))
        return counter.flush(3, lambda keys: [rows.get(key) for key in keys])

    first = flush({})
    before = _CountedTouches.passes
    again = flush(first.rows)

    assert again.rows == first.rows
    assert _CountedTouches.passes - before <= before + events + events * symbols


@pytest.mark.parametrize("key", [b"/a!f", b"", b"kernel!\xc3\xa9"])
def test_partial_key_parses_back(key: bytes) -> None:
    """Key and partition are read back from the internal topic's key."""
    assert parse_partial_key(partial_key(key, 12)) == (key, 12)


@pytest.mark.parametrize("key", [b"", b"/a!f", b"/a!f\x00x"])
def test_parse_partial_key_refuses_other_keys(key: bytes) -> None:
    """A record that step one did not write is an error."""
    with pytest.raises(ValueError, match=r"partial count|invalid literal"):
        parse_partial_key(key)


ALWAYS_NS = 1 << 62


def hits_of(world: World) -> dict[str, int]:
    """Published hits by symbol, when all is done."""
    world.finish()
    return {symbol: row["hits"] for symbol, row in world.rows().items()}


def merged(world: World) -> None:
    """Step two has no lag."""
    for partition, owner in enumerate(world.owner):
        world.consume_partials(owner, partition, 100)
        world.flush_partials(owner)


def test_a_partial_with_calls_that_may_come_again_does_not_expire() -> None:
    """A flush was written and not committed; the next one includes less of the calls that come again."""
    world = World()
    world.happen(0, [Event(START_NS, 3, 0)] * 4)
    world.consume(0, 0, 4)
    world.flush(0, commit=False)
    world.kill(0)
    world.consume(0, 0, 2)
    world.flush(0)
    merged(world)
    world.expire_partials(0, ALWAYS_NS)
    world.happen(0, [Event(START_NS, 3, 0)])

    assert hits_of(world) == {"exec:/b": 5}


def test_a_worker_that_gets_a_partition_back_learns_what_another_one_removed() -> None:
    """What it remembers itself is older than the removal."""
    world = World()
    world.happen(0, [Event(START_NS, 3, 0)] * 2)
    world.consume(0, 0, 2)
    world.rebalance([1, 1])
    world.happen(0, [Event(START_NS, 3, 0)] * 2)
    world.consume(1, 0, 2)
    before = world.calls_committed[0]
    world.flush(1)
    merged(world)
    world.expire_partials(1, ALWAYS_NS)
    world.calls_committed[0] = before  # an operator sets the group back, so the calls come again
    assert not world.workers[1].counts[0].rows.keys() - {INCLUDED_KEY}
    world.fail_over(1)
    world.happen(0, [Event(START_NS, 3, 0)])

    assert hits_of(world) == {"exec:/b": 5}


def test_a_flush_touches_only_what_was_called_since_the_last_one() -> None:
    """The table may hold a million symbols: rows of those that are quiet are neither read nor written."""
    other = EventEvidence((Touch("/a!g", "/a", 1, 0, (), ()),))
    counter = SymbolCounter(
        one_by_one(lambda value: (int(value or 0), 1_000, "", other if value == b"7" else EVIDENCE, NOWHERE)),
        PARTITIONS,
    )
    counter.absorb(3, calls(10, b"5"))
    counter.acknowledged(counter.flush(3, read_nothing))
    counter.absorb(3, calls(11, b"7"))
    asked: list[bytes] = []

    def read(keys: Sequence[bytes]) -> list[bytes | None]:
        asked.extend(keys)
        return read_nothing(keys)

    flush = counter.flush(3, read)

    assert asked == [b"/a!g", INCLUDED_KEY]
    assert flush.rows.keys() == {b"/a!g", INCLUDED_KEY}


def test_a_clock_that_runs_ahead_does_not_push_the_other_hours_out() -> None:
    """A week ahead of its receipt, an event counts in the hour of receipt; its own time stays what it says."""
    hour_ns, now = HOUR_NS, 472_222
    times = {b"1": now * hour_ns, b"2": (now + 7 * 24) * hour_ns, b"3": now * hour_ns + 5}
    counter = SymbolCounter(
        one_by_one(lambda value: (int(value or 0), times[value or b""], f"id{int(value or 0)}", EVIDENCE, NOWHERE)),
        PARTITIONS,
    )
    received_ms = now * hour_ns // 1_000_000
    counter.absorb(3, [Stored("calls", 3, index, received_ms, None, value) for index, value in enumerate(times)])
    [state] = [row for key, row in counter.flush(3, read_nothing).rows.items() if key != INCLUDED_KEY]
    tally = Partial.from_bytes(state).tally

    assert tally.hours == {now: 3}
    assert tally.last_ns == (now + 7 * 24) * hour_ns
    assert [one.event_id for one in tally.citations.listed()] == ["id1", "id2"]

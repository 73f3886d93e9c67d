"""Step two of the hot-symbol stage at its edges; tests/property/test_hot_exactness.py has the rest."""

from collections.abc import Sequence

from agents.contract import OutRecord
from agents.hot_symbols.counting.partial import Partial, last_seen_ns
from agents.hot_symbols.counting.symbol_counter import partial_key
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.merging import SymbolMerger
from agents.hot_symbols.table.symbol_row import SymbolRow
from tests.support.hot_world import Stored

KEY = b"/a!f"


def partial(first: int, last: int, hits: int, last_ns: int = 0) -> bytes:
    """A packed partial."""
    tally = Tally("/a")
    tally.hits, tally.last_ns = hits, last_ns
    return Partial(tally, first, last).to_bytes()


def stored(offset: int, source: int, value: bytes | None) -> Stored:
    """A record of the internal topic."""
    return Stored("partials", 2, offset, 100 + offset, partial_key(KEY, source), value)


def read_nothing(keys: Sequence[bytes]) -> list[bytes | None]:
    """An empty table."""
    return [None] * len(keys)


def merger() -> SymbolMerger:
    """Publishes hits only."""
    return SymbolMerger(lambda symbol, tally: f"{symbol}={tally.hits}".encode())


def test_partials_of_all_raw_partitions_add_up_to_one_published_row() -> None:
    """However many partials wait for a symbol, it is written and published once, with the newest timestamp."""
    step = merger()
    step.absorb(2, [stored(0, 0, partial(0, 3, 3)), stored(1, 1, partial(5, 9, 4)), stored(2, 0, partial(0, 7, 6))])

    flush = step.flush(2, read_nothing)

    assert [(record.key, record.value, record.timestamp_ms) for record in flush.published] == [(KEY, b"/a!f=10", 102)]
    assert SymbolRow.from_bytes(flush.rows[KEY]).tally().hits == 10
    assert step.unwritten() == []


def test_two_lives_of_a_partial_that_wait_together_both_count() -> None:
    """A partial that expired and its successor can come in one batch, when this step was down for long."""
    step = merger()
    step.absorb(2, [stored(0, 0, partial(0, 3, 3)), stored(1, 0, None), stored(2, 0, partial(8, 9, 2))])

    assert [record.value for record in step.flush(2, read_nothing).published] == [b"/a!f=5"]


def test_a_known_partial_is_published_again() -> None:
    """Nobody knows whether it was published before, so a repeated partial costs a record and changes nothing."""
    step = merger()
    step.absorb(2, [stored(0, 0, partial(0, 3, 3))])
    row = step.flush(2, read_nothing).rows[KEY]
    step.absorb(2, [stored(0, 0, partial(0, 3, 3))])

    flush = step.flush(2, lambda keys: [row for _ in keys])

    assert flush.rows == {KEY: row}
    assert [record.value for record in flush.published] == [b"/a!f=3"]


def test_a_late_partial_changes_nothing_in_memory() -> None:
    """The newest of those that wait counts, in whatever order they came."""
    step = merger()
    step.absorb(2, [stored(0, 0, partial(0, 7, 6)), stored(1, 0, partial(0, 3, 3))])
    assert step.waiting_symbols == 1

    assert [record.value for record in step.flush(2, read_nothing).published] == [b"/a!f=6"]


def test_a_row_that_expires_leaves_tombstones_everywhere() -> None:
    """In the table, for readers of the topic, and for the partials that it came from."""
    step = merger()
    step.absorb(2, [stored(0, 0, partial(0, 3, 3, last_ns=5)), stored(1, 3, partial(0, 3, 1, last_ns=7))])
    row = step.flush(2, read_nothing).rows[KEY]

    assert step.expire(2, [KEY], 7, lambda keys: [row for _ in keys], now_ms=9).rows == {}
    gone = step.expire(2, [KEY, b"/a!unknown"], 8, lambda keys: [row if key == KEY else None for key in keys], now_ms=9)
    assert gone.rows == {KEY: None}
    assert gone.published == [OutRecord(KEY, None, 9)]
    assert gone.partials == [OutRecord(partial_key(KEY, source), None, 9) for source in (0, 3)]


def test_a_row_whose_partial_waits_does_not_expire() -> None:
    """It was hit again."""
    step = merger()
    step.absorb(2, [stored(0, 0, partial(0, 3, 3, last_ns=5))])
    row = step.flush(2, read_nothing).rows[KEY]
    step.absorb(2, [stored(1, 0, partial(0, 4, 4, last_ns=9))])

    assert step.expire(2, [KEY], 8, lambda keys: [row for _ in keys], now_ms=9).rows == {}


def test_last_times_are_read_without_unpacking() -> None:
    """The time in a packed partial is the tally's."""
    assert last_seen_ns(partial(0, 3, 3, last_ns=77)) == 77


def test_a_quiet_symbol_costs_nothing() -> None:
    """A flush reads, writes and publishes what was touched since the last one, and no other row of the table."""
    step, asked, other = merger(), list[bytes](), b"/a!g"
    quiet = {KEY: SymbolRow({0: partial(0, 3, 3)}).to_bytes()}
    step.absorb(2, [Stored("partials", 2, 7, 107, partial_key(other, 0), partial(4, 5, 2))])

    def read(keys: Sequence[bytes]) -> list[bytes | None]:
        asked.extend(keys)
        return [quiet.get(key) for key in keys]

    flush = step.flush(2, read)

    assert (asked, list(flush.rows), [record.key for record in flush.published]) == ([other], [other], [other])
    assert step.unwritten() == []

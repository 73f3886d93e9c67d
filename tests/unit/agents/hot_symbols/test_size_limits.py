"""Rows, partials and answers fit into a record of Kafka, whatever the texts of the events are."""

import random

import pytest

from agents.hot_symbols.counting.partial import Partial
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.identity import MAX_ID_BYTES, SymbolIdentity, parse_symbol_id, symbol_id, within_limits
from agents.hot_symbols.reading.evidence import Touch, binary_touch, frame_of, place_of, target_touch
from agents.hot_symbols.reading.sightings import Summary, seen_at
from agents.hot_symbols.reading.times import moment
from agents.hot_symbols.table.published import published_value
from agents.hot_symbols.table.symbol_row import SymbolRow
from agents.hot_symbols.watch.watch import MAX_CHARS, MAX_VULNERABILITIES_CHARS, Watch
from agents.hot_symbols.watch.watch_board import WatchBoard
from schemas import avro_wire, records
from tests.support.named_files import code_of

KAFKA_BYTES = 1 << 20
ALPHABETS = {"letters": "abcdefghijklmnopqrstuvwxyz", "escaped": "%!\x01\u202e", "wide": "\U0001f600\U0001f601"}


def _text(kind: str, chars: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(ALPHABETS[kind], k=chars))


def _largest(kind: str, partition: int) -> tuple[str, Partial]:
    """A partial of events with as much text as privacy lets through."""
    symbol = frame_of((_text(kind, 20_000, 0), _text(kind, 20_000, 1), None, None, "Exact", False))
    tally = Tally(symbol.module)
    for number in range(40):
        seed = 100 * partition + number
        fields = ("image_id", "image_name", "namespace", "workload_kind", "workload")
        place = place_of({name: _text(kind, 10_000, seed + index) for index, name in enumerate(fields)})
        caller = binary_touch(_text(kind, 20_000, seed)).symbol_id
        touch = Touch(symbol.symbol_id, symbol.module, 1, 0, ((0, 1),), ((caller, 1),))
        seen, at = seen_at(moment(number, "\x7f" * 128), number), (number,) * 4
        when = Summary(1, *at, number, {number: 1}, {place: number}, seen, seen, {number: seen})
        tally.observe([(touch, when)], partition)
    return symbol.symbol_id, Partial(tally, 0, 40)


@pytest.mark.parametrize("kind", ALPHABETS)
@pytest.mark.parametrize("partitions", [1, 12, 64])
def test_partials_rows_and_published_records_fit(kind: str, partitions: int) -> None:
    """Hits are exact, and what is not listed is counted."""
    row = SymbolRow()
    made = [_largest(kind, partition) for partition in range(min(partitions, 3))]
    name = made[0][0]
    for partition in range(partitions):
        _, partial = made[partition % len(made)]
        assert len(name.encode()) + len(partial.to_bytes()) < KAFKA_BYTES
        row.take(partition, partial.to_bytes())
    state = row.to_bytes()
    assert len(name.encode()) + len(state) < KAFKA_BYTES
    tally = SymbolRow.from_bytes(state).tally()
    assert tally.hits == 40 * partitions
    value = published_value(7, name, tally)
    assert len(name.encode()) + len(value) < KAFKA_BYTES
    shown = records.decode(records.HOT_SYMBOL, value)
    assert shown["hits"] == 40 * partitions
    assert shown["images_more"] + len(shown["images"]) > 30
    assert shown["callers_shortfall"] > 0


@pytest.mark.parametrize("kind", ALPHABETS)
def test_an_identity_that_is_cut_is_one_and_differs_from_all_others(kind: str) -> None:
    """It parses back; within its limits it stays what it was."""
    longest = SymbolIdentity(None, _text("letters", 4_096, 1), _text("letters", 4_096, 2))
    assert within_limits(longest) is longest
    cut = [
        symbol_id(within_limits(SymbolIdentity(None, module, symbol)))
        for module, symbol in (
            (_text(kind, 20_000, 1), "f"),
            (_text(kind, 20_001, 1), "f"),
            (_text(kind, 9_000, 1), _text(kind, 9_000, 2)),
            (_text(kind, 9_000, 1), _text(kind, 9_001, 2)),
        )
    ]
    assert len(set(cut)) == len(cut)
    for text in cut:
        assert len(text.encode()) <= MAX_ID_BYTES
        assert symbol_id(parse_symbol_id(text)) == text
    target = {"module": _text(kind, 20_000, 1), "symbol": "f", "build_id": None}
    assert target_touch(target).symbol_id == cut[0]


@pytest.mark.parametrize("kind", ALPHABETS)
def test_an_answer_fits(kind: str) -> None:
    """A watch with the longest texts, hit under many files with long names."""
    room = MAX_VULNERABILITIES_CHARS // MAX_CHARS["vulnerability"]
    reasons = [_text(kind, MAX_CHARS["vulnerability"], 1_000 + number) for number in range(room)]
    watch = Watch(symbol=_text(kind, MAX_CHARS["symbol"], 1), vulnerabilities=tuple(reasons))
    rows: dict[bytes, dict[str, object]] = {}
    board = WatchBoard(lambda value: rows.get(value[avro_wire.SCHEMA_HEADER_BYTES :]), lambda _value: None, None)
    board.set_watches({watch.watch_id: watch}, {watch.watch_id: code_of(watch, None)})
    for number in range(40):
        module = _text(kind, MAX_CHARS["module"], 10 + number)
        key = symbol_id(SymbolIdentity(None, module, watch.symbol)).encode()
        rows[b"%d" % number] = {
            "module": module,
            "hits": 1,
            "confirmed_hits": 1,
            "probe_hits": 0,
            "first_seen_ns": 1,
            "last_seen_ns": 1,
            "images": [
                {"image_id": _text(kind, 512, number), "image_name": _text(kind, 512, -number), "last_seen_ns": 1}
            ],
            "images_more": 0,
            "events": [{"event_id": "\x7f" * 128, "partition": 1, "offset": number, "time_ns": number}],
            "snapshots": [{"snapshot": _text(kind, 512, number), "last_seen_ns": 1}],
            "snapshots_more": 0,
        }
        board.take(key, avro_wire.schema_header(7) + b"%d" % number)
    answer = board.answer(watch.watch_id, 10)
    assert answer["hits"] == 40
    assert len(answer["symbols"]) + answer["symbols_more"] == 40
    value = records.encode(records.WATCHED_SYMBOL, 7, answer)
    assert len(watch.watch_id.encode()) + len(value) < KAFKA_BYTES

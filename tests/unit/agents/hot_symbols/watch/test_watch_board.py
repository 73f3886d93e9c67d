"""Answers to watches: hit, never hit with nothing missing, and not seen with the reasons."""

from dataclasses import replace

from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.vouching import VouchedInterval
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.published import module_in, published_value
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import MAX_SYMBOLS, is_news
from agents.hot_symbols.watch.watched_code import watched_codes
from schemas.node import NodeId
from tests.support.library_board import BUILD, BY_BUILD, BY_PATH, DAY, FILES, SCHEMA_ID, SECOND, asked, board, value


def test_never_hit_for_fourteen_days_without_a_gap() -> None:
    """The answer that nobody else gives."""
    answer = asked(board(BY_BUILD), BY_BUILD)

    assert (answer["answer"], answer["hits"], answer["gaps"]) == ("NeverHit", 0, [])
    assert (answer["complete_ns"], answer["complete_until_ns"], answer["nodes"]) == (14 * DAY, 15 * DAY, 1)


def test_a_gap_makes_never_to_not_seen() -> None:
    """The gap is named, and its time does not count as complete."""
    answer = asked(board(BY_BUILD, gaps=(GapInterval(5 * DAY, 6 * DAY, "Overflow"),)), BY_BUILD)

    assert (answer["answer"], answer["complete_ns"]) == ("NotSeen", 13 * DAY)
    assert answer["gaps"] == [
        {"node": "n", "cluster": "east", "from_ns": 5 * DAY, "to_ns": 6 * DAY, "cause": "Overflow", "events_lost": None}
    ]


def test_hits_of_all_rows_that_are_the_symbol_add_up() -> None:
    """Build ids of one path, and what the compiler split off."""
    made = board(BY_PATH)
    rows = {f"{BUILD}!inflate": 3, f"{BUILD}!inflate.cold": 1, "ffffffffffffffff!inflate": 5, f"{BUILD}!deflate": 9}
    for name, hits in rows.items():
        made.take(name.encode(), value(name, hits))
    answer = asked(made, BY_PATH)

    assert (answer["answer"], answer["hits"], answer["confirmed_hits"]) == ("Hit", 9, 9)
    assert (answer["first_seen_ns"], answer["last_seen_ns"]) == (2 * DAY, 2 * DAY + 5)
    assert [row["hits"] for row in answer["symbols"]] == [5, 3, 1]


def test_a_row_that_changes_or_goes_changes_the_answer() -> None:
    """The newest record of a row counts, and a tombstone removes it."""
    made = board(BY_BUILD)
    key = f"{BUILD}!inflate".encode()
    assert made.take(key, value(key.decode(), 3)) == [BY_BUILD.watch_id]
    assert asked(made, BY_BUILD)["hits"] == 3
    made.take(key, value(key.decode(), 4))
    assert asked(made, BY_BUILD)["hits"] == 4
    made.take(key, None)
    assert asked(made, BY_BUILD)["answer"] == "NeverHit"


def test_a_new_watch_needs_the_rows_again_and_a_removed_one_does_not() -> None:
    """Rows that nobody asked for were not kept."""
    made = board(BY_BUILD)
    assert made.needs_rows
    made.needs_rows = False
    assert made.set_watches({BY_BUILD.watch_id: BY_BUILD}, watched_codes([BY_BUILD], FILES, {})) == []
    assert not made.needs_rows
    assert made.set_watches({BY_PATH.watch_id: BY_PATH}, watched_codes([BY_PATH], FILES, {})) == [BY_PATH.watch_id]
    assert made.needs_rows
    made.needs_rows = False
    made.set_watches({}, {})
    assert not made.needs_rows
    assert made.take(f"{BUILD}!inflate".encode(), value(f"{BUILD}!inflate", 3)) == []


def test_strange_keys_are_no_rows() -> None:
    """A reader of a shared topic does not end on what others put there."""
    made = board(BY_BUILD)

    assert made.take(b"\xff\xfe", b"") == []
    assert made.take(b"no id", b"") == []
    assert made.take(f"{BUILD}!inflate".encode(), value("kernel!x", 0)) == [BY_BUILD.watch_id]
    assert asked(made, BY_BUILD)["answer"] == "NeverHit"


def test_an_answer_lists_so_many_symbols_and_counts_the_rest() -> None:
    """The record stays small whatever a watch means."""
    watch = Watch(symbol="f", since_ns=DAY)
    made = board(watch)
    for number in range(MAX_SYMBOLS + 3):
        made.take(f"/bin/{number}!f".encode(), value(f"/bin/{number}!f", number + 1, module=f"/bin/{number}"))
    answer = asked(made, watch)

    assert (len(answer["symbols"]), answer["symbols_more"]) == (MAX_SYMBOLS, 3)
    assert answer["hits"] == sum(range(1, MAX_SYMBOLS + 4))


def test_that_time_has_passed_is_no_news() -> None:
    """A hit, a gap and another watch are."""
    before = asked(board(BY_BUILD), BY_BUILD)

    assert is_news(None, before)
    assert not is_news(before, asked(board(BY_BUILD, vouched_until=16 * DAY), BY_BUILD))
    assert is_news(before, asked(board(BY_BUILD, gaps=(GapInterval(5 * DAY, 5 * DAY, "Overflow"),)), BY_BUILD))


def test_the_module_is_read_without_decoding_the_row() -> None:
    """Also of rows with long names; another schema's bytes are not guessed at."""
    tally = Tally("/usr/lib/" + "x" * 300)
    row = published_value(SCHEMA_ID, f"{BUILD}!{'y' * 9000}", tally)

    assert module_in(row, SCHEMA_ID) == tally.module
    assert module_in(row, SCHEMA_ID + 1) is None


def test_a_watch_that_began_before_it_was_added_may_have_lost_rows() -> None:
    """Rows that nobody watched expired; from the addition on they are kept, however often the watch is added again."""
    late = replace(BY_BUILD, added_ns=100 * DAY)
    made = board(late, vouched_until=120 * DAY)
    answer = asked(made, late, 130 * DAY)

    assert (answer["answer"], answer["kept_since_ns"]) == ("NotSeen", 100 * DAY)
    assert answer["gaps"] == [
        {"node": "", "cluster": "", "from_ns": DAY, "to_ns": 10 * DAY, "cause": "Expired", "events_lost": None}
    ]
    again = made.answer(late.watch_id, 130 * DAY, answer | {"kept_since_ns": 50 * DAY})
    assert (again["answer"], again["kept_since_ns"]) == ("NeverHit", 50 * DAY)


def test_rows_that_an_answer_needs_do_not_expire() -> None:
    """The symbol's own, and those that make it doubtful."""
    made = board(BY_BUILD)
    rows = {f"{BUILD}!inflate": True, f"{BUILD}!inflate.cold": True, f"{BUILD}!": True, f"{BUILD}!deflate": False}
    for name in rows:
        made.take(name.encode(), value(name, 3))
    made.answer(BY_BUILD.watch_id, DAY)

    assert {name: made.keeps(name.encode()) for name in rows} == rows
    made.set_watches({}, {})
    assert not any(made.keeps(name.encode()) for name in rows)


def test_an_event_that_a_stage_refused_may_have_been_a_hit() -> None:
    """A dead letter is a gap from two minutes before its event was received; others in the same minute are not news."""
    made = board(BY_BUILD)
    assert made.refuse(5 * DAY // 1_000_000)
    assert not made.refuse(5 * DAY // 1_000_000 + 59_999)
    assert made.refuse(5 * DAY // 1_000_000 + 60_000)
    answer = asked(made, BY_BUILD)

    assert (answer["answer"], answer["complete_ns"]) == ("NotSeen", 14 * DAY - 240 * SECOND)
    window = {"from_ns": 5 * DAY - 120 * SECOND, "to_ns": 5 * DAY + 120 * SECOND}
    assert answer["gaps"] == [{"node": "", "cluster": "", "cause": "Refused", "events_lost": None} | window]


def test_hits_that_two_ingests_may_have_counted_say_so() -> None:
    """Two sessions vouched for one node at once: the count is told as what it is, and silence proves nothing."""
    for rows, said in (([], "NotSeen"), ([value(f"{BUILD}!inflate", 7)], "Hit")):
        made = board(BY_BUILD)
        for row in rows:
            made.take(f"{BUILD}!inflate".encode(), row)
        assert not asked(made, BY_BUILD)["hits_may_be_doubled"]
        vouched = [VouchedInterval(0, 8 * DAY, "a"), VouchedInterval(7 * DAY, 15 * DAY, "b")]
        made.cover({NodeId("east", "n"): NodeCoverage(vouched)})
        answer = asked(made, BY_BUILD)

        assert (answer["answer"], answer["hits_may_be_doubled"]) == (said, True)
        assert answer["gaps"] == [
            {
                "node": "n",
                "cluster": "east",
                "from_ns": 7 * DAY,
                "to_ns": 8 * DAY,
                "cause": "VouchedTwice",
                "events_lost": None,
            }
        ]


def test_that_somebody_vouches_is_news() -> None:
    """A worker that has just begun answers before it has read the coverage, and again as soon as it has."""
    made = board(BY_BUILD)
    made.take(f"{BUILD}!inflate".encode(), value(f"{BUILD}!inflate", 3))
    known = asked(made, BY_BUILD)
    made.cover({})
    unknown = asked(made, BY_BUILD)

    assert (unknown["nodes"], unknown["answer"]) == (0, "Hit")
    assert is_news(unknown, known)
    assert not is_news(known, unknown)


def test_an_answer_tells_of_the_nodes_on_which_its_file_was_seen() -> None:
    """From the sighting on; nothing while nobody looked. It moves without being news."""
    made = board(BY_BUILD)
    nodes = {NodeId("east", name): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")]) for name in ("n", "m")}
    made.cover(nodes)
    before = asked(made, BY_BUILD)
    made.cover(nodes, sightings={BUILD: {NodeId("east", "n"): 12 * DAY}})
    after = asked(made, BY_BUILD)
    names = ("sighted_nodes", "sighted_watched_ms", "sighted_missing_ms")

    assert [before[name] for name in names] == [None, None, None]
    assert [after[name] for name in names] == [1, 3 * 86_400_000, 0]
    assert {name for name in after if after[name] != before[name]} == {*names}
    assert not is_news(before, after)

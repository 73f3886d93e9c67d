"""Answers to watches: hit, never hit with nothing missing, and not seen with the reasons."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.vouching import VouchedInterval
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.identity import SymbolIdentity, symbol_id, within_limits
from agents.hot_symbols.table.published import module_in, published_record, published_value
from agents.hot_symbols.watch.file_places import FilePlaces
from agents.hot_symbols.watch.known_hooks import KnownHooks
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import MAX_SYMBOLS, WatchBoard, is_news
from agents.hot_symbols.watch.watched_code import watched_codes
from agents.probes.hook_windows import HookFinder, HookWindows
from agents.probes.policy_file import MAX_BRIEF_S, CallLimit, Hook, HookSection, TracingPolicy
from agents.probes.probe_table import ProbeTable
from schemas import records
from schemas.node import NodeId
from schemas.probes import AgentAnswer, PolicyState, ProbeWindow, SeenHooks, SeenHookState
from tests.support.named_files import ListedFiles, ListedNames

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
BUILD = "0123456789abcdef"
LIB = "/usr/lib/libz.so.1"
OTHER_BUILD = "ffffffffffffffff"
BY_BUILD = Watch(symbol="inflate", build_id=BUILD, module=LIB, since_ns=DAY, every_call_probed=True)
BY_PATH = Watch(symbol="inflate", module=LIB, since_ns=DAY, every_call_probed=True)
NOT_PROBED = replace(BY_BUILD, every_call_probed=False)
NAMES = ListedNames([["inflate"], ["inflate.cold"], ["deflate"], ["hinted"], ["inflate.part.0"]])
FILES = ListedFiles({BUILD: NAMES, OTHER_BUILD: NAMES}, {LIB: {BUILD, OTHER_BUILD}})
SCHEMA_ID = 7


def value(
    symbol_id: str,
    hits: int,
    *,
    module: str = LIB,
    confirmed: int | None = None,
    seen: int = 2,
    snapshots: tuple[str, ...] = (),
    image: str | None = None,
) -> bytes:
    """A published row."""
    tally = Tally(module)
    if image is not None:
        tally.images.note((image, image), seen * DAY)
    for snapshot in snapshots:
        tally.snapshots.note((snapshot,), seen * DAY)
    tally.hits, tally.first_ns, tally.last_ns = hits, seen * DAY, seen * DAY + 5
    record = published_record(symbol_id, tally) | {"confirmed_hits": hits if confirmed is None else confirmed}
    return records.encode(records.HOT_SYMBOL, SCHEMA_ID, record)


def board(*watches: Watch, vouched_until: int = 15 * DAY, gaps: tuple[GapInterval, ...] = ()) -> WatchBoard:
    """A board with one node, vouched for from the beginning of time."""
    made = WatchBoard(
        lambda found: records.decode(records.HOT_SYMBOL, found), lambda found: module_in(found, SCHEMA_ID), 90 * DAY
    )
    made.set_watches({watch.watch_id: watch for watch in watches}, watched_codes(watches, FILES, {}))
    made.cover({NodeId("east", "n"): NodeCoverage([VouchedInterval(0, vouched_until, "s")], gaps)})
    return made


def asked(made: WatchBoard, watch: Watch, now: int = 20 * DAY) -> dict[str, Any]:
    """The answer, which must fit its schema."""
    answer = made.answer(watch.watch_id, now)
    again = records.decode(records.WATCHED_SYMBOL, records.encode(records.WATCHED_SYMBOL, 1, answer))
    assert again == answer
    return answer


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


@pytest.mark.parametrize(
    ("row", "confirmed", "ambiguous"),
    [
        (f"{BUILD}!", 0, 4),  # the function is unknown
        (f"{LIB}!", 0, 4),  # and so is the build id
        (f"{LIB}!inflate", 4, 4),  # the symbol, in a file that may be this one
        (f"{BUILD}!hinted", 1, 3),  # a hint may be wrong
        (f"{LIB}!hinted", 0, 4),
        (f"{BUILD}!deflate", 4, 0),  # surely another function
        ("ffffffffffffffff!hinted", 0, 0),  # surely another file
        ("/usr/bin/other!", 0, 0),
        ("exec:/usr/bin/other", 0, 0),
    ],
)
def test_what_may_be_the_symbol_is_a_reason(row: str, confirmed: int, ambiguous: int) -> None:
    """Unknown functions and hints of the watched file, never those of other files."""
    made = board(BY_BUILD, NOT_PROBED)
    path = row.partition("!")[0].removeprefix("exec:")
    made.take(row.encode(), value(row, 4, confirmed=confirmed, module=path if "/" in path else LIB))
    answer = asked(made, NOT_PROBED)

    assert answer["ambiguous_hits"] == ambiguous
    said = {reason["reason"] for reason in answer["reasons"]}
    assert said == {"NotHooked", *({"MayBeIt" if row.endswith("inflate") else "UnnamedCode"} if ambiguous else ())}


def test_a_watch_by_path_sees_hints_in_files_whose_build_id_is_known() -> None:
    """The row's path decides, and of a file with that name elsewhere nobody knows."""
    made = board(BY_PATH)
    made.take(b"ffffffffffffffff!hinted", value("ffffffffffffffff!hinted", 4, confirmed=0, module="/opt/libz.so.1"))
    made.take(b"eeeeeeeeeeeeeeee!hinted", value("eeeeeeeeeeeeeeee!hinted", 4, confirmed=0, module="/opt/other.so"))

    assert asked(made, BY_PATH)["ambiguous_hits"] == 4


def test_code_without_a_name_does_not_matter_where_every_call_is_probed() -> None:
    """A probe fires on entry, whatever stacks can say; the symbol in a file that may be this one does matter."""
    made = board(BY_BUILD)
    made.take(f"{BUILD}!".encode(), value(f"{BUILD}!", 4))
    assert (asked(made, BY_BUILD)["answer"], asked(made, BY_BUILD)["ambiguous_hits"]) == ("NeverHit", 4)
    made.take(f"{LIB}!inflate".encode(), value(f"{LIB}!inflate", 4))
    assert asked(made, BY_BUILD)["answer"] == "NotSeen"


def test_a_build_that_rows_have_under_the_watched_path_is_a_file_concerned() -> None:
    """Whether a map knows it or not: the caller finds the code again."""
    made = board(BY_PATH)
    assert not made.files.has_new
    made.take(b"eeeeeeeeeeeeeeee!deflate", value("eeeeeeeeeeeeeeee!deflate", 4))
    assert asked(made, BY_PATH)["answer"] == "NeverHit"

    assert made.files.has_new
    assert made.files.seen == {LIB: {"eeeeeeeeeeeeeeee"}}
    made.needs_rows = False
    assert made.set_codes(watched_codes([BY_PATH], FILES, made.files.seen)) == [BY_PATH.watch_id]
    assert made.needs_rows
    answer = asked(made, BY_PATH)
    assert answer["answer"] == "NotSeen"
    assert [(one["reason"], one["about"]) for one in answer["reasons"]] == [("NoIndex", ["eeeeeeeeeeeeeeee"])]


@pytest.mark.parametrize("module", [LIB, "/opt/renamed.so"])
def test_what_ran_under_a_name_that_only_an_older_index_had_may_be_any_function(module: str) -> None:
    """As after `symbols resolve`: the file that gave the name was another one. A mere hint is no such name."""
    row = f"{BUILD}!forged"
    made = board(BY_BUILD, BY_PATH)
    made.take(row.encode(), value(row, 4, module=module, confirmed=0))
    assert asked(made, BY_PATH)["answer"] == "NeverHit"

    made.take(row.encode(), value(row, 4, module=module))
    for watch in (BY_BUILD, BY_PATH):
        answer = asked(made, watch)
        assert (answer["answer"], answer["ambiguous_hits"]) == ("NotSeen", 4)
        assert [reason["reason"] for reason in answer["reasons"]] == ["OlderSnapshot"]
    assert made.keeps(row.encode())

    named = ListedFiles({BUILD: ListedNames([["inflate"], ["forged"]]), OTHER_BUILD: NAMES}, {LIB: {BUILD}}, "d2")
    assert made.set_codes(watched_codes([BY_BUILD, BY_PATH], named, {}))
    made.take(row.encode(), value(row, 4, module=module))
    assert asked(made, BY_BUILD)["answer"] == "NeverHit"


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


def test_a_doubt_that_is_resolved_goes() -> None:
    """A row whose hits are confirmed meanwhile is no doubt any more."""
    made = board(NOT_PROBED)
    key = f"{BUILD}!hinted"
    made.take(key.encode(), value(key, 4, confirmed=2))
    assert asked(made, NOT_PROBED)["ambiguous_hits"] == 2
    made.take(key.encode(), None)
    assert asked(made, NOT_PROBED)["ambiguous_hits"] == 0


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
    """A dead letter is a gap from two minutes before its event was received; others in the same minute are no news."""
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


def test_a_probe_that_fires_on_a_function_without_a_name_may_be_the_watched_one() -> None:
    """Probes fire on entry, so a frame without a name does not matter, and a target without one does."""
    row = f"{BUILD}!".encode()
    made = board(BY_BUILD)
    made.take(row, value(row.decode(), 3))
    assert asked(made, BY_BUILD)["answer"] == "NeverHit"

    record = records.decode(records.HOT_SYMBOL, value(row.decode(), 4)) | {"probe_hits": 1}
    made.take(row, records.encode(records.HOT_SYMBOL, SCHEMA_ID, record))
    answer = asked(made, BY_BUILD)

    assert (answer["answer"], answer["ambiguous_hits"]) == ("NotSeen", 4)
    assert [reason["reason"] for reason in answer["reasons"]] == ["UnnamedEntry"]


@pytest.mark.parametrize("row", [f"{LIB}!", f"{LIB}!deflate"])
def test_a_file_of_unknown_build_at_the_watched_path_is_a_file_without_an_index(row: str) -> None:
    """Whatever ran in it: no index says which of its code the watched name means."""
    made = board(BY_PATH, BY_BUILD)
    made.take(row.encode(), value(row, 2))
    answer = asked(made, BY_PATH)

    assert answer["answer"] == "NotSeen"
    assert [(reason["reason"], reason["about"]) for reason in answer["reasons"]] == [("UnknownFile", [LIB])]
    assert asked(made, BY_BUILD)["answer"] == "NeverHit"


def test_a_function_that_shares_code_in_known_files_need_not_in_another() -> None:
    """A row by path alone, named with the other name: it may be the watched function, and it may not."""
    shared = ListedNames([["inflate", "inflate_fast"]])
    files = ListedFiles({BUILD: shared}, {LIB: {BUILD}})
    made = board(BY_PATH)
    made.set_codes(watched_codes([BY_PATH], files, {}))
    made.take(f"{LIB}!inflate_fast".encode(), value(f"{LIB}!inflate_fast", 2))
    answer = asked(made, BY_PATH)

    assert (answer["answer"], answer["confirmed_hits"]) == ("NotSeen", 0)
    assert {"MayBeIt", "UnknownFile"} <= {reason["reason"] for reason in answer["reasons"]}


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


# Before d1 there was a snapshot whose index had no name for `inflate`: code up to the next name was `deflate`'s.
OLDER = ListedNames([["deflate"], ["inflate.cold"], ["deflate"], ["hinted"]])
TWO_SNAPSHOTS = ListedFiles(FILES.files, FILES.places, then={"d0": {BUILD: OLDER}, "same": {BUILD: NAMES}})


def told_apart(watch: Watch, *rows: tuple[str, tuple[str, ...]]) -> tuple[str, list[str], dict[str, Any]]:
    """The answer's kind and reasons, and the answer, after rows that snapshots named."""
    made = board(watch)
    made.set_codes(watched_codes([watch], TWO_SNAPSHOTS, {}))
    for name, snapshots in rows:
        made.take(f"{BUILD}!{name}".encode(), value(f"{BUILD}!{name}", 2, snapshots=snapshots))
    asked(made, watch)
    made.set_codes(watched_codes([watch], TWO_SNAPSHOTS, {}, made.files.snapshots))
    for name, snapshots in rows:
        made.take(f"{BUILD}!{name}".encode(), value(f"{BUILD}!{name}", 2, snapshots=snapshots))
    answer = asked(made, watch)
    return answer["answer"], [one["reason"] for one in answer["reasons"]], answer


@pytest.mark.parametrize(
    ("watched", "row", "snapshots", "expected", "reasons"),
    [
        ("inflate", "deflate", ("d1",), "NeverHit", ["AuthorsWord", "ReportedNodes"]),
        ("inflate", "deflate", ("same",), "NeverHit", ["AuthorsWord", "ReportedNodes"]),
        ("inflate", "deflate", ("d0",), "NotSeen", ["OlderSnapshot"]),
        ("inflate", "hinted", ("d0",), "NeverHit", ["AuthorsWord", "ReportedNodes"]),
        ("inflate", "inflate", ("same",), "Hit", []),
        ("deflate", "deflate", ("d0",), "NotSeen", ["OlderSnapshot"]),
        ("deflate", "deflate", ("d0", "d1"), "Hit", ["OlderSnapshot"]),
        ("hinted", "hinted", ("d0", "d1"), "Hit", []),
        ("hinted", "deflate", ("gone",), "NotSeen", ["OlderSnapshot"]),
        ("hinted", "hinted", ("gone",), "Hit", []),
    ],
)
def test_a_name_of_an_older_snapshot_is_resolved_or_told_apart(
    watched: str, row: str, snapshots: tuple[str, ...], expected: str, reasons: list[str]
) -> None:
    """By the code that it meant then: no "never" of what an older index called otherwise, and a hit stays one."""
    watch = replace(BY_BUILD, symbol=watched)
    answer, why, whole = told_apart(watch, (row, snapshots))

    assert (answer, why) == (expected, reasons)
    assert whole["named_by"] == (sorted(snapshots) if expected == "Hit" else [])


def test_a_name_that_only_an_older_index_had_is_the_code_that_it_meant() -> None:
    """The older index called the code otherwise, and nothing else: the row is a hit, under its old name."""
    then = ListedNames([["FUN_1000"], ["inflate.cold"], ["deflate"]])
    files = ListedFiles(FILES.files, FILES.places, then={"d0": {BUILD: then}})
    made = board(BY_BUILD)
    answers: list[dict[str, Any]] = []
    for _ in range(2):
        made.set_codes(watched_codes([BY_BUILD], files, {}, made.files.snapshots))
        made.take(f"{BUILD}!FUN_1000".encode(), value(f"{BUILD}!FUN_1000", 2, snapshots=("d0",)))
        answers.append(asked(made, BY_BUILD))

    assert [one["answer"] for one in answers] == ["NotSeen", "Hit"]
    assert answers[1]["symbols"][0]["symbol_id"] == f"{BUILD}!FUN_1000"


def test_a_snapshot_that_is_not_looked_into_yet_proves_no_absence() -> None:
    """Until its index is resolved, any name of the file may have meant the function."""
    made = board(BY_BUILD)
    made.take(f"{BUILD}!deflate".encode(), value(f"{BUILD}!deflate", 2, snapshots=("new",)))
    answer = asked(made, BY_BUILD)

    assert (answer["answer"], [one["reason"] for one in answer["reasons"]]) == ("NotSeen", ["OlderSnapshot"])
    assert made.files.has_new


def test_a_probe_by_name_may_be_of_code_that_the_older_index_did_not_name() -> None:
    """The agent found the function in the file itself: the older index cannot say that it was another one."""
    watch = replace(BY_BUILD, symbol="inflate")
    made = board(watch)
    made.set_codes(watched_codes([watch], TWO_SNAPSHOTS, {}, ["d0"]))
    row = records.decode(records.HOT_SYMBOL, value(f"{BUILD}!inflate", 2, snapshots=("d0",))) | {"probe_hits": 2}
    made.take(f"{BUILD}!inflate".encode(), records.encode(records.HOT_SYMBOL, SCHEMA_ID, row))
    answer = asked(made, watch)

    assert (answer["answer"], [one["reason"] for one in answer["reasons"]]) == ("NotSeen", ["OlderSnapshot"])


def test_images_of_a_row_with_unsure_hits_are_not_sure() -> None:
    """One row has only sure hits, the other may have had its hint in the image that it lists."""
    made = board(BY_PATH)
    for name, image, confirmed in ((f"{BUILD}!inflate", "web", 3), (f"{OTHER_BUILD}!inflate", "cart", 1)):
        images = [{"image_id": "", "image_name": image, "last_seen_ns": 5}]
        row = records.decode(records.HOT_SYMBOL, value(name, 3, confirmed=confirmed)) | {"images": images}
        made.take(name.encode(), records.encode(records.HOT_SYMBOL, SCHEMA_ID, row))
    answer = asked(made, BY_PATH)

    assert {one["image_name"]: one["confirmed"] for one in answer["images"]} == {"web": True, "cart": False}


@pytest.mark.parametrize("snapshots", [(), ("d1",), ("same",)])
def test_a_name_that_no_index_has_may_be_any_function_of_its_file(snapshots: tuple[str, ...]) -> None:
    """The agent found it in the file itself; which code it is, nobody can tell."""
    answer, why, _ = told_apart(BY_BUILD, ("inflate_from_symtab", snapshots))

    assert (answer, why) == ("NotSeen", ["OlderSnapshot"])


def test_names_that_rows_have_cut_are_those_names() -> None:
    """A code has a short and a long name, and its rows carry the long one, of which a row has no room for all."""
    long = "_ZN" + "9templates" * 600
    files = ListedFiles({BUILD: ListedNames([[long, "inflate"], [long + "E", "deflate"]])})
    row = symbol_id(within_limits(SymbolIdentity(BUILD, None, long)))
    answers: list[str] = []
    for symbol in ("inflate", "deflate"):
        watch = replace(BY_BUILD, symbol=symbol)
        made = board(watch)
        made.set_codes(watched_codes([watch], files, {}))
        made.take(row.encode(), value(row, 2, snapshots=("d1",)))
        answers.append(asked(made, watch)["answer"])

    assert answers == ["Hit", "NeverHit"]


ON_NODES = FilePlaces(frozenset({LIB}))


def told(begin: int, end: int, **others: Any) -> ProbeWindow:
    """What the agent of the node told from one day to another."""
    return ProbeWindow(node="n", cluster="east", from_ns=begin * DAY, to_ns=end * DAY, **others)


@dataclass(frozen=True)
class Entries:
    """The file of the watches, whose code lies in it as at its addresses."""

    def entries(self, symbol: str) -> list[int]:
        """Where functions of the name begin."""
        return [code.address for code in NAMES.codes(symbol)]

    def address_of(self, file_offset: int) -> int | None:
        """The same number."""
        return file_offset


def hooks(
    *loaded: tuple[str, int, int],
    places: FilePlaces = ON_NODES,
    tells: tuple[ProbeWindow, ...] = (),
    limits: frozenset[CallLimit] = frozenset(),
) -> KnownHooks:
    """Hooks on a symbol from one day to another, as the agent of the node tells."""
    table = ProbeTable()
    policies = {}
    for symbol, begin, end in loaded:
        hook = Hook(
            section=HookSection.UPROBES,
            index=0,
            path=LIB,
            symbols=(symbol,),
            build_ids=frozenset({BUILD}),
            limits=limits,
        )
        policies[symbol] = TracingPolicy(name=symbol, namespace="", digest=symbol, hooks=(hook,))
        states = (SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),)
        window = told(begin, end, policy=symbol, state=PolicyState.ENABLED, hooks=states, spec_digest=symbol)
        table.take(window)
    for one in tells:
        table.take(one)
    return KnownHooks(HookWindows(table, HookFinder(policies, {BUILD: Entries()})), {BUILD: places})


ALL_THE_TIME = (("inflate", 1, 16), ("inflate.part.0", 1, 16))


@pytest.mark.parametrize(
    ("known", "answer", "reason"),
    [
        (hooks(*ALL_THE_TIME), "NeverHit", "HooksLoaded"),
        (hooks(("inflate", 1, 5), ("inflate", 5, 16), ("inflate.part.0", 0, 20)), "NeverHit", "HooksLoaded"),
        (hooks(("inflate", 1, 5), ("inflate", 6, 16), ("inflate.part.0", 0, 20)), "NotSeen", "Unhooked"),
        (hooks(("inflate", 2, 16), ("inflate.part.0", 1, 16)), "NotSeen", "Unhooked"),
        (hooks(("inflate", 1, 16), ("deflate", 1, 16)), "NotSeen", "Unhooked"),
        (hooks(*ALL_THE_TIME, places=FilePlaces(frozenset({LIB, "/opt/libz.so.1"}))), "NotSeen", "Unhooked"),
        (hooks(*ALL_THE_TIME, places=FilePlaces(frozenset({LIB}), is_in_images=True)), "NotSeen", "NotHooked"),
        (hooks(*ALL_THE_TIME, places=FilePlaces()), "NotSeen", "NotHooked"),
        (hooks(), "NotSeen", "NotHooked"),
    ],
)
def test_never_needs_a_hook_on_each_entry_all_the_time(known: KnownHooks, answer: str, reason: str) -> None:
    """By the word of the agents, where the author of the watch says nothing."""
    made = board(NOT_PROBED)
    made.cover({NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=known)
    found = asked(made, NOT_PROBED)

    assert (found["answer"], found["reasons"][0]["reason"]) == (answer, reason)


def test_an_answer_ends_where_agents_have_told_last() -> None:
    """What they had later they will tell; a node whose agent was never asked has no hooks."""
    made = board(NOT_PROBED)
    known = hooks(("inflate", 1, 12), ("inflate.part.0", 1, 12))
    nodes = {NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}
    made.cover(nodes, hooks=known)
    found = asked(made, NOT_PROBED)
    assert (found["answer"], found["complete_until_ns"]) == ("NeverHit", 12 * DAY)

    made.cover(nodes | {NodeId("east", "m"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=known)
    found = asked(made, NOT_PROBED)
    assert (found["answer"], found["reasons"][0]["about"]) == ("NotSeen", ["east/m"])


@pytest.mark.parametrize(
    ("tells", "words"),
    [
        ((), "nobody asked the agent of east/n for"),
        ((told(1, 16, answer=AgentAnswer.UNIMPLEMENTED, agent_version="v1.3.0"),), "east/n (v1.3.0) is too old to"),
        ((told(1, 16, answer=AgentAnswer.REFUSED),), "the agent of east/n refuses to tell"),
        ((told(1, 16, agent_version="v1.6.1"),), "east/n (v1.6.1) told of no hook; one before 1.8 cannot"),
        ((told(1, 16, policy="p", hooks=(SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),)),), "did not tell all the"),
    ],
)
def test_the_reason_says_what_the_agent_answers(tells: tuple[ProbeWindow, ...], words: str) -> None:
    """One that is too old is not one that refuses, and neither is one that nobody asked."""
    other = replace(told(1, 16), node="other")
    made = board(NOT_PROBED)
    made.cover(
        {NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=hooks(tells=(other, *tells))
    )
    [reason] = asked(made, NOT_PROBED)["reasons"]

    assert reason["reason"] == "Unhooked"
    assert words in reason["words"]


@pytest.mark.parametrize(
    ("others", "reason"),
    [({}, "HooksLoaded"), ({"module": "/opt/libz.so.1"}, "Unhooked"), ({"image": "i"}, "NotHooked")],
)
def test_a_file_that_ran_where_no_hook_can_be_is_not_hooked(others: dict[str, str], reason: str) -> None:
    """Rows of its other functions tell where it ran: under another path, or in an image."""
    made = board(NOT_PROBED)
    made.cover({NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=hooks(*ALL_THE_TIME))
    row = symbol_id(SymbolIdentity(BUILD, None, "deflate"))
    made.take(row.encode(), value(row, 3, module=others.get("module", LIB), image=others.get("image")))

    assert asked(made, NOT_PROBED)["reasons"][0]["reason"] == reason


@pytest.mark.parametrize(("ended_before_s", "answer"), [(MAX_BRIEF_S - 1, "NotSeen"), (MAX_BRIEF_S + 1, "NeverHit")])
def test_a_gap_just_before_the_beginning_may_hold_the_event_that_hides_a_call(ended_before_s: int, answer: str) -> None:
    """A probe that posts once a minute posts nothing for a second call, whether or not the first event was lost."""
    until = DAY - ended_before_s * SECOND
    gap = GapInterval(until - SECOND, until, "Reconnect")
    nodes = {NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")], [gap])}
    for limits, expected in ((frozenset({CallLimit.BRIEF_RATE}), answer), (frozenset[CallLimit](), "NeverHit")):
        made = board(NOT_PROBED)
        made.cover(nodes, hooks=hooks(("inflate", 0, 16), ("inflate.part.0", 0, 16), limits=limits))
        found = asked(made, NOT_PROBED)

        assert found["answer"] == expected
        assert ("its probes post one event" in found["reasons"][0]["words"]) is (expected == "NotSeen")

"""Answers to watches from rows that indexes of older snapshots named, or no index at all."""

from dataclasses import replace
from typing import Any

import pytest

from agents.hot_symbols.identity import SymbolIdentity, symbol_id, within_limits
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watched_code import watched_codes
from schemas import records
from tests.support.library_board import (
    BUILD,
    BY_BUILD,
    BY_PATH,
    FILES,
    LIB,
    NAMES,
    OTHER_BUILD,
    SCHEMA_ID,
    asked,
    board,
    value,
)
from tests.support.named_files import ListedFiles, ListedNames


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


@pytest.mark.parametrize("confirmed", [0, 1, 4])
@pytest.mark.parametrize("snapshots", [(), ("d0",), ("gone",)])
@pytest.mark.parametrize("name", ["inflate", "inflate.part.9", "deflate", "hinted", ""])
def test_a_hit_counts_once_whatever_may_be_said_of_its_row(
    name: str, snapshots: tuple[str, ...], confirmed: int
) -> None:
    """As one of the symbol, or as one that may be, and in one way: in any file, for any watch."""
    asking = (BY_BUILD, BY_PATH, Watch(symbol="inflate", build_id=OTHER_BUILD), Watch(symbol="inflate"))
    for file in (BUILD, OTHER_BUILD, LIB, "/opt/other.so"):
        for watch in asking:
            made = board(watch)
            row, path, answer = f"{file}!{name}", file if "/" in file else LIB, dict[str, Any]()
            for _ in range(2):
                made.set_codes(watched_codes([watch], TWO_SNAPSHOTS, {}, made.files.snapshots))
                made.take(row.encode(), value(row, 4, module=path, confirmed=confirmed, snapshots=snapshots))
                answer = asked(made, watch)
            counted = answer["hits"] + answer["ambiguous_hits"]
            is_sure_to_count = name == "inflate" and file in {watch.build_id, LIB}
            assert counted == 4 if is_sure_to_count else counted <= 4, f"{row}: {answer}"

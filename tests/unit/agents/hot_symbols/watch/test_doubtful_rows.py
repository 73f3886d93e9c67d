"""Rows that may be the watched function and may not: hints, code without a name, files of unknown builds."""

import pytest

from agents.hot_symbols.watch.watched_code import watched_codes
from schemas import records
from tests.support.library_board import (
    BUILD,
    BY_BUILD,
    BY_PATH,
    FILES,
    LIB,
    NOT_PROBED,
    OTHER_BUILD,
    SCHEMA_ID,
    asked,
    board,
    value,
)
from tests.support.named_files import ListedFiles, ListedNames


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


def test_a_doubt_that_is_resolved_goes() -> None:
    """A row whose hits are confirmed meanwhile is no doubt any more."""
    made = board(NOT_PROBED)
    key = f"{BUILD}!hinted"
    made.take(key.encode(), value(key, 4, confirmed=2))
    assert asked(made, NOT_PROBED)["ambiguous_hits"] == 2
    made.take(key.encode(), None)
    assert asked(made, NOT_PROBED)["ambiguous_hits"] == 0


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


def test_images_of_a_row_with_unsure_hits_are_not_sure() -> None:
    """One row has only sure hits, the other may have had its hint in the image that it lists."""
    made = board(BY_PATH)
    for name, image, confirmed in ((f"{BUILD}!inflate", "web", 3), (f"{OTHER_BUILD}!inflate", "cart", 1)):
        images = [{"image_id": "", "image_name": image, "last_seen_ns": 5}]
        row = records.decode(records.HOT_SYMBOL, value(name, 3, confirmed=confirmed)) | {"images": images}
        made.take(name.encode(), records.encode(records.HOT_SYMBOL, SCHEMA_ID, row))
    answer = asked(made, BY_PATH)

    assert {one["image_name"]: one["confirmed"] for one in answer["images"]} == {"web": True, "cart": False}

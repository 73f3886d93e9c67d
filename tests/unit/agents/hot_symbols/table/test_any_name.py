"""A function is found by any of its names, whichever its row has."""

import pytest

from agents.hot_symbols.table.any_name import AnyName, other_names
from agents.hot_symbols.table.query import Query
from agents.hot_symbols.watch.files import NoNames
from tests.support.named_files import ListedFiles, ListedNames

BUILD, OTHER = "0123456789abcdef", "fedcba9876543210"
LISTED = ListedNames(
    [
        ["parse_v2", "parse", "op%new"],
        ["read_image"],
        ["parse.constprop.0", "folded"],
        ["__strlen_avx2", "wide_length"],
    ],
    chosen={"strlen": ["__strlen_avx2"]},
)
NAMES = ListedFiles({BUILD: LISTED}).names


@pytest.mark.parametrize(
    ("asked", "row", "build_id", "is_it"),
    [
        ("parse", "parse_v2", BUILD, True),
        ("parse_v2", "parse_v2", BUILD, True),
        ("op%new", "parse_v2", BUILD, True),
        ("parse", "parse.cold", BUILD, True),
        ("parse.part.0", "parse", OTHER, True),
        ("parse", "folded", BUILD, True),  # another name of a clone's code
        ("strlen", "__strlen_avx2", BUILD, True),  # what an IFUNC chooses
        ("strlen", "wide_length", BUILD, True),
        ("strlen", "__strlen_avx2", OTHER, False),
        ("strlen", "parse", BUILD, False),
        ("parse", "parse_v2", OTHER, False),  # no index says so
        ("parse", "parse_v2", None, False),
        ("parse", "read_image", BUILD, False),
        ("parse", "", BUILD, False),
        ("_ZN3FooC1Ev", "_ZN3FooC2Ev", OTHER, True),
        ("_RNvNtCsdKmGX6TnrLs_1a1m5parse", "_RNvNtCsjFDhvNHko8v_1a1m5parse", OTHER, True),
    ],
)
def test_rows_of_a_function_are_found_by_its_names(asked: str, row: str, build_id: str | None, *, is_it: bool) -> None:
    """By the index of the row's file, and by what compilers make of a name."""
    names = AnyName(asked, NAMES)
    key = f"{build_id or '/usr/lib/a.so'}!{row}".encode()

    assert names.is_it(row, build_id) is is_it
    assert names.may_be(key) or not is_it


def test_without_a_store_a_function_is_found_by_what_compilers_make_of_its_name() -> None:
    """No other file is looked into."""
    names = AnyName("parse", None)

    assert names.is_it("parse.cold", BUILD)
    assert not names.is_it("parse_v2", BUILD)
    assert not names.may_be(f"{BUILD}!read_image".encode())
    assert AnyName("parse", lambda _: NoNames.AMBIGUOUS).is_it("parse", BUILD)


@pytest.mark.parametrize("symbol", [None, "", "SSL_*", "/usr/lib/a.so!parse", "a!b!c", f"{BUILD}!"])
def test_patterns_and_ids_of_unknown_files_mean_what_they_say(symbol: str | None) -> None:
    """Only a name in full is a function."""
    assert Query(symbol=symbol).by_any_name(NAMES).any_name is None


def test_an_id_means_the_function_in_that_file() -> None:
    """Whichever of its names the id has; its row may lie in any partition then."""
    query = Query(symbol=f"{BUILD}!parse").by_any_name(NAMES)

    assert query.symbol_id is None
    assert query.may_mean("parse_v2", f"{BUILD}!parse_v2", BUILD)
    assert query.may_mean_key(f"{BUILD}!parse_v2".encode())
    assert not query.may_mean("parse", f"{OTHER}!parse", OTHER)
    assert Query(symbol=f"{BUILD}!parse").by_any_name(None).symbol_id == f"{BUILD}!parse"


def test_a_query_by_any_name_needs_no_bytes_of_the_name() -> None:
    """The row has another one."""
    query = Query(symbol="parse", module="libz").by_any_name(NAMES)

    assert query.needles() == [b"libz"]
    assert query.may_mean_key(f"{BUILD}!parse_v2".encode())
    assert not query.may_mean_key(f"{BUILD}!read_image".encode())
    assert query.may_mean("parse_v2", f"{BUILD}!parse_v2", BUILD)


def test_the_other_names_of_a_rows_code_are_known_by_its_index() -> None:
    """For a reader that filters by name; without an index there are none."""
    assert other_names({"symbol": "parse_v2", "build_id": BUILD}, NAMES) == ["op%new", "parse"]
    for row in ({"symbol": "parse_v2", "build_id": OTHER}, {"symbol": "", "build_id": BUILD}):
        assert other_names(row, NAMES) == []
    assert other_names({"symbol": "parse_v2", "build_id": BUILD}, None) == []

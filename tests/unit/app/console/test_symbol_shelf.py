"""The search among rows of hot symbols."""

from typing import Any

import pytest

from app.console.symbol_shelf import SymbolShelf, SymbolWanted
from app.kafka.records import Recorded

ROWS: dict[str, dict[str, Any]] = {
    "a!SSL_read": {"symbol": "SSL_read", "module": "/usr/lib/libssl.so.3", "build_id": "aa11", "hits": 5},
    "a!SSL_write": {"symbol": "SSL_write", "module": "/usr/lib/libssl.so.3", "build_id": "aa11", "hits": 9},
    "b!_ZN3foo3barEv": {"symbol": "_ZN3foo3barEv", "module": "/opt/Shop/server", "build_id": "bb22", "hits": 7},
    "kernel!do_sys": {"symbol": "do_sys", "module": "kernel", "build_id": None, "hits": 9},
}
PLACES: dict[str, dict[str, Any]] = {
    "b!_ZN3foo3barEv": {
        "images": [{"image_name": "registry/shop:1", "image_id": "sha256:77", "last_seen_ns": 1}],
        "namespaces": [{"namespace": "Prod", "last_seen_ns": 1}],
    }
}


def _row(symbol_id: str) -> dict[str, Any]:
    more: dict[str, Any] = {"is_kernel_space": False, "evidence": "Frame", "confirmed_hits": 1, "last_seen_ns": 3}
    return {"symbol_id": symbol_id, "images": [], "namespaces": []} | more | ROWS[symbol_id] | PLACES.get(symbol_id, {})


def _record(symbol_id: str, offset: int = 0) -> Recorded:
    return Recorded("runtime.hot-symbols", 0, offset, 0, symbol_id.encode(), b"row")


@pytest.fixture
def shelf() -> SymbolShelf:
    """All rows."""
    made = SymbolShelf(lambda symbol: {"_ZN3foo3barEv": "foo::bar()"}.get(symbol, symbol), max_rows=4)
    for offset, symbol_id in enumerate(ROWS):
        made.take(_record(symbol_id, offset), _row(symbol_id))
    return made


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SymbolWanted(), ["a!SSL_write", "kernel!do_sys", "b!_ZN3foo3barEv", "a!SSL_read"]),
        (SymbolWanted(text="ssl"), ["a!SSL_write", "a!SSL_read"]),
        (SymbolWanted(text="ssl read"), ["a!SSL_read"]),
        (SymbolWanted(text="foo::BAR"), ["b!_ZN3foo3barEv"]),
        (SymbolWanted(text="_ZN3foo"), ["b!_ZN3foo3barEv"]),
        (SymbolWanted(file="libssl"), ["a!SSL_write", "a!SSL_read"]),
        (SymbolWanted(file="/opt/shop"), ["b!_ZN3foo3barEv"]),
        (SymbolWanted(build_id="BB"), ["b!_ZN3foo3barEv"]),
        (SymbolWanted(build_id="b22"), []),
        (SymbolWanted(image="shop:1"), ["b!_ZN3foo3barEv"]),
        (SymbolWanted(image="SHA256:77", namespace="prod"), ["b!_ZN3foo3barEv"]),
        (SymbolWanted(text="ssl", namespace="prod"), []),
    ],
)
def test_rows_are_found_by_parts_of_what_they_hold(
    shelf: SymbolShelf, wanted: SymbolWanted, expected: list[str]
) -> None:
    """In any case, mangled or readable, those with the most hits first."""
    found = shelf.find(wanted, 10)
    assert [row.symbol_id for row in found.rows] == expected
    assert (found.found, found.of) == (len(expected), 4)


def test_what_is_left_out_of_an_answer_is_counted(shelf: SymbolShelf) -> None:
    """A page shows some rows, and says of how many."""
    found = shelf.find(SymbolWanted(text="ssl"), 1)
    assert [row.symbol_id for row in found.rows] == ["a!SSL_write"]
    assert found.found == 2


@pytest.mark.parametrize("count", range(6))
def test_an_answer_has_the_rows_with_the_most_hits(shelf: SymbolShelf, count: int) -> None:
    """In their order, as many as are wanted, and of equal ones those that came first."""
    found = shelf.find(SymbolWanted(), count)
    assert [row.symbol_id for row in found.rows] == ["a!SSL_write", "kernel!do_sys", "b!_ZN3foo3barEv", "a!SSL_read"][
        :count
    ]
    assert shelf.find(SymbolWanted(text="nowhere"), count).rows == ()


def test_a_search_makes_no_name_readable() -> None:
    """A name is made readable once, when its row comes: it takes longer than a search among all rows."""
    asked: list[str] = []

    def shown_name(symbol: str) -> str:
        asked.append(symbol)
        return f"readable {symbol}"

    shelf = SymbolShelf(shown_name)
    for offset in range(3):
        shelf.take(_record("a!SSL_read", offset), _row("a!SSL_read") | {"hits": 5 + offset})
    (row,) = shelf.find(SymbolWanted(text="readable ssl"), 10).rows
    assert (row.document()["shown_name"], row.document()["symbol"]) == ("readable SSL_read", "SSL_read")
    assert asked == ["SSL_read"]


def test_the_newest_record_of_a_row_counts(shelf: SymbolShelf) -> None:
    """With the place where it lies, from the next search on; a tombstone removes the row."""
    shelf.take(_record("a!SSL_read", 77), _row("a!SSL_read") | {"hits": 100})
    row = shelf.get("a!SSL_read")
    assert row is not None
    assert (row.hits, row.offset) == (100, 77)
    assert shelf.find(SymbolWanted(), 1).rows == (row,)
    shelf.take(_record("a!SSL_read", 78), None)
    assert shelf.get("a!SSL_read") is None


def test_rows_beyond_the_limit_are_counted(shelf: SymbolShelf) -> None:
    """Whoever writes the topic must not fill the console's memory; rows that are known go on."""
    shelf.take(_record("new!row", 5), _row("a!SSL_read") | {"symbol_id": "new!row"})
    assert len(shelf) == 4
    assert shelf.left_out == 1
    shelf.take(_record("a!SSL_read", 6), _row("a!SSL_read") | {"hits": 6})
    assert shelf.get("a!SSL_read") is not None

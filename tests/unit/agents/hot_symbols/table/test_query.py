"""Which rows a question means, and how they are shown."""

import json
from typing import Any

import pytest

from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.published import published_record
from agents.hot_symbols.table.query import Query, top
from app.commands.hot_symbols import documents, table
from app.operators.json_text import with_times

NS = 1_000_000_000


def row(symbol_id: str, hits: int = 1, **others: Any) -> dict[str, Any]:
    """A row as it is published."""
    tally = Tally(symbol_id.partition("!")[0].removeprefix("exec:"))
    tally.hits, tally.first_ns, tally.last_ns = hits, 0, 1_700_000_000 * NS
    return published_record(symbol_id, tally) | others


SSL = row(
    "0123456789abcdef!SSL_read",
    7,
    module="/usr/lib/libssl.so.3",
    confirmed_hits=7,
    images=[{"image_id": "sha256:1", "image_name": "shop/web:1", "last_seen_ns": 1}],
    namespaces=[{"namespace": "prod", "last_seen_ns": 1}],
)
KERNEL = row("kernel!vfs_read", 9, confirmed_hits=9)
HINTED = row("/usr/bin/app!_Z4mainv", 3, confirmed_hits=1)
UNKNOWN = row("/usr/bin/app!", 2)
EXECUTED = row("exec:/usr/bin/curl%0A", 1)
NEVER = row("/usr/lib/libz.so!inflate", 0)
ROWS = [SSL, KERNEL, HINTED, UNKNOWN, EXECUTED, NEVER]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), ROWS),
        (Query(symbol="SSL_read"), [SSL]),
        (Query(symbol="SSL_*"), [SSL]),
        (Query(symbol="ssl_*"), []),
        (Query(symbol="kernel!vfs_read"), [KERNEL]),
        (Query(symbol="SSL"), []),
        (Query(module="/usr/lib/libssl.so.3"), [SSL]),
        (Query(module="libssl.so.3"), [SSL]),
        (Query(module="libssl*"), [SSL]),
        (Query(module="0123456789abcdef"), [SSL]),
        (Query(module="kernel"), [KERNEL]),
        (Query(module="app", symbol="_Z4mainv"), [HINTED]),
        (Query(namespace="prod"), [SSL]),
        (Query(namespace="p"), []),
        (Query(image="shop/*"), [SSL]),
        (Query(image="sha256:1"), [SSL]),
        (Query(since_ns=1_700_000_000 * NS), [SSL, KERNEL, HINTED, UNKNOWN, EXECUTED]),
        (Query(since_ns=1_700_000_001 * NS), []),
    ],
)
def test_query_matches(query: Query, found: list[dict[str, Any]]) -> None:
    """A text is meant as it is, a pattern as in a shell; all that is asked must be true."""
    assert [one for one in ROWS if query.matches(one)] == found


def test_top_is_by_hits_and_then_by_symbol_id() -> None:
    """One question has one answer, in whatever order rows come."""
    rows = [row("/b!x", 2), row("/a!x", 2), row("/c!x", 5), row("/d!x", 1)]

    expected = ["/c!x", "/a!x", "/b!x"]
    assert [one["symbol_id"] for one in top(rows, 3)] == expected
    assert [one["symbol_id"] for one in top(reversed(rows), 3)] == expected


def test_table_marks_kernel_and_user_and_how_sure_a_symbol_is() -> None:
    """People see paths instead of build ids, every character, and what kind of evidence a row is."""
    lines = list(table(ROWS, lambda symbol: symbol.replace("_Z4mainv", "main()")))

    assert [line.split(None, 4) for line in lines[1:]] == [
        ["7", "100%", "user", "2023-11-14T22:13:20Z", "/usr/lib/libssl.so.3!SSL_read"],
        ["9", "100%", "kernel", "2023-11-14T22:13:20Z", "kernel!vfs_read"],
        ["3", "33%", "user", "2023-11-14T22:13:20Z", "/usr/bin/app!main()"],
        ["2", "0%", "user", "2023-11-14T22:13:20Z", "/usr/bin/app!  (function unknown)"],
        ["1", "0%", "user", "2023-11-14T22:13:20Z", "exec:/usr/bin/curl%0A  (executed)"],
        ["0", "-", "user", "never", "/usr/lib/libz.so!inflate"],
    ]


def test_documents_hold_all_that_a_row_holds() -> None:
    """Machines get the record as it is published, with its times as text beside them."""
    assert [json.loads(line) for line in documents(ROWS)] == [with_times(row) for row in ROWS]

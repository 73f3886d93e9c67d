"""A board of watches on a function of one library in two builds, its rows, and its answers."""

from dataclasses import replace
from typing import Any

from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.vouching import VouchedInterval
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.published import module_in, published_record
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import WatchBoard
from agents.hot_symbols.watch.watched_code import watched_codes
from schemas import records
from schemas.node import NodeId
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

"""The list of watches that a worker keeps, whatever others write on its topic."""

from typing import Any

from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.stages.hot_symbols.watch_list import WatchList
from schemas import topics


def _recorded(key: bytes | None, offset: int, value: bytes | None = b"it was decoded") -> Recorded:
    return Recorded(topics.WATCH, 0, offset, 1_700_000_000_000, key, value)


def _document(symbol: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "module": None,
        "build_id": None,
        "since_ns": 1,
        "vulnerability": None,
        "vulnerabilities": [],
        "every_call_probed": False,
    }


def test_more_watches_than_a_worker_keeps_are_refused_and_the_first_ones_stay() -> None:
    """A flood of watches neither fills a worker's memory nor takes the place of those that were there."""
    refused = RefusedRecords()
    found = WatchList(refused, max_places=2)
    changes = [found.take(_recorded(b"%d" % number, number), _document(f"f{number}")) for number in range(5)]
    assert changes == [True, True, False, False, False]
    assert set(found.watches()) == {"!f0", "!f1"}
    assert refused.counts() == {(topics.WATCH, RecordFault.TOO_MANY): 3}


def test_a_full_list_takes_a_change_of_its_own_and_a_new_watch_after_a_removal() -> None:
    """What is on the list can be changed and removed, and then there is room again."""
    found = WatchList(RefusedRecords(), max_places=2)
    for number in range(2):
        found.take(_recorded(b"%d" % number, number), _document(f"f{number}"))
    assert found.take(_recorded(b"0", 2), _document("g"))
    assert found.take(_recorded(b"1", 3, None), RecordFault.EMPTY)
    assert found.take(_recorded(b"2", 4), _document("h"))
    assert set(found.watches()) == {"!g", "!h"}


def test_what_changes_no_watch_is_not_told_as_a_change() -> None:
    """A flood of garbage, of copies and of removals of nothing does not make a worker resolve its watches again."""
    found = WatchList(RefusedRecords(), max_places=2)
    assert found.take(_recorded(b"0", 0), _document("f"))
    assert not found.take(_recorded(b"0", 1), _document("f"))
    assert not found.take(_recorded(b"1", 2, None), RecordFault.EMPTY)
    assert not found.take(_recorded(b"1", 3), RecordFault.MALFORMED)
    assert not found.take(_recorded(None, 4), RecordFault.MALFORMED)
    assert found.take(_recorded(b"0", 5), RecordFault.MALFORMED)
    assert not found.watches()

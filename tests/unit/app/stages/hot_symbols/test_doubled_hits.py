"""Whether rows may be counted twice, by the table of node coverage."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import pytest

from agents.coverage.covering import node_key
from agents.coverage.node_coverage import NodeCoverage
from agents.coverage.vouching import VouchedInterval
from app.kafka.client import KafkaUnreachableError
from app.kafka.records import Recorded
from app.settings import Settings
from app.stages.hot_symbols import doubled_hits
from app.stages.hot_symbols.doubled_hits import DoubledHits
from schemas.node import NodeId

HOUR = 3_600_000_000_000
NODE = NodeId("east", "n")


def _row(*vouched: tuple[int, int, str]) -> bytes:
    found = [VouchedInterval(begin * HOUR, end * HOUR, session) for begin, end, session in vouched]
    return NodeCoverage(found).to_bytes()


def _symbol(first_hour: int, last_hour: int) -> dict[str, Any]:
    return {"symbol_id": "x!f", "first_seen_ns": first_hour * HOUR, "last_seen_ns": last_hour * HOUR}


class FakeReader:
    """A changelog whose records a test adds."""

    rows: list[tuple[bytes, bytes | None]] = []  # noqa: RUF012 - the test's own
    is_away = False

    def __init__(self, _settings: Settings) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def records(self, topic: str, starts: Mapping[int, int]) -> Iterator[Recorded]:
        """What is there from `starts` on."""
        if FakeReader.is_away:
            raise KafkaUnreachableError("nobody answers")
        for offset, (key, value) in enumerate(FakeReader.rows):
            if offset >= starts.get(0, 0):
                yield Recorded(topic, 0, offset, 0, key, value)


@pytest.fixture(name="hits")
def _hits(monkeypatch: pytest.MonkeyPatch) -> DoubledHits:
    monkeypatch.setattr(doubled_hits, "TopicReader", FakeReader)
    monkeypatch.setattr(doubled_hits, "_FRESH_SECONDS", -1.0)
    monkeypatch.setattr(FakeReader, "rows", [])
    monkeypatch.setattr(FakeReader, "is_away", False)
    return DoubledHits(Settings())


def _marks(hits: DoubledHits, *rows: dict[str, Any]) -> list[bool | None]:
    return [row["hits_may_be_doubled"] for row in hits.mark(rows)]


def test_a_row_is_in_doubt_if_the_symbol_ran_about_that_time(hits: DoubledHits) -> None:
    """From before its end until after its beginning; the newest row of a node counts."""
    rows = (_symbol(1, 3), _symbol(1, 4), _symbol(5, 9), _symbol(6, 9), _symbol(0, 99))
    FakeReader.rows.append((node_key(NODE), _row((0, 6, "a"))))
    assert _marks(hits, *rows) == [False] * 5
    FakeReader.rows.append((node_key(NODE), _row((0, 6, "a"), (4, 9, "b"))))
    assert _marks(hits, *rows) == [False, True, True, False, True]
    assert hits.nodes() == [NODE]
    FakeReader.rows += [(b"all-nodes", _row((0, 6, "a"), (4, 9, "b"))), (node_key(NODE), None)]
    assert _marks(hits, *rows) == [False] * 5


def test_nobody_knows_while_the_table_cannot_be_read(hits: DoubledHits) -> None:
    """Neither yes nor no before it was ever read; what was known stays known."""
    FakeReader.rows.append((node_key(NODE), _row((0, 6, "a"), (4, 9, "b"))))
    FakeReader.is_away = True
    assert _marks(hits, _symbol(1, 4)) == [None]
    assert hits.trouble == "nobody answers"
    FakeReader.is_away = False
    assert _marks(hits, _symbol(1, 4)) == [True]
    FakeReader.is_away = True
    assert _marks(hits, _symbol(1, 4)) == [True]

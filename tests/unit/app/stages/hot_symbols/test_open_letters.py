"""Which refused events are open."""

from typing import Any

import pytest

from agents.dead_letters import NO_RAW_POSITION, RETRY, SENDING
from app.stages.hot_symbols import open_letters
from app.stages.hot_symbols.open_letters import OpenEvents

RAW = "p.tetragon.raw"
CANONICAL = "p.runtime.canonical"


def _letter(
    source: tuple[str, int, int], raw: tuple[int, int], stage: str = "privacy", why: str = "x"
) -> dict[str, Any]:
    return {
        "source_topic": source[0],
        "source_partition": source[1],
        "source_offset": source[2],
        "raw_partition": raw[0],
        "raw_offset": raw[1],
        "stage": stage,
        "reason": why,
    }


def test_an_event_is_open_once_until_it_was_sent_again() -> None:
    """Two stages may refuse one event; only the second note of a retry says that it was sent."""
    found = OpenEvents(RAW)
    found.take(_letter((RAW, 1, 7), (1, 7), "canonicalize"), 1, 0)
    found.take(_letter((CANONICAL, 1, 3), (1, 7)), 1, 1)
    found.take(_letter((CANONICAL, 1, 9), (NO_RAW_POSITION, NO_RAW_POSITION)), 1, 2)
    assert len(found) == 2

    found.take(_letter((RAW, 1, 7), (1, 20), RETRY, SENDING), 1, 3)
    assert len(found) == 2
    found.take(_letter((RAW, 1, 7), (1, 21), RETRY, RETRY), 1, 4)
    assert len(found) == 1


def test_what_retention_has_taken_is_not_open() -> None:
    """Nobody can send it again."""
    found = OpenEvents(RAW)
    for offset in range(10):
        found.take(_letter((RAW, 0, offset), (0, offset)), offset % 2, offset)
    found.forget({0: 4, 1: 0})
    assert len(found) == 8


def test_it_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of letters costs no more memory than the limit; those that are known can still be closed."""
    monkeypatch.setattr(open_letters, "MAX_OPEN", 3)
    found = OpenEvents(RAW)
    for offset in range(9):
        found.take(_letter((RAW, 0, offset), (0, offset)), 0, offset)
    assert len(found) == 3
    found.take(_letter((RAW, 0, 1), (0, 30), RETRY, RETRY), 0, 9)
    assert len(found) == 2

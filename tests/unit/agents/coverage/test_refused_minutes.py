"""When refused events may have happened."""

import pytest

from agents.coverage import refused_minutes
from agents.coverage.refused_minutes import RefusedMinutes

SECOND = 10**9


def test_of_too_many_refusals_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic of dead letters may be long."""
    monkeypatch.setattr(refused_minutes, "MAX_MINUTES", 3)
    minutes = RefusedMinutes()
    for number in (10, 50, 20, 40, 30):
        minutes.note(number * 60_000)

    assert [one.to_ns // (60 * SECOND) - 1 for one in minutes.intervals()] == [30, 40, 50]

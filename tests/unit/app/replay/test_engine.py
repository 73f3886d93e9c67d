"""A run ends with books that balance, or it is refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.contract import SourceRecord, Step, StepResult
from app.progress import Progress
from app.replay import engine
from app.replay.engine import build_steps
from app.replay.make import RunOutput, make
from app.replay.pipeline import RunBooks, Steps
from app.replay.request import ReplayError, ReplayRequest
from app.settings import Settings
from tests.support.archives import load_parts, make_archive


class LosingStep:
    """A step that loses the first record of every batch."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def __call__(self, records: Sequence[SourceRecord]) -> StepResult:
        """Take all records but the first."""
        return self._step(records[1:])


def losing_steps(request: ReplayRequest, schema_id: int) -> Steps:
    """The live stages' steps, of which the second loses records."""
    steps = build_steps(request, schema_id)
    return Steps(steps.canonicalize, LosingStep(steps.privacy), steps.call_schema)


def test_a_run_that_loses_a_record_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says that the books do not balance, and there is no manifest: the folder is not a run."""
    archive = make_archive(tmp_path / "archive", load_parts(events=200, partitions=1))
    request = ReplayRequest(settings=Settings(), archive=archive.folder)
    make(request, RunOutput(folder=tmp_path / "whole"), Progress())
    assert (tmp_path / "whole" / "manifest.json").exists()
    monkeypatch.setattr(engine, "build_steps", losing_steps)
    with pytest.raises(ReplayError, match="books do not balance"):
        make(request, RunOutput(folder=tmp_path / "losing"), Progress())
    assert not (tmp_path / "losing" / "manifest.json").exists()


def test_books_balance_when_every_record_went_to_one_place() -> None:
    """A record is a call, rightly no call, or a dead letter; none is lost, and none is counted twice."""
    books = RunBooks(records=3, calls=1)
    assert not books.balance
    books.not_calls["loader"] += 1
    books.dead_letters["canonicalize/empty"] += 1
    assert books.balance
    books.calls += 1
    assert not books.balance

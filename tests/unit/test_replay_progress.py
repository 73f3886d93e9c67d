"""app/replay/progress.py: what a person sees of a long run."""

import sys

import pytest

from app.replay.progress import Progress


@pytest.fixture
def watched(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> pytest.CaptureFixture[str]:
    """Somebody looks, and nothing is held back."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("app.replay.progress._EVERY_SECONDS", 0.0)
    return capsys


def test_each_thing_is_counted_under_its_own_name(watched: pytest.CaptureFixture[str]) -> None:
    """What is counted in turns never mixes: a number is that of the words behind it."""
    with Progress() as progress:
        read, replayed = progress.count("records read"), progress.count("records replayed", 200)
        read.add(3)
        replayed.at(50)
        read.add(4)
        replayed.at(200)
    shown = [line.partition(",")[0] for line in watched.readouterr().err.split("\r\x1b[K") if line]
    assert shown == [
        "3 records read",
        "50 of 200 (25 %) records replayed",
        "7 records read",
        "200 of 200 (100 %) records replayed",
    ]


def test_nothing_is_said_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """A log is not filled with a progress that nobody watches."""
    with Progress() as progress:
        progress.count("records read").add(3)
    assert capsys.readouterr().err == ""

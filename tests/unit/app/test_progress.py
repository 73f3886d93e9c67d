"""app/progress.py: what a person sees of a long run."""

import io
import sys

import pytest

from app.progress import Progress


class _Terminal(io.StringIO):
    """Standard error that somebody looks at."""

    def isatty(self) -> bool:
        return True


def test_each_thing_is_counted_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted in turns never mixes: a number is that of the words behind it."""
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("app.progress._EVERY_SECONDS", 0.0)
    with Progress() as progress:
        read, replayed = progress.count("records read"), progress.count("records replayed", 200)
        read.add(3)
        replayed.at(50)
        read.add(4)
        replayed.at(200)
    shown = [line.split(", ")[0] for line in terminal.getvalue().split("\r\x1b[K") if line]
    assert shown == [
        "3 records read",
        "50 of 200 (25 %) records replayed",
        "7 records read",
        "200 of 200 (100 %) records replayed",
    ]


def test_things_pass_through_and_are_counted() -> None:
    """A thing counts when it is dealt with, which is when the next one is taken."""
    with Progress() as progress:
        done = [(thing, progress.done) for thing in progress.each("abc", "letters read", 3)]
        assert done == [("a", 0), ("b", 1), ("c", 2)]
        assert progress.done == 3


def test_nothing_is_said_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """A log is not filled with a progress that nobody watches."""
    with Progress() as progress:
        progress.count("records read").add(3)
    assert capsys.readouterr().err == ""

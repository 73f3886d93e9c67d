"""How `callstream demo` shows its console; the demonstration itself is played elsewhere."""

import stat
import threading
import webbrowser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.commands import demo

URL = "http://127.0.0.1:1234/#token=a&b"


@pytest.fixture(name="opened")
def _opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was asked to open. The run is over at once, and the person presses Ctrl-C at once."""

    def run_demo(_options: object, _say: object, _progress: object, hold: Any) -> Any:
        report = SimpleNamespace(succeeded=True)
        if hold is not None:
            hold(report, URL)
        return report

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            del timeout
            raise KeyboardInterrupt

    opened: list[str] = []

    def open_page(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(demo, "run_demo", run_demo)
    monkeypatch.setattr(demo, "text_of", lambda _report: "the report")
    monkeypatch.setattr(threading, "Event", Interrupted)
    monkeypatch.setattr(webbrowser, "open", open_page)
    return opened


def test_the_console_is_opened_by_a_file_that_only_this_user_reads(opened: list[str], tmp_path: Path) -> None:
    """Its address has a token, and everybody on a host sees the arguments of a process."""
    done = CliRunner().invoke(cli, ["demo", "--open", "--keep", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert f"The console is at {URL}" in done.output
    page = tmp_path / "console.html"
    assert opened == [page.as_uri()]
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "#token=a&amp;b" in page.read_text()


def test_without_a_person_nothing_stays_up(opened: list[str], tmp_path: Path) -> None:
    """A script that keeps the folder gets its end as before, and is told how to look."""
    done = CliRunner().invoke(cli, ["demo", "--keep", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "The console is at" not in done.output
    assert "callstream demo --open" in done.output
    assert opened == []


def test_a_program_cannot_ask_for_a_browser(opened: list[str]) -> None:
    """It would wait for a person."""
    done = CliRunner().invoke(cli, ["demo", "--open", "--json"])
    assert done.exit_code == 2
    assert opened == []

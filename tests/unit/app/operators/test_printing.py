"""Lines of commands: one door, and nothing passes it unescaped."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.operators.printing import Styled, echo, print_traceback, rewrite

ROOT = Path(__file__).resolve().parents[4]

DOORS = {
    "app/operators/printing.py",
    "app/telemetry/logs.py",  # log lines, which it escapes
    "app/export/output.py",  # bytes of an exported file
    "app/symbols/reader.py",  # answers of a process of ours to its parent, as JSON
    "app/symbols/demangler.py",  # as above
    "app/symbols/package_reader.py",  # as above
    "app/embedded/record_pins.py",  # for developers, of our own build file
}
"""Files that may write to standard output or standard error."""


def test_one_place_writes_lines() -> None:
    """A new command cannot forget to escape, because it has no other way to print."""
    writes = re.compile(
        r"\bclick\.(?:echo|secho|style|prompt|confirm)\b|(?<![\w.])print\(|\bsys\.std(?:out|err)\.(?!isatty)"
    )
    found = {
        str(path.relative_to(ROOT))
        for folder in ("app", "agents", "schemas")
        for path in (ROOT / folder).rglob("*.py")
        if writes.search(path.read_text(encoding="utf-8"))
    }

    assert found <= DOORS


def test_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Also with styled parts, and on standard error."""
    echo("a\nb ", Styled("ok\x1b[2J", colour="green"), " c")
    echo("\udce9", err=True)
    rewrite("\n1 done")

    captured = capsys.readouterr()
    assert captured.out == "a\\nb ok\\u001b[2J c\n\r\\n1 done"
    assert captured.err == "\\udce9\n"


def test_an_unexpected_exception_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Its text may come from a record."""
    print_traceback(ValueError, ValueError("\x1b]0;x\x07"), None)

    assert capsys.readouterr().err == "ValueError: \\u001b]0;x\\u0007\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--evil\x1b[2J"],
        ["evil\x1b[2J"],
        ["tap", "--evil\x1b[2J"],
        ["tap", "--from", "evil\x1b[2J\nx"],
        ["tap", "evil\x1b[2J\nx"],
        ["watch", "add", "evil\x1b[2J\nx y"],
        ["replay", "--verify", "evil\x1b[2J\nx"],
        ["privacy", "policy", "--check", "evil\x1b[2J\nx"],
        ["symbols", "lookup", "evil\x1b[2J\nx"],
    ],
)
def test_messages_about_wrong_options_are_escaped(arguments: list[str]) -> None:
    """They quote what was written, by us and by click."""
    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code in {1, 2}
    assert all(line.isprintable() for line in result.output.split("\n")), result.output
    assert "\nx" not in result.output


def test_unknown_variables_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names come from whoever made the environment."""
    monkeypatch.setenv("CALLSTREAM_EVIL\x1b[2J\nx", "1")

    output = CliRunner().invoke(cli, ["doctor", "--settings"]).output
    assert "CALLSTREAM_EVIL\\u001b[2J\\nx is not a setting" in click.unstyle(output)

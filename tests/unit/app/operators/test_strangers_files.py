"""Every command that reads a file of a stranger: one line of message that names the file, exit code 2, no traceback."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.__main__ import cli

_COMMANDS = {
    "policy": ["privacy", "policy", "--check", "{file}"],
    "cases": ["privacy", "test", "{file}"],
    "vex": ["export", "--format", "openvex", "--vex", "{file}"],
    "module map": ["symbols", "map", "--store", "{folder}/store", "{file}"],
    "rights": ["topics", "allow", "{file}", "--check"],
}
_TEXTS = {
    "brackets": "a = " + "[" * 100_000,
    "a deep table": "a = " + "{b = " * 500 + "1" + "}" * 500,
    "a long key": ".".join(["a"] * 30_000) + " = 1",
    "more than a file may have": "a = 1\n" + "#" * (1 << 20),
    "no UTF-8": "a = '\udcff'",
    "no TOML": "a = = \x1b[2J",
    "other types": "image = 1\nnode = [1]\nstatement = 5\nauthor = {}\ncase = [1]\nschema = {}\n",
}


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize("command", _COMMANDS)
def test_a_hostile_text_is_refused(command: str, text: str, tmp_path: Path) -> None:
    """Of every kind of file in TOML."""
    file = tmp_path / "theirs.toml"
    file.write_bytes(_TEXTS[text].encode("utf-8", "surrogateescape"))
    arguments = [one.format(file=file, folder=tmp_path) for one in _COMMANDS[command]]

    result = CliRunner().invoke(cli, arguments)

    assert isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == 2, result.output
    assert "theirs.toml" in result.output or command == "cases"
    assert "\x1b" not in result.output
    assert len(result.output.splitlines()) <= 20


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_pipe_is_refused_at_once(command: str, tmp_path: Path) -> None:
    """A pipe would wait for its writer without end."""
    file = tmp_path / "theirs.toml"
    os.mkfifo(file)
    arguments = [one.format(file=file, folder=tmp_path) for one in _COMMANDS[command]]

    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 2, result.output
    assert "is not a regular file" in result.output

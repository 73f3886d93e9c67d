"""The help texts and README: every command explains itself, and every example parses.

The examples are parsed by click itself, with every type and callback of an option, and are not run. Only files that an
example names need not exist.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from app.__main__ import COMMANDS, cli

README = Path(__file__).resolve().parents[2] / "README.md"

_SETTING = re.compile(r"[A-Z_]+=\S*")
_END = re.compile(r"(?:\s+|(?<=\S))(?:\d?>|\||;|&(?!\S)).*|\s+#.*|;.*")
"""A redirection, a pipe, the end of a command, or a comment: what a shell takes for itself."""


def _commands() -> Iterator[tuple[str, click.Command]]:
    """All commands and their subcommands, by what an operator types after `callstream`."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for sub_name, subcommand in command.commands.items():
                yield f"{name} {sub_name}", subcommand


ALL = dict(_commands())


def _help(words: str) -> str:
    result = CliRunner().invoke(cli, [*words.split(), "--help"], terminal_width=100)
    assert result.exit_code == 0, result.output
    return result.output


def _arguments(line: str) -> list[str] | None:
    """The arguments of `callstream` in a line of a shell; None if the line does not call it."""
    place = re.search(r"(?:^|[\s|(/])callstream(?=\s|$)", line)
    if place is None:
        return None
    return shlex.split(_END.sub("", line[place.end() :]))


def _parse(arguments: list[str]) -> None:
    """Parse a command line as click does before it runs a command. Raises click.ClickException."""
    command: click.Command = cli
    context: click.Context | None = None
    left = ["callstream", *arguments]
    while True:
        name, *left = left
        context = command.make_context(name, left, parent=context)
        if not isinstance(command, click.Group):
            return
        left = [*context._protected_args, *context.args]
        assert left, f"{name} needs a subcommand"
        found = command.get_command(context, left[0])
        assert found is not None, f"there is no command {left[0]}"
        command = found


@pytest.fixture(autouse=True)
def _files_need_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples name files of the reader's."""

    def convert(self: click.Path, value: Any, _parameter: object, _context: object) -> Any:
        return self.coerce_path_result(value)

    monkeypatch.setattr(click.Path, "convert", convert)


@pytest.mark.parametrize("words", ["", *ALL])
def test_every_command_has_an_example_and_its_exit_codes(words: str) -> None:
    """Nobody has to read the source to use a command in a script."""
    text = _help(words)
    assert re.search(r"^  Example:$", text, re.MULTILINE)
    assert re.search(r"^  Exit codes\b.*:$", text, re.MULTILINE)
    assert re.search(r"^    2 +\S", text, re.MULTILINE)


@pytest.mark.parametrize("words", [name for name in ALL if any("--json" in one.opts for one in ALL[name].params)])
def test_json_is_said_to_be_one_document_or_lines(words: str) -> None:
    """A script has to know whether it reads to the end or line by line."""
    text = next(one.help for one in ALL[words].params if isinstance(one, click.Option) and "--json" in one.opts)
    assert text is not None
    assert re.search(r"one JSON document|(?:one |a |the |)lines? of JSON", text)


@pytest.mark.parametrize("words", ["", *(name for name, command in ALL.items() if isinstance(command, click.Group))])
def test_no_help_cuts_a_sentence(words: str) -> None:
    """A list of commands gives each one a whole line, not the beginning of a sentence."""
    listed = _help(words).split("\nCommands:\n")[1]
    assert not re.search(r"\.\.\.$", listed, re.MULTILINE)
    assert all(line.strip() for line in listed.strip().splitlines())


@pytest.mark.parametrize("words", ["", *(name for name, command in ALL.items() if isinstance(command, click.Group))])
def test_a_group_without_a_command_shows_its_help(words: str) -> None:
    """In lines, as `--help` does, and with the exit code of wrong options."""
    result = CliRunner().invoke(cli, words.split(), terminal_width=100)
    assert result.exit_code == 2
    assert result.output == _help(words)


@pytest.mark.parametrize("words", ["", *(name for name, command in ALL.items() if isinstance(command, click.Group))])
def test_a_mistyped_command_is_recognized(words: str) -> None:
    """The message has the command that was meant; where none is like it, it has all."""
    group = ALL.get(words, cli)
    assert isinstance(group, click.Group)
    names = group.list_commands(click.Context(group))
    for name in names:
        result = CliRunner().invoke(cli, [*words.split(), f"{name}x"])
        assert result.exit_code == 2
        assert f"Did you mean {name}?" in result.output
    assert f"Commands are {', '.join(names)}." in CliRunner().invoke(cli, [*words.split(), "1234567890"]).output


@pytest.mark.parametrize("words", ["", *ALL])
def test_every_example_of_a_help_parses(words: str) -> None:
    """An example names its own command, and the command takes it."""
    examples = re.split(r"^  Example:$", _help(words), flags=re.MULTILINE)[1]
    lines = re.split(r"\n\n", examples)[0].splitlines()
    parsed = [arguments for line in lines if (arguments := _arguments(line)) is not None]
    assert any(arguments[: len(words.split())] == words.split() for arguments in parsed)
    for arguments in parsed:
        _parse(arguments)


PAGES = sorted(page for page in (README.parent / "docs").glob("*.md") if page.name != "commands.md")
"""Without the page that has every help."""


def _blocks_of(text: str) -> Iterator[str]:
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())


def _lines_of(page: Path) -> Iterator[str]:
    """A page's lines of shell, and the commands that stand in its sentences."""
    text = page.read_text(encoding="utf-8")
    yield from _blocks_of(text)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(inline.split()) for inline in re.findall(r"`([^`]+)`", prose))


README_COMMANDS = [arguments for line in _lines_of(README) if (arguments := _arguments(line))]


@pytest.mark.parametrize("arguments", README_COMMANDS, ids=" ".join)
def test_every_command_line_of_the_readme_parses(arguments: list[str]) -> None:
    """Whole command lines parse; a command that a sentence only names exists."""
    words = [word for word in arguments if word != "..."]
    if not any(word.startswith("-") for word in words) and " ".join(words) in ALL:
        return
    _parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_line_to_type_of_a_page_parses(page: Path) -> None:
    """Lines in blocks of shell; those in sentences may leave words out."""
    for line in _blocks_of(page.read_text(encoding="utf-8")):
        arguments = _arguments(line)
        if arguments is not None and "--help" not in arguments:
            _parse(arguments)


def test_the_readme_shows_most_commands() -> None:
    """The test above reads the README as it is."""
    assert len({arguments[0] for arguments in README_COMMANDS} & COMMANDS.keys()) > len(COMMANDS) // 2

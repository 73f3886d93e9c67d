"""Whether the program accepts a command line that a deployment gives it."""

from collections.abc import Sequence

import click

from app.__main__ import cli


def parse_command_line(arguments: Sequence[str]) -> None:
    """Parse a command line and run nothing. Raises click's errors, and AssertionError if there is no such command."""
    rest = list(arguments)
    command: click.Command = cli
    context = click.Context(cli, info_name="callstream")
    while isinstance(command, click.Group):
        word, found, rest = command.resolve_command(context, rest)
        assert found is not None, f"no command {word}"
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=word)
    command.make_context(command.name, rest, parent=context)

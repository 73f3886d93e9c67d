"""The group of commands: one that says what was meant where a name does not exist."""

import difflib
from typing import Any, Final

import click

COMPLETION_VARIABLE: Final = "_CALLSTREAM_COMPLETE"
"""By which a shell asks the program how a line can go on; click answers."""


class CommandGroup(click.Group):
    """Every group of callstream's command line, `callstream` itself too."""

    def resolve_command(self, context: click.Context, arguments: list[str]) -> Any:
        """The command that is named first. Ends with the most similar one if there is none of that name."""
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            names = self.list_commands(context)
            if near := difflib.get_close_matches(arguments[0], names, n=1):
                error.message += f" Did you mean {near[0]}?"
            elif not arguments[0].startswith("-"):
                error.message += f" Commands are {', '.join(names)}."
            raise

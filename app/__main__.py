"""The command line: `callstream COMMAND`, also `python -m app COMMAND`.

A command's module is imported only when that command runs. So `--help` is quick, and a part that cannot be imported
breaks its own command only. What an operator got wrong (settings, options, an unreachable server) ends with one clear
message and an exit code: see `app/commands/ending.py`. Any other exception ends with a traceback.
"""

import importlib
import os
import sys
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from app.commands.ending import ended, shows_what_click_says
from app.commands.groups import COMPLETION_VARIABLE, CommandGroup
from app.operators.printing import echo, print_traceback
from app.operators.program_version import program_version
from app.settings import unknown_variables

COMMANDS: Final[dict[str, str]] = {
    "demo": "Show the whole pipeline at work on a real Apache Kafka",
    "ingest": "Write Tetragon's events to Kafka, unchanged",
    "worker": "Run the stages: canonicalize, privacy, hot symbols",
    "reprocess": "Run a changed policy over old events, beside the live topics",
    "broker": "Run Apache Kafka and a schema registry on this machine",
    "topics": "Create and check topics and schemas",
    "tetragon-sim": "Serve recorded events as a Tetragon agent does",
    "workload": "Make events for load tests, with planted secrets if you like",
    "tap": "Show the records of any topic as text",
    "hot-symbols": "Show the functions that ran most",
    "watch": "Watch a function, to learn whether it ever runs",
    "vulnerabilities": "Say whether the code of a vulnerability is here, and whether it ran",
    "export": "Write flame graphs, profiles, runtime facts and VEX",
    "console": "Serve a page to look, search and ask why",
    "top": "Show rates, lag and losses of all processes, refreshed",
    "books": "Check that nothing is lost between any two places",
    "nodes": "See which nodes there are, and say that one is gone",
    "coverage": "Say whether a node's events of a time are complete",
    "record": "Keep a range of raw events as evidence",
    "replay": "Replay recorded events, and prove what was published",
    "dead-letters": "List what stages refused, and send it through again",
    "symbols": "Build and query the symbol store",
    "privacy": "Check, explain and audit the privacy policy",
    "doctor": "Check settings and everything that they name",
    "completion": "Let your shell complete commands and options",
}
"""Commands in the order of `--help`, with the line that stands there."""


class _LazyGroup(CommandGroup):
    """Lists every command without importing any, and ends a command that cannot do its work."""

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        with shows_what_click_says():
            return super().make_context(*arguments, **settings)

    def invoke(self, context: click.Context) -> Any:
        with shows_what_click_says(), ended(context):
            return super().invoke(context)

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"app.commands.{name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *click.Command.shell_complete(self, context, incomplete)]

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(context: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        echo(f"callstream {program_version()}")
        context.exit()


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Turn Tetragon's runtime events into calls without private data, on Apache Kafka.

    Settings are environment variables; `callstream doctor --settings` lists them. Every command has --help with an
    example and its exit codes. With --json, a command prints one document, or one a line if it shows records as it
    finds them; its help says which. Errors are text, on standard error.

    \b
    Exit codes of every command, beside its own:
      2    wrong options or settings, or a file or server that cannot be used
      130  interrupted by Ctrl-C
      141  whoever read the output has closed it
    Example:
      callstream demo
    """
    for name, nearest in unknown_variables(os.environ).items():
        meant = f"; did you mean {nearest}?" if nearest else ""
        echo(f"warning: {name} is not a setting of callstream{meant}", err=True)


def main() -> None:
    """Run the command line; exits with the command's code."""
    sys.excepthook = print_traceback
    cli(prog_name="callstream", complete_var=COMPLETION_VARIABLE)


if __name__ == "__main__":
    main()

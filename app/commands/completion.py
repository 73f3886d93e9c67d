"""`callstream completion`: lets a shell complete commands, options and names."""

import click
from click.shell_completion import get_completion_class

from app.commands.groups import COMPLETION_VARIABLE
from app.operators.printing import echo


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, and the names that they take.

    Put it where your shell looks: for bash (4.4 or newer) as in the example, for zsh as `_callstream` into a folder of
    $fpath, for fish as ~/.config/fish/completions/callstream.fish.

    \b
    Exit codes:
      0  printed
      2  wrong options
    Example:
      callstream completion bash > ~/.local/share/bash-completion/completions/callstream
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "callstream", COMPLETION_VARIABLE)
    for line in (script.source_template % script.source_vars()).splitlines():
        echo(line)

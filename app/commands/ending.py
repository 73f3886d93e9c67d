"""How every command ends when it cannot do its work: one message on standard error, and an exit code.

`app/__main__.py` runs each command inside `ended`. So a command catches no error whose message is for an operator.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

import click

from app.operators.errors import OperatorError
from app.operators.escaping import escaped
from app.operators.printing import echo

CANNOT: Final = 2
"""Wrong options or settings, or a file or server that cannot be used; click ends with it for wrong options too."""

INTERRUPTED: Final = 130
"""As shells report a SIGINT."""

READER_LEFT: Final = 141
"""As shells report a SIGPIPE: whoever read our output has closed it."""


@contextlib.contextmanager
def ended(context: click.Context) -> Iterator[None]:
    """End the command that `context` invokes, if it fails in a way that an operator can put right."""
    try:
        yield
    except OperatorError as error:
        _end(context, error.lines(), error.exit_code)
    except OSError as error:
        if error.errno == errno.EPIPE:
            _leave_quietly(context, READER_LEFT)
        _end(context, [f"{error.filename}: {error.strerror}" if error.filename else str(error)], CANNOT)
    except KeyboardInterrupt:
        _end(context, ["interrupted"], INTERRUPTED)


@contextlib.contextmanager
def until_the_reader_leaves(context: click.Context) -> Iterator[None]:
    """End the command with 0 if whoever reads its output has seen enough, as `head` has."""
    try:
        yield
    except BrokenPipeError:
        _leave_quietly(context, 0)


def _leave_quietly(context: click.Context, code: int) -> NoReturn:
    """Python flushes standard output once more at its end, and would complain of the same."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # it is not a file in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    context.exit(code)


@contextlib.contextmanager
def shows_what_click_says() -> Iterator[None]:
    """Escape what click prints about wrong options: its messages quote what was written."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # a group without a command: the message is its help, in lines, and quotes nothing
    except click.ClickException as error:
        error.message = escaped(error.message)
        raise


@contextlib.contextmanager
def exits_with(code: int, *errors: type[OperatorError]) -> Iterator[None]:
    """Give `errors` another exit code, where they mean something else to a command than to most."""
    try:
        yield
    except errors as error:
        error.exit_code = code
        raise


def _end(context: click.Context, lines: Sequence[str], code: int) -> None:
    name = f" {context.invoked_subcommand}" if context.invoked_subcommand else ""
    echo(f"callstream{name}: ", *lines[:1], err=True)
    for line in lines[1:]:
        echo(line, err=True)
    context.exit(code)

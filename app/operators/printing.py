"""The only place that writes lines to standard output and standard error for a command, each of them escaped.

`tests/unit/app/operators/test_printing.py` holds every command to it.
"""

import json
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import click

from app.operators.escaping import escaped

_CLEAR_LINE: Final = "\r\x1b[K"


@dataclass(frozen=True, slots=True)
class Styled:
    """A part of a line that a terminal shows in a colour or bold."""

    text: str
    colour: str | None = None
    is_bold: bool = False


def echo(*parts: str | Styled, err: bool = False) -> None:
    """Write the parts as one line. It is flushed, so the reader of a pipe need not wait."""
    shown = (
        click.style(escaped(part.text), fg=part.colour, bold=part.is_bold or None)
        if isinstance(part, Styled)
        else escaped(part)
        for part in parts
    )
    click.echo("".join(shown), err=err)


def print_answer(
    document: Mapping[str, Any], lines: Iterable[str | Styled], *, as_json: bool, err: bool = False
) -> None:
    """Write what a command found: the document in one line of JSON, or the lines for people."""
    for line in [json.dumps(document)] if as_json else lines:
        echo(line, err=err)


def print_traceback(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Write the traceback of an exception that nothing caught; its text may be text of any origin."""
    for part in traceback.format_exception(error):
        for line in part.rstrip("\n").split("\n"):
            echo(line, err=True)


def rewrite(text: str = "", *, err: bool = False) -> None:
    """Write a line of a terminal over the one that `rewrite` wrote before, and leave it open."""
    click.echo(_CLEAR_LINE + escaped(text), err=err, nl=False)

"""The only place that writes lines to standard output and standard error for a command, each of them escaped.

`tests/unit/app/operators/test_printing.py` holds every command to it.
"""

import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final

import click

from app.operators.escaping import escaped
from app.operators.json_text import json_text

_CLEAR_LINE: Final = "\r\x1b[K"
_CLEAR_SCREEN: Final = "\x1b[2J"
_TO_TOP: Final = "\x1b[H"
_CLEAR_REST_OF_LINE: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"


@dataclass(frozen=True, slots=True)
class Styled:
    """A part of a line that a terminal shows in a colour or bold."""

    text: str
    colour: str | None = None
    is_bold: bool = False


def echo(*parts: str | Styled, err: bool = False) -> None:
    """Write the parts as one line. It is flushed, so the reader of a pipe need not wait."""
    click.echo("".join(map(_shown, parts)), err=err)


def _shown(part: str | Styled) -> str:
    """The part as a terminal takes it: escaped, and styled unless NO_COLOR is set, as https://no-color.org says."""
    if isinstance(part, str):
        return escaped(part)
    text = escaped(part.text)
    if os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=part.colour, bold=part.is_bold or None)


def print_answer(
    document: Mapping[str, Any], lines: Iterable[str | Styled], *, as_json: bool, err: bool = False
) -> None:
    """Write what a command found: the document in one line of JSON, or the lines for people."""
    for line in [json_text(document)] if as_json else lines:
        echo(line, err=err)


def print_traceback(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Write the traceback of an exception that nothing caught; its text may be text of any origin."""
    for part in traceback.format_exception(error):
        for line in part.rstrip("\n").split("\n"):
            echo(line, err=True)


def rewrite(text: str = "", *, err: bool = False) -> None:
    """Write a line of a terminal over the one that `rewrite` wrote before, and leave it open."""
    click.echo(_CLEAR_LINE + escaped(text), err=err, nl=False)


def can_redraw() -> bool:
    """Whether standard output is a terminal on which `redraw` works."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def redraw(lines: Iterable[Sequence[str | Styled]], columns: int, *, is_first: bool) -> None:
    """Write lines, each in parts, over the whole terminal. What is wider than the terminal is cut off."""
    room = columns - 1  # in the last column, some terminals would clear the letter just written
    shown = "".join("".join(map(_shown, _fitting(line, room))) + _CLEAR_REST_OF_LINE + "\n" for line in lines)
    click.echo((_CLEAR_SCREEN if is_first else "") + _TO_TOP + shown + _CLEAR_BELOW, nl=False)


def _fitting(parts: Iterable[str | Styled], columns: int) -> Iterable[str | Styled]:
    for part in parts:
        text = escaped(part.text if isinstance(part, Styled) else part)[: max(0, columns)]
        columns -= len(text)
        yield text if isinstance(part, str) else replace(part, text=text)

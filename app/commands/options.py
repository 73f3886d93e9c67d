"""Options that several commands share: files, places in a topic, times, and which raw events are meant.

`app/kafka/positions.py` says what the words mean.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import click

from app.kafka import positions
from app.kafka.positions import Position, PositionError, RangeChoice
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular_text
from app.replay.request import RawChoice

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Value = TypeVar("_Value")

_NOW: Final = "callstream.now_ns"


class WordsType(click.ParamType, Generic[_Value]):
    """A text that a function of `app/kafka/positions.py` reads. A text that it refuses is a wrong option."""

    def __init__(self, name: str, read: Callable[[str, int], _Value]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value of a text. Ends the command with what can be written, if the text is refused."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value, _now_ns(ctx))
        except PositionError as error:
            self.fail(str(error), param, ctx)


def _now_ns(context: click.Context | None) -> int:
    """The present, the same for all options of one command line: `--from 2h --to now` is exactly two hours."""
    now_ns = time.time_ns()
    return now_ns if context is None else int(context.meta.setdefault(_NOW, now_ns))


FILE: Final = click.Path(path_type=Path, dir_okay=False)
FILE_OR_INPUT: Final = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
EXISTING_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)

POSITION: Final = WordsType("position", positions.parse)
"""A place in a topic, or a time of receipt: a `Position`."""

TIME: Final = WordsType("time", positions.parse_time)
"""A time, in nanoseconds since the Unix epoch."""

POSITION_HELP: Final = (
    f"POSITION is one of: {positions.POSITION_FORMS}. Times are times of receipt. An end is not included. With "
    "PARTITION:OFFSET,... only the named partitions are read."
)
TIME_HELP: Final = f"TIME is one of: {positions.TIME_FORMS}."


def together(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """One decorator that adds all of these options, which `--help` lists in this order."""

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def position_option(flag: str, into: str, help_text: str, default: str | None = None) -> Callable[[_Command], _Command]:
    """An option that takes a `Position`."""
    shown = default is not None
    return click.option(
        flag, into, metavar="POSITION", type=POSITION, default=default, show_default=shown, help=help_text
    )


raw_events: Final = together(
    position_option("--from", "start", "Where to begin.", "first"),
    position_option("--to", "end", "Where to end, not included.", "last"),
    click.option(
        "--partition", "partitions", type=click.IntRange(0), multiple=True, help="Only this partition; may be repeated."
    ),
    click.option(
        "--event-time",
        is_flag=True,
        help="Times are those of the events, not those of receipt. This reads the whole topic.",
    ),
    position_option(
        "--loaders-from",
        "loaders_from",
        "Where to begin to read the loader events that the frames of the chosen events depend on.",
        "first",
    ),
)
"""Adds the options that choose raw events; `raw_choice` takes their values."""


def raw_choice(
    *, start: Position, end: Position, partitions: tuple[int, ...], event_time: bool, loaders_from: Position
) -> RawChoice:
    """The choice that the options' values make together."""
    return RawChoice(RangeChoice(start, end, frozenset(partitions) or None, event_time), loaders_from)


MAX_INPUT_BYTES: Final = 64 << 20
"""Of cases, events and needles: 10,000 events of the usual size. They are in memory at once."""


def text_of(file: Path) -> str:
    """The text of a file, or of standard input for `-`. Raises OSError and OperatorError."""
    try:
        if str(file) != "-":
            return read_regular_text(file, MAX_INPUT_BYTES)
        content = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        if len(content) > MAX_INPUT_BYTES:
            raise OperatorError(f"standard input: has more than {MAX_INPUT_BYTES:,} bytes")
        return content.decode()
    except UnicodeDecodeError as error:
        raise OperatorError(f"{file}: {error}") from None

"""The options of `record` and `replay` that say which raw events are meant.

This module refuses to know what they mean on a topic.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

from app.kafka import positions
from app.kafka.positions import Position, PositionError, Wanted
from app.replay.raw_choice import RawChoice

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _position(_context: click.Context, _parameter: click.Parameter, text: str) -> Position:
    try:
        return positions.parse(text, datetime.now(UTC))
    except PositionError as error:
        raise click.BadParameter(str(error)) from None


_OPTIONS: Final = (
    click.option("--from", "start", metavar="POSITION", default="first", callback=_position, help="Where to begin."),
    click.option(
        "--to", "end", metavar="POSITION", default="last", callback=_position, help="Where to end, not included."
    ),
    click.option("--partition", "partitions", type=click.IntRange(0), multiple=True, help="Only this one, or these."),
    click.option(
        "--event-time", is_flag=True, help="Times are the events' own, not those of receipt: reads everything."
    ),
    click.option(
        "--loaders-from",
        metavar="POSITION",
        default="first",
        callback=_position,
        help="From where to read the loader events that earlier frames depend on.",
    ),
)


def options(command: _Command) -> _Command:
    """Add the options to a command; `choice_of` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choice_of(
    *, start: Position, end: Position, partitions: tuple[int, ...], event_time: bool, loaders_from: Position
) -> RawChoice:
    """The options' values together."""
    return RawChoice(Wanted(start, end, frozenset(partitions) or None, event_time), loaders_from)

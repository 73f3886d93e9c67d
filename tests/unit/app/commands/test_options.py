"""app/commands/options.py: every option that takes a place or a time understands the same words."""

from collections.abc import Iterator

import click
import pytest

from app.__main__ import COMMANDS, cli
from app.commands.options import POSITION, TIME

TIMES = ("now", "45s", "90m", "2h", "7d", "2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00")
PLACES = ("first", "last", "last-20", "offset:1000", "0:1000,1:77")
NEITHER = ("1000", "-20", "beginning", "end", "2026-01-31T12:00:00", "2026-01-31", "yesterday")

NAMES = {"--from", "--to", "--since", "--loaders-from"}


def options() -> Iterator[tuple[str, click.Option]]:
    """All options of all commands that mean a place or a time, by their names or by their types."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        subcommands = command.commands.values() if isinstance(command, click.Group) else ()
        for one in (command, *subcommands):
            for option in one.params:
                if isinstance(option, click.Option) and (
                    NAMES.intersection(option.opts) or option.type in (POSITION, TIME)
                ):
                    yield f"{name} {option.opts[0]}", option


ALL = dict(options())


def test_every_command_that_takes_a_place_or_a_time_is_in_the_table() -> None:
    """The commands and options that an operator knows."""
    assert {where for where, option in ALL.items() if option.type is TIME} == {
        "coverage --from",
        "coverage --to",
        "hot-symbols --since",
        "nodes --at",
        "nodes --from",
        "symbols --since",
    }
    assert {where for where, option in ALL.items() if option.type is POSITION} == {
        "tap --from",
        "tap --to",
        "export --base-from",
        "export --base-to",
        "export --from",
        "export --to",
        "privacy --from",
        "privacy --to",
        "record --from",
        "record --to",
        "record --loaders-from",
        "replay --from",
        "replay --to",
        "replay --loaders-from",
        "reprocess --from",
    }
    assert len(ALL) == 21


@pytest.mark.parametrize("where", ALL)
def test_a_word_means_the_same_in_every_command(where: str) -> None:
    """Each word is understood by all, or refused by all; an option for times refuses places."""
    option = ALL[where]
    context = click.Context(cli)

    def understood(word: str) -> bool:
        try:
            option.type_cast_value(context, word)
        except click.BadParameter:
            return False
        return True

    taken = {word for word in (*TIMES, *PLACES, *NEITHER) if understood(word)}
    assert taken == {*TIMES, *(PLACES if option.type is POSITION else ())}


def test_now_is_the_same_for_all_options_of_a_command_line() -> None:
    """From an hour before now to now is exactly an hour."""
    context = click.Context(cli)
    begin, end = ALL["coverage --from"], ALL["coverage --to"]
    assert end.type_cast_value(context, "now") - begin.type_cast_value(context, "1h") == 3_600 * 10**9

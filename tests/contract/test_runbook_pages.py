"""docs/runbooks: every page has the same parts, and what it says to type is right. Integration tests type it."""

import re
import shlex
from typing import Final

import click
import pytest

from app.__main__ import cli
from tests.support.alarmed_pipeline import commands_of
from tests.support.alarming_faults import FAULTS
from tests.support.deployed_queries import all_series
from tests.support.prometheus import RUNBOOKS, alerts

PARTS: Final = (
    "What it means",
    "What is lost meanwhile",
    "What to look at",
    "What to do",
    "When to call somebody",
)
_SCRAPED: Final = re.compile(r"""curl -s "http://\$INSTANCE/metrics" \| grep '\^(\w+)'""")
_READY: Final = 'curl -s "http://$INSTANCE/readyz"'


@pytest.mark.parametrize("page", alerts())
def test_a_page_has_all_parts_in_order(page: str) -> None:
    """Whoever reads it at night finds each answer where it is on every page."""
    lines = (RUNBOOKS / f"{page}.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# {page}"
    assert tuple(line.removeprefix("## ") for line in lines if line.startswith("## ")) == PARTS
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("page", alerts())
def test_each_command_of_a_page_is_one_that_there_is(page: str) -> None:
    """Its command line parses, and the metrics that it looks for exist."""
    commands = commands_of(page)
    assert commands
    for command in commands:
        if found := _SCRAPED.fullmatch(command):
            assert any(name.startswith(found[1]) for name in all_series()), command
        elif command != _READY:
            _parse(command)


def test_each_alert_is_one_that_a_real_fault_causes() -> None:
    """A new alert comes with a fault that causes it."""
    told = [name for fault in FAULTS for name in (*fault.tells, *fault.then)]
    assert sorted(told) == sorted(alerts())


def _parse(line: str) -> None:
    name, *arguments = shlex.split(line.replace("$INSTANCE", "127.0.0.1:9464").replace("$NODE", "worker-1"))
    assert name == "callstream"
    if arguments == ["--version"]:
        return
    command: click.Command = cli
    context = click.Context(cli, info_name=name)
    while isinstance(command, click.Group):
        word, found, arguments = command.resolve_command(context, arguments)
        assert found is not None, f"no command {word}"
        command = found
        context = click.Context(command, parent=context, info_name=word)
    command.make_context(name, arguments, parent=context)

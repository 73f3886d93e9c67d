"""Shared by the privacy tests: an engine, the project's own tables of command lines, and secrets to plant."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from agents.privacy.redaction.answers import Cleared, Hits
from agents.privacy.redaction.choices import RedactionChoices
from agents.privacy.redaction.engine import RedactionEngine

_GOLDEN = Path(__file__).parent.parent / "golden" / "privacy"

SECRETS = ("Tr0ub4dorAnd3", "p4ss-w0rd_x9", "qwertyuiop1Z", "a.b.c~d*e!7F", "0123456789abcdef0123456789abcdef")
"""What people use as secrets: none of a form that would give it away by itself."""


@cache
def engine() -> RedactionEngine:
    """The engine with the default rules; shared, because its memory changes speed and nothing else."""
    return RedactionEngine(RedactionChoices())


def lines(name: str) -> list[str]:
    """Lines of a table in tests/golden/privacy, without comments."""
    text = (_GOLDEN / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def cleared(command_line: str, *, binary: str = "", truncated: bool = False) -> Cleared:
    """What leaves of an argument string."""
    answer = engine().arguments(binary, command_line, truncated=truncated)
    assert isinstance(answer, Cleared), answer
    return answer


def redacted(command_line: str, *, binary: str = "") -> str:
    """The text alone."""
    return cleared(command_line, binary=binary).text


def hits_of(answer: object) -> Hits:
    """Counts by rule of an answer that must be cleared."""
    assert isinstance(answer, Cleared), answer
    return answer.hits


def split_command(line: str) -> tuple[str, str]:
    """A command line as an agent sees it: the program's path, and its arguments."""
    program, _, arguments = line.partition(" ")
    return f"/usr/bin/{program}", arguments


class ConsumedRecord(NamedTuple):
    """A record as a step gets it."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 1_700_000_000_000

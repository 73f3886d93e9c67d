"""What a check finds: the state of something, and what to do if it is not as it should be.

A finding names the setting, file, topic or address that it is about, and never a private value. A warning is about
something that works and that an operator wants to know; a failure keeps a part of callstream from its work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.settings import Settings


class Area(StrEnum):
    """What can be checked, in the order of the checks."""

    SETTINGS = "settings"
    TETRAGON = "tetragon"
    KAFKA = "kafka"
    TOPICS = "topics"
    REGISTRY = "registry"
    COVERAGE = "coverage"
    SYMBOLS = "symbols"
    PRIVACY = "privacy"


class CheckVerdict(StrEnum):
    """The state of what was checked."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One line of the doctor's answer; `remedy` is empty if there is nothing to do."""

    verdict: CheckVerdict
    what: str
    remedy: str = ""


Check = Callable[[Settings], Iterator[CheckFinding]]


def ok(what: str) -> CheckFinding:
    """As it should be."""
    return CheckFinding(CheckVerdict.OK, what)


def warn(what: str, remedy: str) -> CheckFinding:
    """It works, and an operator wants to know."""
    return CheckFinding(CheckVerdict.WARN, what, remedy)


def fail(what: str, remedy: str) -> CheckFinding:
    """It does not work."""
    return CheckFinding(CheckVerdict.FAIL, what, remedy)

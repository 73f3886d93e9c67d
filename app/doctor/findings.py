"""What a check says: how something is, and what to do where it is not as it should be.

Rules: a finding names the setting, file, topic or address that it is about, and never a private value. A warning is
something that works and that an operator would want to know; a failure keeps a part of callstream from doing its job.
This module refuses to know what is checked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.settings import Settings


class Area(StrEnum):
    """What can be checked, in the order in which it is."""

    SETTINGS = "settings"
    TETRAGON = "tetragon"
    KAFKA = "kafka"
    TOPICS = "topics"
    REGISTRY = "registry"
    SYMBOLS = "symbols"
    PRIVACY = "privacy"


class Verdict(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's answer; `remedy` is empty where there is nothing to do."""

    verdict: Verdict
    what: str
    remedy: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def ok(what: str) -> Finding:
    """As it should be."""
    return Finding(Verdict.OK, what)


def warn(what: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(Verdict.WARN, what, remedy)


def fail(what: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Verdict.FAIL, what, remedy)

"""What can keep the embedded broker from running, each with a reason that a program can test."""

from enum import StrEnum
from typing import Final

from app.operators.errors import OperatorError


class Failure(StrEnum):
    """Why the embedded broker cannot be fetched or run."""

    NO_MAVEN = "no-maven"
    NO_JAVA = "no-java"
    MAVEN_FAILED = "maven-failed"
    NOT_AS_PINNED = "not-as-pinned"
    NO_SPACE = "no-space"
    PORT_IN_USE = "port-in-use"
    DATA_DIR_LOCKED = "data-dir-locked"
    DATA_DIR_INCOMPATIBLE = "data-dir-incompatible"
    NOT_READY = "not-ready"
    DIED = "died"


_BROKEN: Final = frozenset({Failure.NOT_READY, Failure.DIED})
"""The machine has all that the broker needs, but a server does not run. The other reasons are the machine's."""


class EmbeddedError(OperatorError):
    """The embedded broker cannot be fetched or run; the message says why, where, and what to do."""

    def __init__(self, reason: Failure, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        if reason in _BROKEN:
            self.exit_code = 1

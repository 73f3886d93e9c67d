"""The base of all errors whose message is for an operator.

A command ends with the message and the exit code of such an error; `app/commands/ending.py` does that in one place.
Any other exception is a fault of the program and ends with a traceback.
"""

from collections.abc import Sequence


class OperatorError(Exception):
    """Something that an operator can put right. The message says what is wrong, and where it can, what to do."""

    exit_code: int = 2

    def lines(self) -> Sequence[str]:
        """The message, line by line. An error that lists several problems overrides it."""
        return [str(self)]


class ServerError(OperatorError):
    """A server cannot be used now. The same command may work in a while, without any change."""

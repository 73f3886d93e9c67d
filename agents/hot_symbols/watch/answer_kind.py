"""The kinds of answer to a watch, by name: all that other parts need of how it is decided."""

from enum import StrEnum


class AnswerKind(StrEnum):
    """Symbols of the Avro enum WatchAnswer; a watch that no worker has answered is `Unknown`."""

    UNKNOWN = "Unknown"
    HIT = "Hit"
    NEVER_HIT = "NeverHit"
    NEVER_ENTERED = "NeverEntered"
    NOT_SEEN = "NotSeen"

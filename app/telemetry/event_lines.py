"""Log lines about single events: at most one a second for each reason, so a flood of refusals cannot fill a disk."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from agents.contract import DeadLetter
from agents.event_facts import EventFacts
from app.telemetry.logs import EventNote

log = logging.getLogger(__name__)

EACH_SECONDS: Final = 1.0

MAX_REASONS: Final = 1_000
"""Reasons are words of closed sets; beyond this all are forgotten and start again."""


class EventLines:
    """Writes the lines of one process's events. Not for several threads."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`what` begins each line, as in "an event is refused"."""
        self._what = what
        self._clock = clock
        self._said_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def say_refused(self, letter: DeadLetter, facts: Callable[[], EventFacts] = EventFacts) -> None:
        """Write a line about the event of a dead letter, with its position; without `facts`, nothing of the event."""
        place = {
            "stage": letter.stage,
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
        }
        self.say(letter.reason, facts, place)

    def is_due(self, reason: str) -> bool:
        """Whether a line with this reason would be written now."""
        return self._clock() - self._said_at.get(reason, float("-inf")) >= EACH_SECONDS

    def say(self, reason: str, facts: Callable[[], EventFacts], place: Mapping[str, object]) -> None:
        """Write a line about one event with this reason, or count it for the next line.

        `facts` is called only for a line that is written. `place` says where the event is.
        """
        if not self.is_due(reason):
            self._held_back[reason] = self._held_back.get(reason, 0) + 1
            return
        if len(self._said_at) >= MAX_REASONS:
            self._said_at.clear()
        self._said_at[reason] = self._clock()
        more = self._held_back.pop(reason, 0)
        counted = {"moreBefore": more} if more else {}
        extra = {"event": EventNote(*facts()), "facts": {"reason": reason, **place, **counted}}
        log.warning("%s: %s", self._what, reason, extra=extra)

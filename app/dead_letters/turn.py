"""Lets one retry at a time send, whichever hosts they are on.

Two retries would each send what the other has not noted yet. So a retry is a member of a consumer group of its own, and
sends only while it is the group's only one. Kafka forgets a member that was killed when its session is over. A member
that stood still may have lost its turn. So it sends only for a short time after the brokers said that the turn is its
own, and nothing waits in its producer while it puts that question.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from app.kafka.client import READING, client_config
from app.kafka.group_members import member_names
from app.operators.errors import OperatorError
from app.settings import Settings
from schemas import topics

SESSION_SECONDS: Final = 15
"""How long a retry that was killed keeps its turn. A broker's restart takes less."""

ANSWER_IS_GOOD_SECONDS: Final = 3.0
"""How long an answer of the brokers holds. What a retry has handed to its producer by then expires
(`WRITING_SECONDS`) before its session does."""

WRITING_SECONDS: Final = 10
"""How long the producer tries to write a record."""

WAIT_SECONDS: Final = 30.0
"""For the turn: a retry that was killed is forgotten by then."""

JOIN_SECONDS: Final = 8.0
"""For a group of several retries that joined at the same moment to have one; less than a retry in its turn waits."""

_POLL_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 1.0

Tell = Callable[[str], None]


class RetryRunningError(OperatorError):
    """Another retry sends, or has taken the turn of this one; the message names it."""

    exit_code = 3


class RetryTurn:
    """The turn of this process, while it is open."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.name(topics.DEAD_LETTERS)
        self._group = settings.name(topics.RETRY_GROUP)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._settings = settings
        self._consumer = Consumer(
            client_config(settings, client_id=self._name)
            | {
                **READING,
                "group.id": self._group,
                "session.timeout.ms": SESSION_SECONDS * 1_000,
                "max.poll.interval.ms": 86_400_000,  # a long list is read and tried between two polls
                "partition.assignment.strategy": "range",
                "log_level": 0,
            }
        )
        self._assigned = False
        self._member_id = ""
        """What the brokers call us; another one since then means that our session ended, and others had their turn."""
        self._good_until = 0.0

    def take(self, tell: Tell) -> None:
        """Wait for the turn. Raises RetryRunningError, KafkaUnreachableError and KafkaUnusableError."""
        deadline = time.monotonic() + WAIT_SECONDS
        has_said = False
        while not self._joined_alone():
            others = self._others()
            if others and time.monotonic() > deadline:
                raise RetryRunningError(f"another retry is running: {_listed(others)}; nothing was sent")
            if others and not has_said:
                tell(f"another retry is running: {_listed(others)}; waiting for {WAIT_SECONDS:.0f} s")
                has_said = True
            self._consumer.poll(_PAUSE_SECONDS)  # or Kafka waits for us to give partitions back that we left
        self._member_id = self._consumer.memberid() or ""

    def renew(self) -> None:
        """Return with an answer of the brokers, just given, that the turn is ours. Takes up to `WAIT_SECONDS` and more.

        Raises RetryRunningError if it is not any more, and what `take` raises.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        self._consumer.poll(0)
        while not self._is_mine():
            self._consumer.poll(_POLL_SECONDS)
            if time.monotonic() > deadline or self._consumer.memberid() not in {self._member_id, "", None}:
                raise RetryRunningError("this retry stood still, and lost its turn; run it again")

    @property
    def holds(self) -> bool:
        """Whether the turn is certainly still ours, by the last answer. Puts no question."""
        return time.monotonic() < self._good_until

    def _joined_alone(self) -> bool:
        """Join the group if it is empty, and leave it again if others joined at the same moment.

        Of those, the first by name stays a little longer. It leaves, too, if another one has its turn already.
        """
        if self._others():
            return False
        self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)
        deadline = time.monotonic() + JOIN_SECONDS
        while not self._is_mine():
            others = self._others()
            if time.monotonic() > deadline or (others and min(others) < self._name):
                self._consumer.unsubscribe()
                return False
            self._consumer.poll(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Give the turn to others."""
        self._consumer.close()

    def _is_mine(self) -> bool:
        """Whether we have partitions, and are alone in the group."""
        asked_at = time.monotonic()
        if not self._assigned or member_names(self._settings, self._group) != {self._name}:
            return False
        self._good_until = asked_at + ANSWER_IS_GOOD_SECONDS
        return True

    def _others(self) -> frozenset[str]:
        return member_names(self._settings, self._group) - {self._name}

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        consumer.pause(partitions)  # nothing is read
        self._assigned = bool(partitions)

    def _on_revoke(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._assigned, self._good_until = False, 0.0


@contextmanager
def turn(settings: Settings, tell: Tell) -> Iterator[RetryTurn]:
    """This process's turn; `tell` gets a line if it has to wait. Raises what `RetryTurn.take` raises."""
    mine = RetryTurn(settings)
    try:
        mine.take(tell)
        yield mine
    finally:
        mine.close()


def _listed(names: frozenset[str]) -> str:
    """Host, process and a random word of each."""
    return ", ".join(sorted(names))

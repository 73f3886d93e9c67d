"""What must be true of the topics before a stage starts: they are there, alike, and keep what is written to them.

A topic whose options differ from what it was made with is refused if records would be lost or changed. Topics of events
may take smaller records than they were made for: events that are larger then become dead letters.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka.admin import AdminClient

from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, partition_counts
from app.kafka.log_ends import ANSWER_SECONDS
from app.kafka.topic_limits import topic_limits
from app.kafka.topic_watch import stamped_by_broker, stamps_trouble
from app.operators.errors import OperatorError
from app.processes.process_end import ExitCode
from app.settings import Settings
from schemas.topics import CALLS, CANONICAL, RAW, TOPICS_BY_NAME, live_name

log = logging.getLogger(__name__)

TOPICS_WAIT_SECONDS = 60.0
"""How long a broker and its topics are waited for at the start: all parts of a deployment start at once."""

_OF_EVENTS: Final = frozenset({RAW, CANONICAL, CALLS})


class TopicOptionsError(OperatorError):
    """Records would be lost or changed in a topic, by its options. The message names it and says what to do."""

    exit_code = ExitCode.WRONG_STATE


def await_topics(settings: Settings, names: Sequence[str], stop: asyncio.Event) -> int | None:
    """Wait until all topics are there; returns their partition count, or None when `stop` is set meanwhile."""
    deadline = time.monotonic() + TOPICS_WAIT_SECONDS
    while not stop.is_set():
        try:
            counts = partition_counts(settings, names, ANSWER_SECONDS)
        except (KafkaUnreachableError, KafkaUnusableError) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting: %s", error)
            time.sleep(1.0)
            continue
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))
            raise KafkaUnusableError(
                f"topics must have the same number of partitions: {listed}; see callstream topics check"
            )
        return counts[names[0]]
    return None


def check_options(admin: AdminClient, names: Sequence[str], prefix: str) -> dict[str, int]:
    """Refuse topics (full names) that the broker stamps, or that are too small for what is written to them.

    Returns the topics of events that take smaller records than they were made for, with their limits. What we may not
    see counts as right. Raises TopicOptionsError.
    """
    if (trouble := stamps_trouble(stamped_by_broker(admin, names))) is not None:
        raise TopicOptionsError(trouble)
    smaller = {}
    for name, limit in topic_limits(admin, names).items():
        topic = TOPICS_BY_NAME[live_name(name.removeprefix(prefix))]
        if limit >= topic.max_message_bytes:
            continue
        if topic.name not in _OF_EVENTS:
            raise TopicOptionsError(
                f"{name} takes {limit} bytes, and what is written there may have {topic.max_message_bytes}: "
                "callstream topics apply raises it"
            )
        log.warning("%s takes %d bytes only: larger events become dead letters", name, limit)
        smaller[name] = limit
    return smaller

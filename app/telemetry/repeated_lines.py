"""Keeps an outage from filling the log: a line that the Kafka clients repeat appears once in a while, with a count.

The first line of its kind always appears, and so do all of our own.
"""

import logging
import time
from collections.abc import Callable, Iterable

REPEAT_SECONDS = 30.0
"""aiokafka tries again ten times a second while no broker answers, and says three lines each time."""

MAX_KINDS = 256
"""Kinds of lines remembered; beyond that all are let through again."""

CLIENT_LOGGERS = (
    "aiokafka",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "app.kafka.fetched",
    "app.kafka.topic_follower.retries",
    "app.streaming.delivery.librdkafka",
    "app.ingest.writer.librdkafka",
    "app.ingest.gap_writer.librdkafka",
)


class HoldBackRepeats(logging.Filter):
    """Lets a kind of line (logger and template) through once in `REPEAT_SECONDS`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one line; adds to its message how many like it were held back."""
        now = self._clock()
        kind = (record.name, _template(record))
        if len(self._kinds) > MAX_KINDS:
            self._kinds.clear()
        last_and_held = self._kinds.setdefault(kind, [float("-inf"), 0.0])
        if now - last_and_held[0] < REPEAT_SECONDS:
            last_and_held[1] += 1
            return False
        held = int(last_and_held[1])
        last_and_held[:] = [now, 0.0]
        if held:
            record.msg = f"{record.getMessage()} (and {held} times more before)"
            record.args = ()
        return True


def _template(record: logging.LogRecord) -> str:
    """Message without its numbers, which is all that differs between librdkafka's repetitions."""
    return "".join("#" if c.isdigit() else c for c in str(record.msg))


def hold_back(names: Iterable[str] = CLIENT_LOGGERS) -> None:
    """Attach one filter to all loggers of the Kafka clients."""
    held = HoldBackRepeats()
    for name in names:
        logging.getLogger(name).addFilter(held)

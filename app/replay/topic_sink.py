"""Writes a partition's calls to a topic: same partition number, same order, the raw record's timestamp.

Rules: one idempotent producer a partition; only the last record of a portion asks for a report, for with librdkafka's
gapless guarantee it speaks for those before it (app/streaming/delivery.py). What was not acknowledged when the sink is
closed is an error. Dead letters go to the run's folder. This module refuses to know which topic is allowed.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from app.evidence.digests import Columns
from app.kafka.client import KafkaUnreachable, KafkaUnusable, client_config
from app.replay import call_file
from app.replay.lanes import Lane
from app.settings import Settings
from app.streaming.delivery import PRODUCER_CONFIG, librdkafka_log

POLL_SECONDS: Final = 0.05
SILENCE_SECONDS: Final = 60.0
"""A broker that acknowledges nothing for this long, while it has something to acknowledge, is given up on."""

log = logging.getLogger(__name__)


class TopicSink:
    """A sink for one lane, which is a whole partition."""

    def __init__(self, settings: Settings, topic: str, folder: Path, lane: Lane) -> None:
        """Raises OSError, and what `client_config` raises."""
        self._topic = topic
        self._partition = lane.partition
        self._refused = call_file.paths(folder, lane.partition)[1].open("w", encoding="utf-8")
        config = {**PRODUCER_CONFIG, **client_config(settings), "error_cb": self._on_error, "logger": librdkafka_log}
        self._producer = Producer(config)
        self._unanswered = 0
        self._heard_at = time.monotonic()
        self._failure: str | None = None

    def calls(self, records: Columns, framed: Sequence[bytes | None]) -> None:
        """Take calls. Raises KafkaUnusable where one cannot be stored, KafkaUnreachable where the broker is silent."""
        last = len(framed) - 1
        produce, topic, partition = self._producer.produce, self._topic, self._partition
        for index, (value, key, timestamp_ms) in enumerate(
            zip(framed, records.keys, records.timestamps_ms, strict=True)
        ):
            callback = self._on_delivery if index == last else None
            while True:
                try:
                    produce(topic, value, key, partition, callback, callback, timestamp_ms)
                    break
                except BufferError:
                    self._poll(POLL_SECONDS)
                except KafkaException as error:
                    raise KafkaUnusable(f"{topic}[{partition}]: {error.args[0].str()}") from None
        if framed:
            self._heard_at = self._heard_at if self._unanswered else time.monotonic()
            self._unanswered += 1
        self._poll(0)

    def end_span(self, refused: Sequence[str]) -> tuple[int, int, str]:
        """Keep the dead letters; the calls have gone to the topic."""
        self._refused.writelines(line + "\n" for line in refused)
        return 0, 0, ""

    def close(self) -> None:
        """Wait until everything is acknowledged. Raises as `calls`."""
        self._refused.close()
        while self._unanswered:
            self._poll(POLL_SECONDS)
        self._producer.flush()

    def _poll(self, seconds: float) -> None:
        try:
            self._producer.poll(seconds)
        except KafkaException as error:  # a fatal error is raised by the poll itself
            self._failure = self._failure or error.args[0].str()
        if self._failure is not None:
            raise KafkaUnusable(f"{self._topic}[{self._partition}]: {self._failure}")
        if time.monotonic() - self._heard_at > SILENCE_SECONDS and self._unanswered:
            raise KafkaUnreachable(f"no broker has acknowledged anything for {SILENCE_SECONDS:.0f} s")

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._heard_at = time.monotonic()
        if error is not None:
            self._failure = self._failure or error.str()
        else:
            self._unanswered -= 1

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = self._failure or error.str()
        else:
            log.debug("producer: %s, trying again", error.name())

"""Windows of policies to Kafka. One that cannot be sent is not kept: the next answer makes the window longer.

The schema's id is looked up, never registered.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from agents.coverage.keys import node_partition
from agents.probes.window_records import window_key
from app.ingest.gap_writer import PRODUCER_CONFIG
from app.kafka.registry import RegistryError
from schemas.probes import ProbeWindow, encode

log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 5.0
_LOOK_UP_AGAIN_SECONDS: Final = 10.0


class ProbeWriter:
    """Publishes the windows of one ingest. Not locked against threads."""

    def __init__(self, config: Mapping[str, Any], topic: str, find_schema_id: Callable[[], int | None]) -> None:
        """`find_schema_id` queries the registry; it gives None when the schema is not registered."""
        self._topic = topic
        self._find_schema_id = find_schema_id
        self._schema_id: int | None = None
        self._partitions = 0
        self._look_up_at = 0.0
        self._producer = Producer({**PRODUCER_CONFIG, **config, "logger": log.getChild("librdkafka")})
        self.trouble: str | None = None
        """Why windows cannot be written; None when they can, as far as is known."""

    def write(self, windows: Iterable[ProbeWindow]) -> None:
        """Send windows, if schema and partitions are known; does not wait for the broker to have them."""
        if not self._is_known():
            return
        assert self._schema_id is not None
        for window in windows:
            value, partition = encode(window, self._schema_id), node_partition(window.node_id, self._partitions)
            try:
                self._producer.produce(self._topic, value, window_key(window), partition, on_delivery=self._delivered)
            except BufferError:
                self._say(f"windows for {self._topic} wait for Kafka")
                break
        self._producer.poll(0)

    def flush(self, timeout_seconds: float) -> None:
        """Wait until the broker has everything, at most for the timeout."""
        self._producer.flush(timeout_seconds)

    def _is_known(self) -> bool:
        if self._schema_id is not None and self._partitions:
            return True
        if time.monotonic() < self._look_up_at:
            return False
        self._look_up_at = time.monotonic() + _LOOK_UP_AGAIN_SECONDS
        try:
            self._schema_id = self._find_schema_id()
            found = self._producer.list_topics(self._topic, timeout=_ANSWER_SECONDS).topics[self._topic]
        except (RegistryError, KafkaException) as error:
            self._say(f"schema or partitions of {self._topic} cannot be looked up: {error}")
            return False
        if self._schema_id is None or found.error is not None:
            self._say(f"{self._topic} or its schema is not there; make them with: callstream topics apply")
            return False
        self._partitions = len(found.partitions)
        return True

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.trouble = None
        else:
            self._say(f"Kafka refuses records of {self._topic}: {error.name()}")

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble

"""Coverage records to Kafka: a gap is sent until the broker has it, a heartbeat only when no gap is outstanding.

All records of a node are in one partition (`agents/coverage/keys.py`), and one idempotent producer sends them in order.
So a reader meets a gap before the heartbeat that covers its time. The schema's id is looked up, never registered. Until
the registry and a broker answer, gaps wait in the journal.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from agents.coverage.keys import node_partition, record_key
from app.ingest.journal import Journal
from app.kafka.client import LOSSLESS_PRODUCER
from app.kafka.registry import RegistryError
from app.telemetry import metrics
from app.telemetry.meter import Meter
from schemas.coverage import CLAIMS, TELLING, CoverageGap, encode

log = logging.getLogger(__name__)
_librdkafka_log = log.getChild("librdkafka")

PRODUCER_CONFIG: Final[Mapping[str, Any]] = {
    **LOSSLESS_PRODUCER,
    "linger.ms": 0,
    "queue.buffering.max.messages": 20_000,
}
_ANSWER_SECONDS: Final = 5.0
_LOOK_UP_AGAIN_SECONDS: Final = 10.0
_MAX_OUTSTANDING: Final = 1000
"""Gaps with the producer at once; the rest wait in the journal."""


class GapWriter:
    """Publishes one ingest's coverage. Not locked against threads."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        journal: Journal,
        find_schema_id: Callable[[], int | None],
        meter: Meter,
    ) -> None:
        """`find_schema_id` queries the registry; it gives None when the schema is not registered."""
        self._topic = topic
        self._journal = journal
        self._find_schema_id = find_schema_id
        self._schema_id: int | None = None
        self._partitions = 0
        self._look_up_at = 0.0
        self._meter = meter
        self._outstanding: set[CoverageGap] = set()
        self._producer = Producer({**PRODUCER_CONFIG, **config, "error_cb": self._on_error, "logger": _librdkafka_log})
        self.trouble: str | None = "no schema id yet"
        """Why coverage cannot be written; None when it can, as far as is known."""

    @property
    def pending(self) -> int:
        """Gaps that the broker has not acknowledged."""
        return len(self._journal.pending)

    def report(self, gaps: Sequence[CoverageGap]) -> None:
        """Take responsibility for gaps."""
        for gap in gaps:
            log.warning(
                "events of %s are incomplete: %s",
                gap.node_id,
                gap.cause.value,
                extra={"facts": {"from_ns": gap.from_ns, "to_ns": gap.to_ns, "events_lost": gap.events_lost}},
            )
        if gaps:
            self._journal.add(gaps)

    def claim(self, heartbeat: CoverageGap) -> None:
        """Publish a heartbeat. One that cannot be sent is not kept: the next heartbeat or a gap covers its time."""
        if self._schema_id is not None and self._partitions:
            self._send(heartbeat)

    def find_schema(self) -> bool:
        """Look up the schema's id and the partitions, if they are not known; may take as long as both clients wait."""
        if self._schema_id is not None and self._partitions:
            return True
        if time.monotonic() < self._look_up_at:
            return False
        self._look_up_at = time.monotonic() + _LOOK_UP_AGAIN_SECONDS
        try:
            if self._schema_id is None:
                self._schema_id = self._find_schema_id()
            self._partitions = self._partitions or self._find_partitions()
        except RegistryError as error:
            trouble = f"the schema of coverage cannot be looked up: {error}"
        except KafkaException as error:
            trouble = f"the partitions of {self._topic} cannot be looked up: {error.args[0].name()}"
        else:
            trouble = "the schema of coverage is not registered; do it with: callstream topics apply"
        if self._schema_id is not None and self._partitions:
            self.trouble = None
            return True
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble
        return False

    def _find_partitions(self) -> int:
        """How many the topic has. Raises KafkaException."""
        found = self._producer.list_topics(self._topic, timeout=_ANSWER_SECONDS).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    def pump(self) -> None:
        """Send what is pending and take acknowledgements; does not block."""
        if self._schema_id is not None and self._partitions:
            for gap in self._journal.pending:
                if len(self._outstanding) >= _MAX_OUTSTANDING:
                    break
                if gap not in self._outstanding:
                    self._outstanding.add(gap)
                    self._send(gap)
        self._producer.poll(0)

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything is acknowledged, at most for the timeout; the rest stays in the journal."""
        self.pump()
        self._producer.flush(timeout_seconds)

    def _send(self, gap: CoverageGap) -> None:
        assert self._schema_id is not None
        partition = node_partition(gap.node_id, self._partitions)
        acknowledged = partial(self._on_delivery, gap)
        try:
            self._producer.produce(
                self._topic, encode(gap, self._schema_id), record_key(gap), partition, on_delivery=acknowledged
            )
        except BufferError:
            self._outstanding.discard(gap)

    def _on_delivery(self, gap: CoverageGap, error: KafkaError | None, _message: Message) -> None:
        self._outstanding.discard(gap)
        if error is not None:
            self.trouble = f"Kafka refuses records of {self._topic}: {error.name()}"
            log.error("%s", self.trouble)
            return
        self.trouble = None
        if gap.cause in TELLING:
            return
        with self._meter.together():
            self._meter.add(metrics.GAPS, 1, gap.cause.value)
            self._meter.add(metrics.GAP_EVENTS, gap.events_lost or 0, gap.cause.value)
            if gap.cause in CLAIMS:
                self._meter.set(metrics.COMPLETE_UNTIL, gap.to_ns / 1e9)
        if gap.cause not in CLAIMS:
            self._journal.done(gap)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self.trouble = f"the producer of {self._topic} cannot go on: {error.name()}"
            log.error("%s", self.trouble)

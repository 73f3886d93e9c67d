"""The topic that a replay writes calls to. The operator names it; the live topic needs --force.

A missing topic is created without a retention time: calls carry the raw records' time of receipt, so Kafka would delete
last year's calls at once.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, assert_never

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from app.evidence.digests import Columns
from app.files.replacing import sync_file
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, client_config
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.provision import topic_plan
from app.provision.sizing import choose
from app.provision.topic_admin import TopicAdmin
from app.provision.topic_plan import Adjust, Create, Keep, TopicRefusal
from app.replay import call_file
from app.replay.compare.published import PublishedSchemas, belongs, raw_position
from app.replay.engine import Lane
from app.replay.request import ReplayError
from app.settings import Settings
from app.streaming.delivery import PRODUCER_CONFIG, librdkafka_log
from schemas import topics
from schemas.records import schema_text

_CALLS: Final = next(topic for topic in topics.TOPICS if topic.name == topics.CALLS)

POLL_SECONDS: Final = 0.05
SILENCE_SECONDS: Final = 60.0
"""The sink gives up on a broker that acknowledges nothing for this long while records wait."""

log = logging.getLogger(__name__)


def check_allowed(settings: Settings, name: str, *, force: bool) -> None:
    """Refuse the pipeline's own topics. Raises ReplayError."""
    if name == settings.name(topics.CALLS):
        if not force:
            raise ReplayError(f"{name} is the live topic: everybody who reads it would get these calls again; --force")
    elif name in {settings.name(topic.name) for topic in topics.TOPICS}:
        raise ReplayError(f"{name} is the pipeline's and takes no calls")


def prepare(settings: Settings, registry: SchemaRegistry, name: str, partitions: int) -> tuple[int, str | None]:
    """Create the topic if it is missing, with at least this many partitions, and register the calls' schema for it.

    Returns the schema's id, and a note for the operator or None. Raises ReplayError if the topic cannot take calls, and
    what reaching Kafka and the registry raises.
    """
    shape = replace(_CALLS, name=name, retention_ms=None, co_partitioned=False)
    admin = TopicAdmin(client_config(settings))
    sizing = choose(brokers=admin.brokers(), partitions=partitions, replicas=settings.replication_factor, existing={})
    (wanted,) = topic_plan.wanted_topics((shape,), prefix="", partitions=partitions, replication_factor=sizing.replicas)
    found = admin.existing([name])
    (decision,) = topic_plan.decide((wanted,), found)
    note = None
    match decision:
        case TopicRefusal():
            raise ReplayError(str(decision))
        case Create():
            admin.carry_out((decision,))
        case Adjust() | Keep():
            if found[name].partitions < partitions:
                raise ReplayError(f"topic {name} has {found[name].partitions} partitions; calls need {partitions}")
            admin.carry_out((decision,))
            kept_ms = int(found[name].config["retention.ms"])
            if kept_ms >= 0:
                note = f"topic {name} deletes what was received more than {kept_ms // topics.DAY_MS} days ago"
        case _:
            assert_never(decision)
    return registry.register(topics.subject(name), schema_text(_CALLS.value_schema or "")), note


class OutputCopies:
    """What a run wrote to its topic; a `CopySource`."""

    def __init__(self, reader: TopicReader, registry: SchemaRegistry, topic: str) -> None:
        self._reader = reader
        self._topic = topic
        self.schemas = PublishedSchemas.of_topics(registry, topic, topics.AUDIT)  # copies are all it reads

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Calls of the range's raw records, and what cannot be read. Raises what reading the topic raises."""
        for taken in self._reader.whole(self._topic, part.partition, all_readable=True):
            yield [record for record in taken if belongs(raw_position(record.value, self.schemas), part)]


class TopicSink:
    """Writes a partition's calls to a topic: same partition, same order, the raw record's timestamp; a `Sink`.

    Each partition has its own idempotent producer. Only the last record of a batch asks for a report, because with
    librdkafka's gapless guarantee its report covers the records before it (app/streaming/delivery.py). Closing fails if
    a record was not acknowledged. Dead letters go to the run's folder.
    """

    def __init__(self, settings: Settings, topic: str, folder: Path, lane: Lane) -> None:
        """Raises OSError, and what `client_config` raises."""
        self._topic = topic
        self._partition = lane.partition
        self._refused_path = call_file.paths(folder, lane.partition)[1]
        self._refused = self._refused_path.open("w", encoding="utf-8")
        config = {**PRODUCER_CONFIG, **client_config(settings), "error_cb": self._on_error, "logger": librdkafka_log}
        self._producer = Producer(config)
        self._unanswered = 0
        self._heard_at = time.monotonic()
        self._failure: str | None = None

    def calls(self, records: Columns, values: Sequence[bytes | None]) -> None:
        """Send calls. Raises KafkaUnusableError if one cannot be stored, KafkaUnreachableError in a silence."""
        last = len(values) - 1
        produce, topic, partition = self._producer.produce, self._topic, self._partition
        for index, (value, key, timestamp_ms) in enumerate(
            zip(values, records.keys, records.timestamps_ms, strict=True)
        ):
            callback = self._on_delivery if index == last else None
            while True:
                try:
                    produce(topic, value, key, partition, callback, callback, timestamp_ms)
                    break
                except BufferError:
                    self._poll(POLL_SECONDS)
                except KafkaException as error:
                    raise KafkaUnusableError(f"{topic}[{partition}]: {error.args[0].str()}") from None
        if values:
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
        sync_file(self._refused_path)
        while self._unanswered:
            self._poll(POLL_SECONDS)
        self._producer.flush()

    def _poll(self, seconds: float) -> None:
        try:
            self._producer.poll(seconds)
        except KafkaException as error:  # a fatal error is raised by the poll itself
            self._failure = self._failure or error.args[0].str()
        if self._failure is not None:
            raise KafkaUnusableError(f"{self._topic}[{self._partition}]: {self._failure}")
        if time.monotonic() - self._heard_at > SILENCE_SECONDS and self._unanswered:
            raise KafkaUnreachableError(f"no broker has acknowledged anything for {SILENCE_SECONDS:.0f} s")

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

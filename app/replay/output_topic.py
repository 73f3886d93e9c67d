"""The topic that a replay writes calls to: the operator's choice, made where it is missing, the live one only by force.

Rules: a topic that is made keeps its records for ever, because they carry the raw records' time of receipt, and Kafka
would delete last year's at once. This module refuses to know how calls are written.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, assert_never

from app.kafka.client import client_config
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.provision import topic_plan
from app.provision.topic_admin import TopicAdmin
from app.provision.topic_plan import Adjust, Create, Keep, TopicRefusal
from app.replay.compare.live_published import known_schema
from app.replay.compare.published import Schemas, belongs, raw_position
from app.replay.replay_run import ReplayError
from app.settings import Settings
from schemas import topics
from schemas.records import schema_text

_CALLS: Final = next(topic for topic in topics.TOPICS if topic.name == topics.CALLS)
_MS_PER_DAY: Final = topics.DAY_MS


def check_allowed(settings: Settings, name: str, *, force: bool) -> None:
    """Refuse the pipeline's own topics. Raises ReplayError."""
    if name == settings.name(topics.CALLS):
        if not force:
            raise ReplayError(f"{name} is the live topic: everybody who reads it would get these calls again; --force")
    elif name in {settings.name(topic.name) for topic in topics.TOPICS}:
        raise ReplayError(f"{name} is the pipeline's and takes no calls")


def prepare(settings: Settings, registry: SchemaRegistry, name: str, partitions: int) -> tuple[int, str | None]:
    """Make the topic where it is missing, with at least this many partitions, and register the calls' schema for it.

    Returns the registry's id for it, and what the operator should know of the topic. Raises ReplayError where the
    topic cannot take calls, and what asking Kafka and the registry raises.
    """
    shape = replace(_CALLS, name=name, retention_ms=None, co_partitioned=False)
    (wanted,) = topic_plan.wanted_topics(
        (shape,), prefix="", partitions=partitions, replication_factor=settings.replication_factor
    )
    admin = TopicAdmin(client_config(settings))
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
                note = f"topic {name} deletes what was received more than {kept_ms // _MS_PER_DAY} days ago"
        case _:
            assert_never(decision)
    return registry.register(topics.subject(name), schema_text(_CALLS.value_schema or "")), note


class OutputCopies:
    """What a run has written to its topic; a `CopySource`."""

    def __init__(self, reader: TopicReader, registry: SchemaRegistry, topic: str) -> None:
        self._reader = reader
        self._topic = topic
        self.schemas = Schemas(lambda schema_id: known_schema(registry, schema_id))

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """Calls of the range's raw records, and what cannot be read. Raises what reading the topic raises."""
        ends = self._reader.ends(self._topic, part.partition)
        for taken in self._reader.read(self._topic, part.partition, ends.first, ends.next - 1):
            yield [record for record in taken if belongs(raw_position(record.value, self.schemas), part)]

"""Records about a node to a topic of their own, all of a node in one partition. What cannot be sent is not kept here.

The schema's id is looked up, never registered.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from agents.coverage.keys import node_partition
from agents.placements.node_files import placement_key
from agents.probes.window_records import window_key
from app.ingest.gap_writer import PRODUCER_CONFIG
from app.kafka.registry import RegistryError
from app.settings import Settings
from schemas import placements, probes, topics
from schemas.node import NodeId
from schemas.placements import FilePlacement
from schemas.probes import ProbeWindow
from schemas.records import FILE_PLACEMENT, PROBE_WINDOW

log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 5.0
_LOOK_UP_AGAIN_SECONDS: Final = 10.0


class AboutNode(Protocol):
    """A record that is about a node."""

    @property
    def node_id(self) -> NodeId:
        """The node."""


RecordT = TypeVar("RecordT", bound=AboutNode)


class RecordWriter(Generic[RecordT]):
    """Publishes the records of one ingest. Not locked against threads."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        find_schema_id: Callable[[], int | None],
        *,
        key: Callable[[RecordT], bytes],
        encode: Callable[[RecordT, int], bytes],
    ) -> None:
        """`find_schema_id` queries the registry; it gives None when the schema is not registered."""
        self._topic = topic
        self._find_schema_id = find_schema_id
        self._key, self._encode = key, encode
        self._schema_id: int | None = None
        self._partitions = 0
        self._look_up_at = 0.0
        self._producer = Producer({**PRODUCER_CONFIG, **config, "logger": log.getChild("librdkafka")})
        self.trouble: str | None = None
        """Why records cannot be written; None when they can, as far as is known."""

    @property
    def is_ready(self) -> bool:
        """Whether schema and partitions are known, so that nothing has to be looked up."""
        return self._schema_id is not None and self._partitions > 0

    def write(self, several: Iterable[RecordT]) -> bool:
        """Send records, if schema and partitions are known; does not wait for the broker to have them.

        Returns whether all of them are on their way.
        """
        if not self._is_known():
            return False
        assert self._schema_id is not None
        are_sent = True
        for one in several:
            value, partition = self._encode(one, self._schema_id), node_partition(one.node_id, self._partitions)
            try:
                self._producer.produce(self._topic, value, self._key(one), partition, on_delivery=self._delivered)
            except BufferError:
                self._say(f"records for {self._topic} wait for Kafka")
                are_sent = False
                break
        self._producer.poll(0)
        return are_sent

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until nothing is on its way any more, at most for the timeout; returns whether it is so.

        The broker has what was sent then, if there is no `trouble`.
        """
        return self._producer.flush(timeout_seconds) == 0

    def _is_known(self) -> bool:
        if self.is_ready:
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


FindSchema = Callable[[str, str], int | None]
"""Gives the id of a schema, by its topic and name; None when it is not registered. Raises RegistryError."""


def probe_writer(settings: Settings, config: Mapping[str, Any], find_schema: FindSchema) -> RecordWriter[ProbeWindow]:
    """What writes windows of policies to runtime.probes; `config` says how to reach Kafka."""
    find = partial(find_schema, topics.PROBES, PROBE_WINDOW)
    return RecordWriter(config, settings.name(topics.PROBES), find, key=window_key, encode=probes.encode)


def placement_writer(
    settings: Settings, config: Mapping[str, Any], find_schema: FindSchema
) -> RecordWriter[FilePlacement]:
    """What writes the files of a node to runtime.placements; `config` says how to reach Kafka."""
    find = partial(find_schema, topics.PLACEMENTS, FILE_PLACEMENT)
    return RecordWriter(config, settings.name(topics.PLACEMENTS), find, key=placement_key, encode=placements.encode)

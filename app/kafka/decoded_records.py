"""The records of one of our Avro topics, decoded with the registry's schemas, from its beginning to its present end."""

from collections.abc import Callable, Iterator
from typing import Any

from app.kafka.records import Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings


def decoded_records(
    settings: Settings, topic: str, *, since_ms: int = 0, is_wanted: Callable[[bytes | None], bool] = lambda _key: True
) -> Iterator[tuple[Recorded, dict[str, Any] | RecordFault]]:
    """Every record of a topic, named without prefix, and what it holds, or why it cannot be used.

    `since_ms` leaves out what was received before; only records whose key `is_wanted` are decoded. Raises what
    `TopicReader` raises, and RegistryError if the registry does not answer.
    """
    name = settings.name(topic)
    with SchemaRegistry.from_settings(settings) as registry, TopicReader(settings) as reader:
        decoder = RecordDecoder(settings, registry, topic)
        for record in reader.records(name, reader.offsets_at(name, since_ms) if since_ms else None):
            if is_wanted(record.key):
                yield record, decoder.decode(record.value)

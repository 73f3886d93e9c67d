"""The records of one of our Avro topics, decoded with the registry's schemas, from its beginning to its present end."""

from collections.abc import Iterator
from typing import Any

from app.kafka.records import Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics


def decoded_records(
    settings: Settings, topic: str, *, since_ms: int = 0, key: bytes | None = None
) -> Iterator[tuple[Recorded, dict[str, Any] | None]]:
    """Every record of a topic, named without prefix, and what it holds; None if it is not of the topic's schema.

    `since_ms` leaves out what was received before, `key` the records with another key. Raises what `TopicReader`
    raises, and RegistryError if the registry does not answer.
    """
    schema = next(one.value_schema for one in topics.TOPICS if one.name == topic)
    assert schema is not None
    name = settings.name(topic)
    with SchemaRegistry.from_settings(settings) as registry, TopicReader(settings) as reader:
        decoder = RecordDecoder(registry, schema)
        for record in reader.records(name, reader.offsets_at(name, since_ms) if since_ms else None):
            if key is None or record.key == key:
                yield record, decoder.decode(record.value)

"""The records of one of our Avro topics, decoded with the registry's schemas, from its beginning to its present end."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics


def decoded_records(
    settings: Settings,
    topic: str,
    refused: RefusedRecords,
    *,
    since_ms: int = 0,
    is_wanted: Callable[[bytes | None], bool] = lambda _key: True,
    partitions: Callable[[int], Collection[int]] = range,
) -> Iterator[tuple[Recorded, dict[str, Any] | RecordFault]]:
    """Every record of a topic, named without prefix, and what it holds, or why it cannot be used.

    The latter are noted in `refused`; tombstones are not, where the topic is compacted. `since_ms` leaves out what was
    received before; only records whose key `is_wanted` are decoded. `partitions` says which of a number of partitions
    are read. Raises what `TopicReader` raises, and RegistryError if the registry does not answer.
    """
    name, is_compacted = settings.name(topic), topics.TOPICS_BY_NAME[topic].compacted
    with SchemaRegistry.from_settings(settings) as registry, TopicReader(settings) as reader:
        decoder = RecordDecoder(settings, registry, topic)
        wanted = sorted(partitions(reader.partitions(name)))
        first = {number: reader.offset_at(name, number, since_ms) for number in wanted} if since_ms else None
        for record in reader.records(name, first, partitions=wanted):
            if is_wanted(record.key):
                found = decoder.decode(record.value)
                if isinstance(found, RecordFault) and not (is_compacted and record.value is None):
                    refused.refuse(record, found)
                yield record, found

"""The published rows as they stand now: `runtime.hot-symbols`, read to its end.

Of each symbol the newest record counts, and a tombstone removes it; other records are refused. All rows are in memory
at once, at some 800 bytes each.
"""

from collections.abc import Iterator
from typing import Any

from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics


def published_rows(settings: Settings, refused: RefusedRecords) -> Iterator[dict[str, Any]]:
    """All rows in the order of their symbol ids, decoded one by one; what is not a row is noted in `refused`.

    Raises KafkaUnreachableError, KafkaUnusableError, RegistryError.
    """
    newest: dict[bytes, Recorded] = {}
    with TopicReader(settings) as reader:
        for record in reader.records(settings.name(topics.HOT_SYMBOLS)):
            if record.key is None:
                refused.refuse_keyless(record)
            elif record.value is not None:
                newest[record.key] = record
            else:
                newest.pop(record.key, None)
    with SchemaRegistry.from_settings(settings) as registry:
        schemas = RecordDecoder(settings, registry, topics.HOT_SYMBOLS)
        for key in sorted(newest):
            row = schemas.decode(newest[key].value)
            if isinstance(row, RecordFault):
                refused.refuse(newest[key], row)
            else:
                yield row

"""What the live stages have published, read from their topics; a `PublishedSource`.

A copy of a call has its raw record's timestamp, so none is before the first record of about that time; a copy may come
late, so everything up to the present end is read. Rules: no group is joined. This module refuses to know what copies
are compared with.
"""

import json
from collections.abc import Callable, Iterator
from typing import Final

from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.replay.compare.published import Schemas, audit_record, belongs, raw_position, speaks_of
from app.replay.source import ReplaySource
from app.settings import Settings
from schemas import topics

_SLACK_MS: Final = 300_000
"""Receipt times of neighbouring raw records may go back a little; nowhere by this much."""


class LivePublished:
    """Copies and audit records in the topics that the settings name."""

    def __init__(
        self,
        settings: Settings,
        reader: TopicReader,
        registry: SchemaRegistry,
        report: Callable[[int], None] = lambda _records: None,
        source: ReplaySource | None = None,
    ) -> None:
        """`report` learns how many more records were read; `source` has the raw records where the topic may not."""
        self._raw = settings.name(topics.RAW)
        self._calls = settings.name(topics.CALLS)
        self._audit = settings.name(topics.AUDIT)
        self._reader = reader
        self._source = source
        self._report = report
        self.schemas = Schemas(lambda schema_id: known_schema(registry, schema_id))

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """As `PublishedSource`. Raises what reading topics and asking the registry raises."""
        first = self._first_timestamp(part)
        if first is None:
            return
        begin = self._reader.offset_at(self._calls, part.partition, max(0, first - _SLACK_MS))
        for taken in self._all(self._calls, part.partition, begin):
            yield [record for record in taken if belongs(raw_position(record.value, self.schemas), part)]

    def audit(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        """As `PublishedSource`. Raises what reading topics and asking the registry raises."""
        begin = self._reader.ends(self._audit, part.partition).first
        for taken in self._all(self._audit, part.partition, begin):
            yield [record for record in taken if speaks_of(audit_record(record, self.schemas), part)]

    def _all(self, topic: str, partition: int, begin: int) -> Iterator[list[Recorded]]:
        last = self._reader.ends(topic, partition).next - 1
        for taken in self._reader.read(topic, partition, begin, last):
            self._report(len(taken))
            yield taken

    def _first_timestamp(self, part: OffsetRange) -> int | None:
        if self._source is not None:
            runs = self._source.batches(part.partition, part.first, part.next - 1, 1)
        else:
            runs = self._reader.read(self._raw, part.partition, part.first, part.next - 1)
        for taken in runs:
            return taken[0].timestamp
        return None


def known_schema(registry: SchemaRegistry, schema_id: int) -> str:
    """Text of a schema in the registry. Raises KeyError where there is none, RegistryError where it cannot be asked."""
    try:
        return json.dumps(json.loads(registry.schema(schema_id)))
    except RegistryError as error:
        if error.fault is Fault.NOT_FOUND:
            raise KeyError(schema_id) from None
        raise

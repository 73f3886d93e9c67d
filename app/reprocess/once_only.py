"""What a version leaves out, so that each event is in it once: copies of records that it has anyway.

An event that live stages refused, and that was sent again after a fix, is in history twice: where it was refused, and
as a copy at the end of its partition. The version makes a call of the first, or refuses both. It takes the copy only
if it began behind the first one, or if the first one never reached its source.

Notes about copies are written before the copies. So before a batch is taken, the notes are read that were there when
the source ended behind it; far from the end, those that are known already do.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from google.protobuf.message import DecodeError

from agents.contract import SourceRecord
from app.dead_letters.sent_again import SentAgain
from app.kafka.client import KafkaUnreachableError
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.operators.errors import ServerError
from app.processes.process_end import ExitCode, end_process
from app.settings import Settings
from app.streaming.batch import RecordBatch
from app.topology import StageShape
from schemas import topics
from schemas.canonical_parts_pb2 import CanonicalEventParts
from schemas.topics import Stage

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0

_AFTER_CANONICALIZE: Final = {Stage.PRIVACY.value, Stage.HOT_SYMBOLS.value}
"""Stages whose refusal means that the record reached `runtime.canonical`."""


class OnceOnly:
    """Says which records of a version's first source are copies of others that the version has; an `Omission`."""

    def __init__(self, source: str, starts: Mapping[int, int], reader: TopicReader, sent_again: SentAgain) -> None:
        """`source` is the full name of what the version reads first; `starts` are the offsets at which it began."""
        self._source = source
        self._is_raw = source.endswith(topics.RAW)
        self._starts = starts
        self._reader = reader
        self._sent_again = sent_again
        self._known_to: dict[int, int] = {}
        self._first_raw: dict[int, int] = {}

    async def __call__(self, batch: RecordBatch) -> frozenset[int]:
        """Waits while no broker answers; ends the process if we may not read the notes."""
        while True:
            try:
                return await asyncio.to_thread(self._omitted, batch)
            except KafkaUnreachableError as error:
                log.warning("it is unknown which records were sent again: %s", error)
            except ServerError as error:
                end_process(ExitCode.UNAVAILABLE, str(error))
            await asyncio.sleep(_PAUSE_SECONDS)

    def _omitted(self, batch: RecordBatch) -> frozenset[int]:
        partition = batch.partition
        if batch.records[-1].offset >= self._known_to.get(partition, 0):
            end = self._reader.ends(self._source, partition).next
            self._sent_again.read(partition)
            self._known_to[partition] = end
        if not self._sent_again.has_copies(partition):
            return frozenset()
        raw = [record.offset if self._is_raw else _raw_offset(record) for record in batch.records]
        times = [record.timestamp for record in batch.records]
        self._sent_again.meet(partition, zip(raw, times, strict=True))
        return frozenset(
            record.offset
            for record, raw_offset in zip(batch.records, raw, strict=True)
            if any(self._has(partition, original) for original in self._sent_again.originals(partition, raw_offset))
        )

    def _has(self, partition: int, original: int) -> bool:
        """Whether the version's source has a record from the place on where the version began."""
        if self._is_raw:
            return original >= self._starts[partition]
        reached = self._sent_again.refused_by(partition, original) & _AFTER_CANONICALIZE
        return bool(reached) and original >= self._first_raw_offset(partition)

    def _first_raw_offset(self, partition: int) -> int:
        """The raw offset with which the version began; 0 if that record has expired since it was read."""
        if partition not in self._first_raw:
            start, ends = self._starts[partition], self._reader.ends(self._source, partition)
            first = 0
            if ends.first <= start < ends.next:
                for run in self._reader.read(self._source, partition, start, start):
                    first = _raw_offset(run[0])
            self._first_raw[partition] = first
        return self._first_raw[partition]


@contextmanager
def once_only(settings: Settings, shape: StageShape, starts: Mapping[int, int]) -> Iterator[OnceOnly]:
    """An `OnceOnly` for a version that began at `starts`, with connections of its own."""
    with (
        SchemaRegistry.from_settings(settings) as registry,
        TopicReader(settings) as reader,
        TopicReader(settings) as notes,
    ):
        yield OnceOnly(settings.name(shape.sources[0]), starts, reader, SentAgain(settings, notes, registry))


def _raw_offset(record: SourceRecord) -> int:
    """Raw offset of a canonical event; -1 of something else."""
    try:
        return CanonicalEventParts.FromString(record.value or b"").raw_offset
    except DecodeError:
        return -1

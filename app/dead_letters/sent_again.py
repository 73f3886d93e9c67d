"""Which raw records are copies that `callstream dead-letters retry` wrote, and of which records.

Each copy is noted on `runtime.dead-letters`, before it is written and after it. Where only the first note is there,
the copy is known by its looks: it has the bytes, key and time of the record that it is of.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.dead_letters.inventory import RETRY, SENDING
from app.kafka.records import Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics


@dataclass(frozen=True, slots=True)
class _Begun:
    """A record of which a copy is to be found: its own offset, the first that its copy can have, and its time."""

    original: int
    begin: int
    timestamp_ms: int


@dataclass(slots=True)
class _PartitionNotes:
    """What the notes say of one raw partition. Copies come behind their originals."""

    original_of: dict[int, int] = field(default_factory=dict)
    """By the copy's offset."""
    stages_of: dict[int, set[str]] = field(default_factory=dict)
    """Stages that refused a record, by its offset."""
    begun: list[_Begun] = field(default_factory=list)

    def add(self, letter: dict[str, Any], timestamp_ms: int, raw_topic: str) -> None:
        """Take a dead letter or a note."""
        if letter["stage"] != RETRY:
            self.stages_of.setdefault(letter["raw_offset"], set()).add(letter["stage"])
        elif letter["source_topic"] == raw_topic:
            original = letter["source_offset"]
            if letter["reason"] == SENDING:
                self.begun.append(_Begun(original, letter["raw_offset"], timestamp_ms))
            else:
                self.original_of[letter["raw_offset"]] = original
                self.begun = [one for one in self.begun if one.original != original]


class SentAgain:
    """Follows the notes of all raw partitions, and says which raw records are copies.

    `read` takes in what has been written since. Every method raises what reading Kafka and the registry raises.
    """

    def __init__(self, settings: Settings, reader: TopicReader, registry: SchemaRegistry) -> None:
        """`reader` must be of these settings' cluster, and is used for nothing else meanwhile."""
        self._raw = settings.name(topics.RAW)
        self._letters = settings.name(topics.DEAD_LETTERS)
        self._reader = reader
        self._decoder = RecordDecoder(settings, registry, topics.DEAD_LETTERS, follows=True)
        self._notes: dict[int, _PartitionNotes] = defaultdict(_PartitionNotes)
        self._read_to: dict[int, int] = {}

    def read(self, partition: int) -> None:
        """Take in the notes that a partition has by now."""
        ends = self._reader.ends(self._letters, partition)
        begin = max(ends.first, self._read_to.get(partition, 0))
        for run in self._reader.read(self._letters, partition, begin, ends.next - 1):
            for record in run:
                letter = self._decoder.decode(record.value)
                if not isinstance(letter, RecordFault) and letter["raw_partition"] == partition:
                    self._notes[partition].add(letter, record.timestamp, self._raw)
        self._read_to[partition] = ends.next

    def has_copies(self, partition: int) -> bool:
        """Whether any record of the partition was sent again."""
        notes = self._notes[partition]
        return bool(notes.original_of or notes.begun)

    def refused_by(self, partition: int, offset: int) -> frozenset[str]:
        """The stages that refused a raw record, by name."""
        return frozenset(self._notes[partition].stages_of.get(offset, ()))

    def originals(self, partition: int, offset: int, timestamp_ms: int) -> Iterator[int]:
        """Offsets of the records of which a raw record is a copy: the one it is of, the one that is of, and so on."""
        notes = self._notes[partition]
        self._find_begun(notes, partition, offset, timestamp_ms)
        while (original := notes.original_of.get(offset)) is not None and original < offset:
            yield original
            offset = original

    def _find_begun(self, notes: _PartitionNotes, partition: int, offset: int, timestamp_ms: int) -> None:
        """Note whether a record is the copy of a retry that was stopped before its second note, or is not there yet."""
        for begun in [one for one in notes.begun if one.begin <= offset and one.timestamp_ms == timestamp_ms]:
            of = self._looks(partition, begun.original)
            if offset not in notes.original_of and of is not None and of == self._looks(partition, offset):
                notes.original_of[offset] = begun.original

    def _looks(self, partition: int, offset: int) -> tuple[object, ...] | None:
        ends = self._reader.ends(self._raw, partition)
        if ends.first <= offset < ends.next:
            for run in self._reader.read(self._raw, partition, offset, offset):
                for record in run:
                    return looks(record)
        return None


def looks(record: Recorded) -> tuple[object, ...]:
    """What a copy has in common with the record that it is of, and with no other."""
    return record.timestamp, record.key, record.value

"""Which raw records are copies that `callstream dead-letters retry` wrote, and of which records.

Each copy is noted on `runtime.dead-letters`, before it is written and after it. Where only the first note is there,
the copy is known by its looks: it has the bytes, key and time of the record that it is of.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agents.dead_letters import RETRY, SENDING
from app.dead_letters.scattered import nearby, read_run
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
    copied: set[int] = field(default_factory=set)
    """Offsets of originals."""
    stages_of: dict[int, set[str]] = field(default_factory=dict)
    """Stages that refused a record, by its offset."""
    begun: dict[int, _Begun] = field(default_factory=dict)
    """By the original's offset; only where the copy is not known."""
    looks: dict[int, bytes] = field(default_factory=dict)
    """Of originals whose copy is to be found, by offset."""

    def add(self, letter: dict[str, Any], timestamp_ms: int, raw_topic: str) -> None:
        """Take a dead letter or a note."""
        if letter["stage"] != RETRY:
            self.stages_of.setdefault(letter["raw_offset"], set()).add(letter["stage"])
        elif letter["source_topic"] == raw_topic:
            original = letter["source_offset"]
            self.copied.add(original)
            if letter["reason"] == SENDING:
                self.begun.setdefault(original, _Begun(original, letter["raw_offset"], timestamp_ms))
            else:
                self.original_of[letter["raw_offset"]] = original
                self.begun.pop(original, None)
                self.looks.pop(original, None)


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

    def was_copied(self, partition: int, offset: int) -> bool:
        """Whether a raw record was sent again."""
        return offset in self._notes[partition].copied

    def refused_by(self, partition: int, offset: int) -> frozenset[str]:
        """The stages that refused a raw record, by name."""
        return frozenset(self._notes[partition].stages_of.get(offset, ()))

    def meet(self, partition: int, records: Iterable[tuple[int, int]]) -> None:
        """Find out which of these raw records, given as offset and time, are copies without a second note.

        Such a copy is of a retry that was stopped, or that has not written the note yet.
        """
        notes = self._notes[partition]
        begins: dict[int, int] = {}
        for one in notes.begun.values():
            begins[one.timestamp_ms] = min(one.begin, begins.get(one.timestamp_ms, one.begin))
        some = [offset for offset, time_ms in records if begins.get(time_ms, offset + 1) <= offset]
        some = [offset for offset in some if offset not in notes.original_of]
        if not some:
            return
        unknown = notes.begun.keys() - notes.looks.keys()
        notes.looks |= self._looks(partition, unknown)
        by_looks: dict[bytes, list[_Begun]] = defaultdict(list)
        found = set(notes.original_of.values())
        for one in notes.begun.values():
            if one.original in notes.looks and one.original not in found:
                by_looks[notes.looks[one.original]].append(one)
        for offset, same in sorted(self._looks(partition, some).items()):
            of = next((one for one in by_looks.get(same, ()) if max(one.original + 1, one.begin) <= offset), None)
            if of is not None:
                by_looks[same].remove(of)
                notes.original_of[offset] = of.original

    def originals(self, partition: int, offset: int) -> Iterator[int]:
        """Offsets of the record that a raw record is a copy of, of the one that this is a copy of, and so on."""
        original_of = self._notes[partition].original_of
        while (original := original_of.get(offset)) is not None and original < offset:
            yield original
            offset = original

    def _looks(self, partition: int, offsets: Iterable[int]) -> dict[int, bytes]:
        """Digests of what raw records look like, by offset; of those that still exist."""
        return {
            offset: hashlib.sha256(repr(looks(record)).encode()).digest()
            for run in nearby(offsets)
            for offset, record in read_run(self._reader, self._raw, partition, run).items()
        }


def looks(record: Recorded) -> tuple[object, ...]:
    """What a copy has in common with the record that it is of, and with no other."""
    return record.timestamp, record.key, record.value

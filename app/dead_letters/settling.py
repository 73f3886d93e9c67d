"""Reads all dead letters, and finds out which of them no longer stand for an event without a call.

A stage that is killed between a dead letter and its commit reads the record again. If it runs with another policy or
program by then, it publishes a call. So three questions are put to Kafka, in this order:

1. Which raw records do all stages have behind them? Those before the offset that canonicalize has committed, once
   privacy has committed all that canonicalize had written by then. A dead letter of another record is waiting.
2. Which dead letters are there?
3. Which of them have a call that every reader counts? Readers skip a call behind one with a higher raw offset, so such
   a call closes no dead letter: the copy will be counted instead. A call keeps the timestamp and position of its raw
   record. So `runtime.calls` is read from a little before the record's time up to its raw offset, and nowhere else.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from app.dead_letters.inventory import ALL_LETTERS, Inventory, LetterState, StoredDeadLetter
from app.kafka.group_reader import GroupReader
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.replay.compare.published import PublishedSchemas, raw_position
from app.settings import Settings
from schemas import topics
from schemas.topics import Stage

PATIENCE_SECONDS: Final = 10.0
"""Stages commit every second. What privacy has not read after so long is behind, and its dead letters are waiting."""

CLOCKS_DIFFER_MS: Final = 10_000
"""Raw records of one partition have the times of several hosts."""

MAX_REPEATED: Final = 20_000
"""Calls that a stage may have sent and not committed when it was killed: its window, and a second between commits. So
far before a call may be one with a higher raw offset."""

MIN_JUMP_MS: Final = 1_000
"""To begin at another place costs a question and a fetch: less time is read through."""

_PAUSE_SECONDS: Final = 0.25


def read_letters(
    settings: Settings, progress: Progress, *, patience_seconds: float = PATIENCE_SECONDS, whole: bool = False
) -> Inventory:
    """All dead letters, with what has become of their events by now.

    With `whole`, calls of events that were sent again are looked for, too.

    Raises what reading Kafka and the registry raises.
    """
    found = Inventory(settings.name(topics.RAW))
    with SchemaRegistry.from_settings(settings) as registry, TopicReader(settings) as reader:
        name = settings.name(topics.DEAD_LETTERS)
        if not any(ends.offsets for ends in reader.all_ends(name).values()):
            return found
        settled = _settled_before(settings, reader, patience_seconds)
        decoder = RecordDecoder(settings, registry, topics.DEAD_LETTERS)
        for record in progress.each(reader.records(name), "dead letters read"):
            document = decoder.decode(record.value)
            if isinstance(document, RecordFault):
                found.unreadable.refuse(record, document)
            found.add(None if isinstance(document, RecordFault) else document, record.timestamp)
        unsettled = [one for one in found.chosen(ALL_LETTERS, LetterState.OPEN) if one.raw is not None]
        behind = (one for one in unsettled if one.raw_offset >= settled.get(one.raw_partition, 0))
        found.waiting = {(one.raw_partition, one.raw_offset) for one in behind}
        meant = found.chosen(ALL_LETTERS) if whole else unsettled
        schemas = PublishedSchemas.of_topics(registry, settings.name(topics.CALLS), settings.name(topics.AUDIT))
        found.published = _published(settings, reader, schemas, meant, progress)
    return found


def _settled_before(settings: Settings, reader: TopicReader, patience_seconds: float) -> dict[int, int]:
    """By partition, the raw offset before which no stage will read anything again."""
    with GroupReader(settings) as groups:
        settled = {number: one[0] for number, one in groups.committed(Stage.CANONICALIZE.group, topics.RAW).items()}
        ends = reader.all_ends(settings.name(topics.CANONICAL))
        deadline = time.monotonic() + patience_seconds
        while True:
            done = groups.committed(Stage.PRIVACY.group, topics.CANONICAL)
            behind = {number for number, one in ends.items() if one.offsets and done.get(number, (0,))[0] < one.next}
            if not behind or time.monotonic() > deadline:
                return {number: offset for number, offset in settled.items() if number not in behind}
            time.sleep(_PAUSE_SECONDS)


def _published(
    settings: Settings,
    reader: TopicReader,
    schemas: PublishedSchemas,
    letters: Iterable[StoredDeadLetter],
    progress: Progress,
) -> set[tuple[int, int]]:
    """Raw positions of those dead letters that have a call which every reader counts."""
    by_partition: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    for letter in letters:
        if letter.raw is not None:
            by_partition[letter.raw_partition][letter.raw] = letter.timestamp_ms
    calls = settings.name(topics.CALLS)
    there = reader.all_ends(calls)  # a record that others wrote may name any partition
    known = {partition: wanted for partition, wanted in sorted(by_partition.items()) if partition in there}
    looked_up = progress.count("dead letters looked up", sum(map(len, known.values())))
    found: set[tuple[int, int]] = set()
    for partition, wanted in known.items():
        for decided, published in _decided(_CallsOf(reader, calls, there[partition]), schemas, wanted):
            found |= published
            looked_up.add(decided)
    return found


class _CallsOf(NamedTuple):
    """Where calls of one partition are read."""

    reader: TopicReader
    topic: str
    ends: OffsetRange

    def begin(self, timestamp_ms: int) -> int:
        """Where to begin to look for the call of a raw record that was received then."""
        at = self.reader.offset_at(self.topic, self.ends.partition, max(0, timestamp_ms - CLOCKS_DIFFER_MS))
        return max(self.ends.first, at - MAX_REPEATED)

    def read(self, begin: int) -> Iterator[list[Recorded]]:
        """All calls from an offset on."""
        return self.reader.read(self.topic, self.ends.partition, begin, self.ends.next - 1)


def _decided(
    calls: _CallsOf, schemas: PublishedSchemas, wanted: Mapping[tuple[int, int], int]
) -> Iterator[tuple[int, set[tuple[int, int]]]]:
    """Look for the calls of raw positions of one partition, which are given with their times.

    Yields how many are decided more, and those of them that are published. A raw position is decided at the first
    call with its offset or a higher one. Between two that are far apart, nothing is read.
    """
    waiting, highest, at = deque(sorted(wanted)), -1, 0
    while waiting:
        at = max(at, calls.begin(wanted[waiting[0]]))
        for taken in calls.read(at):
            positions = [raw_position(record.value, schemas) for record in taken]
            in_order, highest = rising([one for one in positions if one is not None], highest)
            before = len(waiting)
            while waiting and waiting[0][1] <= highest:
                waiting.popleft()
            yield before - len(waiting), wanted.keys() & in_order
            at = taken[-1].offset + 1
            if not waiting or wanted[waiting[0]] - CLOCKS_DIFFER_MS > taken[-1].timestamp + MIN_JUMP_MS:
                break
        else:
            yield len(waiting), set()
            return


def rising(positions: Iterable[tuple[int, int]], highest: int) -> tuple[set[tuple[int, int]], int]:
    """Those raw positions of one partition whose offset is above all before them, and the highest offset then.

    Readers take the others for repetitions. A call that a later pass published behind calls with higher raw offsets is
    one of them: nobody has counted it.
    """
    found: set[tuple[int, int]] = set()
    for position in positions:
        if position[1] > highest:
            highest = position[1]
            found.add(position)
    return found, highest

"""Which raw records are copies, as the notes of retries say it, and as records look where a note is missing."""

from collections.abc import Iterator
from typing import cast

from agents.contract import DeadLetter
from agents.dead_letters import RETRY, SENDING, encode_dead_letter
from app.dead_letters.sent_again import SentAgain
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import records, topics


class _Registry:
    """Has the schema of dead letters, and no other."""

    def versions(self, _subject: str) -> list[int]:
        return [1]

    def version(self, _subject: str, _number: int) -> tuple[int, str]:
        return 1, records.schema_text(records.DEAD_LETTER)


class _Topics:
    """Partition 0 of the raw topic and of the dead letters."""

    def __init__(self, *raw: str) -> None:
        """A raw record's bytes by offset; its time is the length of its text."""
        self._logs = {
            topics.RAW: [Recorded(topics.RAW, 0, at, len(text), b"k", text.encode()) for at, text in enumerate(raw)],
            topics.DEAD_LETTERS: [],
        }
        self.read_records = 0

    def note(self, stage: str, reason: str, source: int, raw_offset: int, *, topic: str = topics.RAW) -> None:
        """Append a dead letter or a note about the raw record at `source`."""
        log, time_ms = self._logs[topics.DEAD_LETTERS], self._logs[topics.RAW][source].timestamp
        letter = DeadLetter(topic, 0, source, stage, reason, None, 0, raw_offset, time_ms)
        key, value, timestamp_ms = encode_dead_letter(letter, 1)
        log.append(Recorded(topics.DEAD_LETTERS, 0, len(log), timestamp_ms, key, value))

    def ends(self, topic: str, partition: int) -> OffsetRange:
        return OffsetRange(partition, 0, len(self._logs[topic]))

    def read(self, topic: str, _partition: int, first: int, last: int) -> Iterator[list[Recorded]]:
        found = self._logs[topic][first : last + 1]
        self.read_records += len(found)
        yield found


def _sent_again(logs: _Topics) -> SentAgain:
    found = SentAgain(Settings(), cast("TopicReader", logs), cast("SchemaRegistry", _Registry()))
    found.read(0)
    return found


def _originals(found: SentAgain, *offsets: int) -> dict[int, list[int]]:
    return {offset: list(found.originals(0, offset)) for offset in offsets}


def test_a_copy_is_of_the_record_that_its_note_names_and_of_what_that_one_is_a_copy_of() -> None:
    """A copy that was refused and sent again has two originals."""
    logs = _Topics("a", "b", "a", "a")
    for stage, reason, source, raw_offset in (
        ("privacy", "too_long", 0, 0),
        (RETRY, SENDING, 0, 2),
        (RETRY, RETRY, 0, 2),
        ("canonicalize", "too_deep", 2, 2),
        (RETRY, SENDING, 2, 3),
        (RETRY, RETRY, 2, 3),
    ):
        logs.note(stage, reason, source, raw_offset)
    found = _sent_again(logs)
    assert _originals(found, 0, 1, 2, 3) == {0: [], 1: [], 2: [0], 3: [2, 0]}
    assert [found.was_copied(0, offset) for offset in range(4)] == [True, False, True, False]
    assert found.refused_by(0, 0) == {"privacy"}
    assert found.refused_by(0, 2) == {"canonicalize"}
    assert found.has_copies(0)


def test_a_copy_without_its_second_note_is_known_by_its_bytes_and_time() -> None:
    """From the place on that the first note names; a record that only has the time is another event."""
    logs = _Topics("a", "b", "c", "dd", "a", "b", "a")
    logs.note(RETRY, SENDING, 0, 4)
    logs.note(RETRY, SENDING, 3, 4)
    found = _sent_again(logs)
    found.meet(0, [(offset, 1) for offset in (2, 4, 5, 6)])
    assert _originals(found, 2, 4, 5, 6) == {2: [], 4: [0], 5: [], 6: []}
    logs.note(RETRY, RETRY, 0, 4)
    found.read(0)
    assert _originals(found, 4) == {4: [0]}


def test_records_of_other_times_are_not_read() -> None:
    """Nearly all of a topic, however many retries were stopped."""
    logs = _Topics(*(["a"] * 3 + ["bb"] * 100))
    logs.note(RETRY, SENDING, 0, 3)
    found = _sent_again(logs)
    logs.read_records = 0
    found.meet(0, [(offset, 2) for offset in range(3, 103)])
    assert logs.read_records == 0


def test_a_topic_without_notes_has_no_copies() -> None:
    """Dead letters alone say nothing of copies."""
    logs = _Topics("a")
    logs.note("privacy", "too_long", 0, 0)
    logs.note(RETRY, RETRY, 0, 0, topic="runtime.canonical")
    assert not _sent_again(logs).has_copies(0)

"""app/kafka/topic_reader.py: what each event of a broker does to a reading, whichever command reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from agents.privacy.verifier import Verifier
from app.kafka import topic_reader
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.records import DamagedError, OffsetRange, Recorded
from app.kafka.topic_reader import PASSING, TopicReader
from app.privacy.audit import audit
from app.progress import Progress
from app.settings import Settings

TOPIC = "t"


@dataclass
class _Message:
    """A record, or an event where `code` is given."""

    number: int | None
    place: int | None
    code: int | None = None

    def error(self) -> KafkaError | None:
        return None if self.code is None else KafkaError(self.code)

    def partition(self) -> int | None:
        return self.number

    def offset(self) -> int | None:
        return self.place

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000 + (self.place or 0)

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b"value"


class _Broker:
    """A consumer that hands out `script`; partition 0 has offsets 0 to 4."""

    def __init__(self, script: list[list[_Message]]) -> None:
        self.script = script
        self.questions: list[BaseException] = []
        self.first = 0
        self.next = 5

    def __call__(self, _config: dict[str, Any]) -> "_Broker":
        return self

    def assign(self, _places: object) -> None:
        pass

    def unassign(self) -> None:
        pass

    def close(self) -> None:
        pass

    def consume(self, _count: int, _seconds: float) -> list[_Message]:
        return self.script.pop(0) if self.script else []

    def get_watermark_offsets(self, _place: object, **_more: object) -> tuple[int, int]:
        if self.questions:
            raise self.questions.pop(0)
        return self.first, self.next


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> _Broker:
    """A broker without a script yet, in place of every consumer, and limits that are over at once."""
    found = _Broker([])
    monkeypatch.setattr(topic_reader, "Consumer", found)
    monkeypatch.setattr(topic_reader, "partition_count", lambda *_: 1)
    monkeypatch.setattr(topic_reader, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(topic_reader, "_PAUSE_SECONDS", 0.0)
    return found


@pytest.fixture
def reader(broker: _Broker) -> Iterator[TopicReader]:
    """A reader of that broker."""
    del broker
    with TopicReader(Settings()) as found:
        yield found


def _all(reader: TopicReader) -> list[int]:
    return [record.offset for record in reader.records(TOPIC)]


def _range(reader: TopicReader) -> list[int]:
    return [record.offset for run in reader.read(TOPIC, 0, 0, 4) for record in run]


Reading = Callable[[TopicReader], list[int]]
EITHER = pytest.mark.parametrize("reading", [_all, _range])


@pytest.mark.parametrize("code", sorted(PASSING))
@pytest.mark.parametrize("place", [(0, None), (None, None), (-1, -1001)])
@EITHER
def test_a_passing_event_in_the_middle_does_not_end_a_reading(
    broker: _Broker, reader: TopicReader, reading: Reading, place: tuple[int | None, int | None], code: int
) -> None:
    """A broken connection and a change of leaders cost no record, in a whole topic and in a range."""
    event = _Message(*place, code)
    broker.script = [[_Message(0, 0), event, _Message(0, 1)], [event], [_Message(0, 2)], [event, _Message(0, 3)]]
    broker.script.append([_Message(0, 4)])
    assert reading(reader) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("code", sorted(PASSING))
def test_an_audit_survives_the_same_events(broker: _Broker, code: int) -> None:
    """It reads through the one reader."""
    event = _Message(0, None, code)
    broker.script = [[_Message(0, 0), event], [event, *(_Message(0, number) for number in range(1, 5))]]
    progress = Progress()
    assert list(audit(Settings(), TOPIC, Verifier(()), progress)) == []
    assert progress.done == progress.total == 5


@pytest.mark.parametrize("code", sorted(PASSING))
def test_a_question_is_asked_again_while_an_error_passes(broker: _Broker, reader: TopicReader, code: int) -> None:
    """Also where partitions begin and end is learned in spite of it."""
    broker.questions = [KafkaException(KafkaError(code)), KafkaException(KafkaError(code))]
    assert reader.ends(TOPIC, 0) == OffsetRange(0, 0, 5)


@pytest.mark.parametrize(
    "code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._FAIL]
)
@EITHER
def test_any_other_event_ends_a_reading(broker: _Broker, reader: TopicReader, reading: Reading, code: int) -> None:
    """With the topic's name and Kafka's reason."""
    broker.script = [[_Message(0, 0), _Message(0, None, code)]]
    with pytest.raises(KafkaUnusableError, match=f"does not let us read {TOPIC}: "):
        reading(reader)


@EITHER
def test_a_silence_that_lasts_names_who_is_silent(broker: _Broker, reader: TopicReader, reading: Reading) -> None:
    """Events that pass do not count as an answer."""
    broker.script = [[_Message(0, 0)], *([_Message(-1, None, KafkaError._ALL_BROKERS_DOWN)] for _ in range(3))]
    with pytest.raises(KafkaUnreachableError, match=r"has more of t\[0\] and sends nothing"):
        reading(reader)


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE])
@EITHER
def test_records_that_expire_while_they_are_read_are_named(
    broker: _Broker, reader: TopicReader, reading: Reading, code: int
) -> None:
    """A reading is never shorter than what was meant."""

    def expire() -> list[_Message]:
        broker.first = 4
        return [_Message(0, 0), _Message(0, 2), _Message(0, None, code)]

    broker.consume = lambda *_: expire()  # type: ignore[method-assign]
    with pytest.raises(DamagedError, match="topic t, partition 0: offset 3 is not there; it has 4 to 4"):
        reading(reader)


@EITHER
def test_a_broken_checksum_is_named(broker: _Broker, reader: TopicReader, reading: Reading) -> None:
    """By the offset from which on nothing was read."""
    broker.script = [[_Message(0, 0), _Message(0, 1), _Message(0, None, KafkaError._BAD_MSG)]]
    with pytest.raises(DamagedError, match="topic t, partition 0, from offset 2 on: "):
        reading(reader)


@pytest.mark.parametrize("first", [2, 9])
def test_a_range_that_the_topic_does_not_have_is_refused(broker: _Broker, reader: TopicReader, first: int) -> None:
    """Expired, or never written."""
    broker.first = 3
    with pytest.raises(DamagedError, match=f"offset {first} is not there; it has 3 to 4"):
        list(reader.read(TOPIC, 0, first, 10))


@EITHER
def test_the_end_of_the_log_ends_a_reading_of_missing_offsets(
    broker: _Broker, reader: TopicReader, reading: Reading
) -> None:
    """The last offsets may be markers; an end of the log before them is another leader's, and is waited out."""
    end = KafkaError._PARTITION_EOF
    broker.script = [[_Message(0, 1), _Message(0, 2, end)], [_Message(0, 2)], [_Message(0, 5, end)]]
    assert reading(reader) == [1, 2]


def test_what_is_written_while_a_topic_is_read_is_left_out(broker: _Broker, reader: TopicReader) -> None:
    """The end is the end when reading began."""
    broker.script = [[_Message(0, number) for number in range(3)], [_Message(0, 7), _Message(0, 8)]]
    assert _all(reader) == [0, 1, 2]


def test_a_record_is_handed_out_as_it_was_stored(broker: _Broker, reader: TopicReader) -> None:
    """With all that a stage sees of it."""
    broker.script = [[_Message(0, 4)]]
    assert list(reader.records(TOPIC, {0: 4})) == [Recorded(TOPIC, 0, 4, 1_004, b"key", b"value")]

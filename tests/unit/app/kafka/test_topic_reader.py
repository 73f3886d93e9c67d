"""app/kafka/topic_reader.py: what each event of a broker does to a reading, whichever command reads."""

from collections.abc import Callable, Iterator
from typing import assert_never

import pytest
from aiokafka import errors
from aiokafka.structs import TopicPartition
from confluent_kafka import KafkaError, KafkaException

from agents.contract import UNREADABLE_BATCH
from app.kafka import topic_reader
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.fetched import DamagedBatchError
from app.kafka.records import DamagedError, OffsetRange, Recorded
from app.kafka.topic_reader import PASSING, TopicReader
from app.privacy.audit import AuditChoice, look_at, parts_of
from app.settings import Settings

TOPIC = "t"


Taken = list[int] | int | BaseException
"""Offsets that are handed out, or one that the log is read up to without a record, or what went wrong."""


class _Broker:
    """A consumer and a fetcher, which hands out `script`; partition 0 has offsets 0 to 4."""

    def __init__(self, script: list[Taken]) -> None:
        self.script = script
        self.questions: list[BaseException] = []
        self.first = 0
        self.next = 5
        self.position = 0

    def __call__(self, _config: object) -> "_Broker":
        return self

    def assign(self, positions: dict[tuple[str, int], int]) -> None:
        self.position = positions.get((TOPIC, 0), 0)

    def release(self) -> None:
        pass

    def leave(self, _place: object) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self, _most: int, _seconds: float) -> list[Recorded]:
        taken = self.script.pop(0) if self.script else []
        match taken:
            case BaseException():
                raise taken
            case int():
                self.position = taken
                return []
            case list():
                self.position = max([self.position, *(offset + 1 for offset in taken)])
                return [_record(offset) for offset in taken]
            case _:
                assert_never(taken)

    def positions(self) -> dict[tuple[str, int], int]:
        return {(TOPIC, 0): self.position}

    def get_watermark_offsets(self, _place: object, **_more: object) -> tuple[int, int]:
        if self.questions:
            raise self.questions.pop(0)
        return self.first, self.next


def _record(offset: int, value: bytes = b"value") -> Recorded:
    return Recorded(TOPIC, 0, offset, 1_000 + offset, b"key", value)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> _Broker:
    """A broker without a script yet, in place of every consumer, and limits that are over at once."""
    found = _Broker([])
    monkeypatch.setattr(topic_reader, "Consumer", found)
    monkeypatch.setattr(topic_reader, "LogFetcher", found)
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


@EITHER
def test_pauses_do_not_end_a_reading(broker: _Broker, reader: TopicReader, reading: Reading) -> None:
    """A broken connection and a change of leaders cost no record, in a whole topic and in a range."""
    broker.script = [[0], [], [1], [], [], [2, 3], [4]]
    assert reading(reader) == [0, 1, 2, 3, 4]


def test_an_audit_reads_through_the_one_reader(broker: _Broker) -> None:
    """It looks at every record of the topic."""
    broker.script = [[0], [1, 2], [3, 4]]
    (part,) = parts_of(Settings(), AuditChoice(TOPIC))
    reported = list[int]()
    assert look_at(Settings(), part, reported.append).findings == []
    assert reported[-1] == part.offsets == 5


@pytest.mark.parametrize("code", sorted(PASSING))
def test_a_question_is_asked_again_while_an_error_passes(broker: _Broker, reader: TopicReader, code: int) -> None:
    """Also where partitions begin and end is learned in spite of it."""
    broker.questions = [KafkaException(KafkaError(code)), KafkaException(KafkaError(code))]
    assert reader.ends(TOPIC, 0) == OffsetRange(0, 0, 5)


@pytest.mark.parametrize(
    "error", [errors.TopicAuthorizationFailedError(TOPIC), errors.AuthenticationFailedError("no"), errors.KafkaError()]
)
@EITHER
def test_an_error_ends_a_reading(
    broker: _Broker, reader: TopicReader, reading: Reading, error: errors.KafkaError
) -> None:
    """With the topic's name and Kafka's reason."""
    broker.script = [[0], error]
    with pytest.raises(KafkaUnusableError, match=f"does not let us read {TOPIC}: "):
        reading(reader)


@EITHER
def test_a_broker_that_is_gone_is_named(broker: _Broker, reader: TopicReader, reading: Reading) -> None:
    """By its address."""
    broker.script = [errors.KafkaConnectionError("refused")]
    with pytest.raises(KafkaUnreachableError, match=r"no Kafka broker answers at .*: KafkaConnectionError: refused"):
        reading(reader)


@EITHER
def test_a_silence_that_lasts_names_who_is_silent(broker: _Broker, reader: TopicReader, reading: Reading) -> None:
    """A reader does not wait for ever."""
    broker.script = [[0]]
    with pytest.raises(KafkaUnreachableError, match=r"has more of t\[0\] and sends nothing"):
        reading(reader)


@EITHER
def test_records_that_expire_while_they_are_read_are_named(
    broker: _Broker, reader: TopicReader, reading: Reading
) -> None:
    """A reading is never shorter than what was meant."""

    def expire(_most: int, _seconds: float) -> list[Recorded]:
        broker.first = 4
        raise errors.OffsetOutOfRangeError({TopicPartition(TOPIC, 0): 3})

    broker.take = expire  # type: ignore[method-assign]
    with pytest.raises(DamagedError, match="topic t, partition 0: offset 3 is not there; it has 4 to 4"):
        reading(reader)


@EITHER
def test_a_broken_checksum_is_named(broker: _Broker, reader: TopicReader, reading: Reading) -> None:
    """By the offset from which on nothing was read."""
    broker.script = [[0, 1], DamagedBatchError(TOPIC, 0, 2, "Invalid CRC")]
    with pytest.raises(DamagedError, match="topic t, partition 0, from offset 2 on: Invalid CRC"):
        reading(reader)


def test_where_everything_is_needed_a_batch_that_cannot_be_inflated_is_an_error(
    broker: _Broker, reader: TopicReader
) -> None:
    """It names the offset; others get a record that says so."""

    def take(_most: int, _seconds: float) -> list[Recorded]:
        broker.position = 2
        return [_record(0), _record(1, UNREADABLE_BATCH)]

    broker.take = take  # type: ignore[method-assign]
    runs = reader.read(TOPIC, 0, 0, 1)
    assert [record.value is UNREADABLE_BATCH for record in next(runs)] == [False, True]
    with pytest.raises(DamagedError, match="topic t, partition 0, offset 1: its batch is damaged or too large"):
        list(reader.read(TOPIC, 0, 0, 1, all_readable=True))


@pytest.mark.parametrize("first", [2, 9])
def test_a_range_that_the_topic_does_not_have_is_refused(broker: _Broker, reader: TopicReader, first: int) -> None:
    """Expired, or never written."""
    broker.first = 3
    with pytest.raises(DamagedError, match=f"offset {first} is not there; it has 3 to 4"):
        list(reader.read(TOPIC, 0, first, 10))


@EITHER
def test_offsets_without_a_record_are_passed_over(broker: _Broker, reader: TopicReader, reading: Reading) -> None:
    """The last offsets may be markers."""
    broker.script = [[1], 2, [2], 5]
    assert reading(reader) == [1, 2]


def test_what_is_written_while_a_topic_is_read_is_left_out(broker: _Broker, reader: TopicReader) -> None:
    """The end is the end when reading began."""
    broker.script = [[0, 1, 2], [7, 8]]
    assert _all(reader) == [0, 1, 2]


def test_a_record_is_handed_out_as_it_was_stored(broker: _Broker, reader: TopicReader) -> None:
    """With all that a stage sees of it."""
    broker.script = [[4]]
    assert list(reader.records(TOPIC, {0: 4})) == [Recorded(TOPIC, 0, 4, 1_004, b"key", b"value")]

"""Reads ranges of a topic by position: no consumer group is joined, nothing is committed, nobody notices.

Rules: checksums are checked, by the client too; a range that the topic does not have any more is an error and not a
shorter range; offsets that hold no record (expired keys, markers) are passed over. This module refuses to know what
records mean.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from app.kafka.client import KafkaUnreachable, KafkaUnusable, client_config
from app.kafka.records import DamagedError, OffsetRange, Recorded
from app.settings import Settings

FETCH_RECORDS: Final = 2_000
POLL_SECONDS: Final = 0.1
"""How long a request waits for as many records as were asked for: at the end of a range there are fewer."""

SILENCE_SECONDS: Final = 30.0
"""A broker that sends nothing for this long, though it has more, is given up on."""

_ANSWER_SECONDS: Final = 15.0

_PASSING: Final = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}  # noqa: SLF001 - librdkafka's public error codes have this form in Python
)
"""Errors that the client gets over by itself, or that end in silence."""

_LEADER_CHANGES: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
"""What brokers answer for a moment after a topic was made or a broker went."""

_PAUSE_SECONDS: Final = 0.1

_CONFIG: Final[Mapping[str, Any]] = {
    "group.id": "callstream-replay",  # asked for by the client, and never joined
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "check.crcs": True,
    "fetch.wait.max.ms": 10,  # at a log's end the broker keeps a request this long, and what comes after it waits
    "fetch.message.max.bytes": 4 << 20,
    "queued.max.messages.kbytes": 64 << 10,  # what the client reads ahead; the default is as large
    "log_level": 0,  # errors are reported by what they broke
}


class RangeReader:
    """Reads topics of one cluster. Use as a context, or close it."""

    def __init__(self, settings: Settings) -> None:
        """Raises what `client_config` raises."""
        self._where = settings.kafka_bootstrap_servers
        self._consumer = Consumer({**client_config(settings), **_CONFIG})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def cluster(self) -> str:
        """The cluster's id. Raises KafkaUnreachable."""
        return str(self._ask(lambda: self._consumer.list_topics(timeout=_ANSWER_SECONDS)).cluster_id)

    def ends(self, topic: str, partition: int) -> OffsetRange:
        """First and next offset of a partition. Raises KafkaUnreachable."""
        where = TopicPartition(topic, partition)
        return OffsetRange(
            partition, *self._ask(lambda: self._consumer.get_watermark_offsets(where, timeout=_ANSWER_SECONDS))
        )

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Offset of the first record received at or after a time; the next offset where there is none yet."""
        asked = [TopicPartition(topic, partition, timestamp_ms)]
        (found,) = self._ask(lambda: self._consumer.offsets_for_times(asked, timeout=_ANSWER_SECONDS))
        return self.ends(topic, partition).next if found.offset < 0 else int(found.offset)

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[list[Recorded]]:
        """Records with offsets `first` to `last`, as they are fetched.

        Raises DamagedError where the topic does not have them any more, or they do not match their checksums;
        KafkaUnreachable where the broker falls silent, KafkaUnusable where it refuses.
        """
        if last < first:
            return
        self._consumer.assign([TopicPartition(topic, partition, first)])
        position, heard_at, ended = first, time.monotonic(), False
        try:
            while position <= last and not ended:
                fetched = self._consumer.consume(min(FETCH_RECORDS, last - position + 1), POLL_SECONDS)
                taken, ended = self._taken(topic, partition, position, fetched)
                if taken and taken[-1].offset > last:
                    taken, ended = [record for record in taken if record.offset <= last], True
                if taken:
                    position, heard_at = taken[-1].offset + 1, time.monotonic()
                    yield taken
                elif time.monotonic() - heard_at > SILENCE_SECONDS:
                    raise KafkaUnreachable(f"Kafka at {self._where} has more of {topic}[{partition}] and sends nothing")
        finally:
            self._consumer.unassign()

    def _taken(
        self, topic: str, partition: int, position: int, fetched: Sequence[Message]
    ) -> tuple[list[Recorded], bool]:
        """Records among what was fetched, and whether the log's end is reached."""
        taken: list[Recorded] = []
        ended = False
        for message in fetched:
            error = message.error()
            if error is None:
                taken.append(_recorded(topic, partition, message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - as above
                ended = True
            else:
                self._refuse(topic, partition, taken[-1].offset + 1 if taken else position, error)
        return taken, ended

    def _refuse(self, topic: str, partition: int, position: int, error: KafkaError) -> None:
        """Raise what an error means, unless it passes."""
        if error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001 - as above
            ends = self.ends(topic, partition)
            raise DamagedError(
                f"topic {topic}, partition {partition}: offset {position} is not there; it has {ends.first} to "
                f"{ends.next - 1}"
            )
        if error.code() == KafkaError._BAD_MSG:  # noqa: SLF001 - as above
            raise DamagedError(f"topic {topic}, partition {partition}, from offset {position} on: {error.str()}")
        if error.code() not in _PASSING:
            raise KafkaUnusable(f"Kafka at {self._where} does not let us read {topic}[{partition}]: {error.str()}")

    def _ask(self, question: Any) -> Any:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                return question()
            except KafkaException as error:
                if error.args[0].code() not in _LEADER_CHANGES or time.monotonic() > deadline:
                    raise KafkaUnreachable(f"no Kafka broker answers at {self._where}: {error.args[0].str()}") from None
            time.sleep(_PAUSE_SECONDS)


def _recorded(topic: str, partition: int, message: Message) -> Recorded:
    return Recorded(topic, partition, message.offset() or 0, message.timestamp()[1], message.key(), message.value())

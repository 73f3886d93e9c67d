"""Topics that a worker reads from their beginning and then follows, outside of every consumer group.

Partitions are assigned and nothing is committed. The follower knows when it has handed out everything that existed
when reading began: the client reports the end of each partition.
"""

import logging
from collections.abc import Mapping
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from app.kafka.client import READING, client_config
from app.kafka.records import Recorded
from app.kafka.refused import RecordRefusal, RefusedRecords
from app.kafka.schemas import RecordFault
from app.settings import Settings

_librdkafka_log = logging.getLogger(__name__).getChild("librdkafka")

log = logging.getLogger(__name__)

AT_ONCE: Final = 2_000
"""Records handed out at a time."""

_QUEUED_KBYTES: Final = 8 << 10
"""What librdkafka holds of a partition that is read slower than it comes."""


def recorded(message: Message) -> Recorded:
    """A record that `WholeTopics` handed out, as our own value."""
    topic, partition, offset, key = message.topic(), message.partition(), message.offset(), message.key()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    assert key is None or isinstance(key, bytes)
    return Recorded(topic, partition, offset, message.timestamp()[1], key, message.value())


_FETCH_BYTES: Final = 8 << 20

MAX_INFLATED_BYTES: Final = 18 << 20
"""Of a zstd batch: librdkafka takes the limit of an answer for that one, too. It has no limit for batches of other
codecs, of which a megabyte may become 250 (lz4) or 1,000 (gzip)."""


class WholeTopics:
    """Reads topics from their beginning and goes on as they grow. Its methods block."""

    def __init__(self, settings: Settings, names: Mapping[str, int], refused: RefusedRecords | None = None) -> None:
        """`names` has the partition count of each topic, named in full.

        Records of batches that cannot be inflated go to `refused`.
        """
        self._refused = RefusedRecords() if refused is None else refused
        self._places = [
            TopicPartition(name, n, OFFSET_BEGINNING) for name, count in names.items() for n in range(count)
        ]
        options = {
            **READING,
            "group.id": "callstream-reader",  # librdkafka wants a name; the group is never joined
            "enable.partition.eof": True,
            "fetch.max.bytes": _FETCH_BYTES,
            "receive.message.max.bytes": MAX_INFLATED_BYTES,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": _QUEUED_KBYTES,
            "log_level": 0,
        }
        self._consumer = Consumer(client_config(settings) | options)
        self._unread: set[tuple[str, int]] = set()
        self._reported: set[tuple[str, int]] = set()
        self.positions: dict[tuple[str, int], int] = {}
        """Offset after the last record handed out, by topic and partition."""

    @property
    def is_read(self) -> bool:
        """Whether everything has been handed out that was there when reading began."""
        return not self._unread

    def begin(self) -> None:
        """Read from the beginning, again if need be."""
        self._consumer.assign(self._places)
        self._unread = {(place.topic, place.partition) for place in self._places}
        self.positions = {}

    def next(self, seconds: float) -> list[Message]:
        """What comes within the time."""
        found = []
        stuck: set[tuple[str, int, int]] = set()
        for message in self._consumer.consume(AT_ONCE, seconds):
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            error = message.error()
            if topic is None or partition is None:  # the client's own trouble, with no record's place: brokers are away
                _librdkafka_log.warning("reading whole topics: %s, trying again", error.name() if error else "no place")
            elif error is None:
                self.positions[topic, partition] = (offset or 0) + 1
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public error code
                self.positions[topic, partition] = offset or 0
                self._unread.discard((topic, partition))
            elif error.code() == KafkaError._BAD_COMPRESSION:  # noqa: SLF001 - a public error code
                stuck.add((topic, partition, offset or 0))
            elif (topic, error.code()) not in self._reported:
                self._reported.add((topic, error.code()))
                log.warning("%s is not read: %s", topic, error.str())
            else:
                _librdkafka_log.warning("reading %s: %s, trying again", topic, error.name())
        for topic, partition in {(topic, partition) for topic, partition, _ in stuck}:
            at = max(offset for one, number, offset in stuck if (one, number) == (topic, partition))
            self._pass_over(topic, partition, max(at, self.positions.get((topic, partition), 0)))
        return found

    def _pass_over(self, topic: str, partition: int, offset: int) -> None:
        """Go on behind an offset whose batch cannot be inflated; of a batch of many records one after the other."""
        self._refused.note(RecordRefusal(topic, partition, offset, RecordFault.BATCH_TOO_LARGE))
        self.positions[topic, partition] = offset + 1
        self._consumer.seek(TopicPartition(topic, partition, offset + 1))

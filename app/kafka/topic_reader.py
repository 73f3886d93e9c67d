"""Reads topics up to their present end, or ranges of them, once and outside of every consumer group.

Partitions are assigned and positions are given, so no group is joined and nothing is committed: only the right to read
the topic is needed. "The end" is the end when reading began; `topic_follower` is for topics that are followed as they
grow. Checksums are checked. Offsets that hold no record (expired keys, markers) are passed over. A record whose batch
cannot be inflated within the limit has the value `UNREADABLE_BATCH`, so that whoever reads can count it.

This is the one place that says which errors of a broker pass: see `PASSING`. While records are fetched, aiokafka gets
over them by itself.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Self, TypeVar

from aiokafka import errors as fetch_errors
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from agents.contract import UNREADABLE_BATCH
from app.kafka.client import (
    CONNECTION_ERRORS,
    READING,
    KafkaUnreachableError,
    KafkaUnusableError,
    client_config,
    partition_count,
)
from app.kafka.fetched import DamagedBatchError
from app.kafka.listening import words_of
from app.kafka.log_fetcher import LogFetcher
from app.kafka.records import DamagedError, OffsetRange, Recorded
from app.settings import Settings

ANSWER_SECONDS: Final = 15.0
"""For one question to the brokers, repeated while errors pass."""

SILENCE_SECONDS: Final = 30.0
"""A broker that sends nothing for this long, though it has more, is given up on. A restart takes less."""

PASSING: Final = CONNECTION_ERRORS | {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
"""Errors that the client gets over by itself: a broken connection, or a partition whose leader changes, as after a
topic was made or a broker went. If they last, the limits above end the reading."""

_PAUSE_SECONDS: Final = 0.1

_FETCH_RECORDS: Final = 2_000

_POLL_SECONDS: Final = 0.1
"""How long a request waits for that many records: at the end of a range there are fewer."""

_CONFIG: Final[Mapping[str, Any]] = {
    **READING,
    "group.id": "callstream-reader",  # librdkafka wants a name; the group is never joined
    "log_level": 0,  # errors are reported by what they broke
}
"""Of the client for questions; it fetches no records."""

Answer = TypeVar("Answer")


class TopicReader:
    """Reads topics of one cluster, their names given with prefix. Use as a context, or close it.

    Every method raises KafkaUnreachableError if no broker answers or one falls silent, and KafkaUnusableError if a
    topic is missing or we may not read it.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises what `client_config` raises."""
        self._settings = settings
        self._where = settings.kafka_bootstrap_servers
        self._consumer = Consumer(client_config(settings) | dict(_CONFIG))
        self._fetcher = LogFetcher(settings)
        self._counts: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()
        self._consumer.close()

    def cluster(self) -> str:
        """The cluster's id."""
        return str(self._answer("the cluster", lambda: self._consumer.list_topics(timeout=ANSWER_SECONDS)).cluster_id)

    def topics(self) -> list[str]:
        """Names of all topics that we may see, sorted."""
        return sorted(self._answer("topics", lambda: self._consumer.list_topics(timeout=ANSWER_SECONDS)).topics)

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; read once."""
        if topic not in self._counts:
            self._counts[topic] = partition_count(self._settings, topic, ANSWER_SECONDS)
        return self._counts[topic]

    def ends(self, topic: str, partition: int) -> OffsetRange:
        """Offsets of a partition as they are now: of its first record that still exists, and of the next to be written.

        Reads nothing.
        """
        place = TopicPartition(topic, partition)

        def ask() -> tuple[int, int] | None:
            return self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS, cached=False)

        found = self._answer(f"{topic}[{partition}]", ask)
        if found is None:
            raise KafkaUnreachableError(f"Kafka at {self._where} does not say where {topic}[{partition}] ends")
        return OffsetRange(partition, *found)

    def all_ends(self, topic: str) -> dict[int, OffsetRange]:
        """`ends` of every partition."""
        return {number: self.ends(topic, number) for number in range(self.partitions(topic))}

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Offset of the first record received at or after a time; the next offset if there is none yet."""
        place = TopicPartition(topic, partition, timestamp_ms)

        def ask() -> int:
            (found,) = self._consumer.offsets_for_times([place], timeout=ANSWER_SECONDS)
            if found.error is not None:
                raise KafkaException(found.error)
            return int(found.offset)

        offset = self._answer(f"{topic}[{partition}]", ask)
        return self.ends(topic, partition).next if offset < 0 else offset

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """`offset_at` of every partition."""
        return {number: self.offset_at(topic, number, timestamp_ms) for number in range(self.partitions(topic))}

    def read(
        self, topic: str, partition: int, first: int, last: int, *, all_readable: bool = False
    ) -> Iterator[list[Recorded]]:
        """Records with offsets `first` to `last` as they are fetched; fewer if the topic ends before `last`.

        Raises DamagedError if the topic does not have them any more, or they do not match their checksums; with
        `all_readable`, also for one whose batch cannot be inflated.
        """
        if first <= last:
            there = self.ends(topic, partition)
            if not there.first <= first <= there.next:
                raise _gone(topic, first, there)
            runs = self._read(topic, [OffsetRange(partition, first, min(last + 1, there.next))])
            yield from _all_readable(runs) if all_readable else runs

    def whole(self, topic: str, partition: int, *, all_readable: bool = False) -> Iterator[list[Recorded]]:
        """All records of a partition that still exist, up to its present end. Raises DamagedError as `read` does."""
        there = self.ends(topic, partition)
        return self.read(topic, partition, there.first, there.next - 1, all_readable=all_readable)

    def records(
        self,
        topic: str,
        starts: Mapping[int, int] | None = None,
        stops: Mapping[int, int] | None = None,
        *,
        partitions: Iterable[int] | None = None,
    ) -> Iterator[Recorded]:
        """All records from `starts` (the first, if not given) to before `stops` (the present ends), intermixed.

        They are those of some partitions, or of all if `partitions` is not given.
        A start before the first offset that exists means that one. Raises DamagedError as `read` does.
        """
        begins, before = starts or {}, stops or {}
        ranges = [
            OffsetRange(
                number, max(begins.get(number, 0), there.first), min(before.get(number, there.next), there.next)
            )
            for number, there in self._ends_of(topic, partitions).items()
        ]
        for taken in self._read(topic, ranges):
            yield from taken

    def _ends_of(self, topic: str, partitions: Iterable[int] | None) -> dict[int, OffsetRange]:
        if partitions is None:
            return self.all_ends(topic)
        return {number: self.ends(topic, number) for number in sorted(set(partitions))}

    def _read(self, topic: str, ranges: Iterable[OffsetRange]) -> Iterator[list[Recorded]]:
        wanted = [one for one in ranges if one.offsets > 0]
        if not wanted:
            return
        positions = {one.partition: one.first for one in wanted}
        ends = {one.partition: one.next for one in wanted}
        self._fetch(topic, lambda: self._fetcher.assign({(topic, at): first for at, first in positions.items()}))
        try:
            heard_at = time.monotonic()
            while ends:
                before = dict(positions)
                if taken := self._fetch(topic, lambda: self._taken(topic, positions, ends)):
                    yield taken
                if taken or positions != before:
                    heard_at = time.monotonic()  # only now: the caller may have taken its time
                elif ends and time.monotonic() - heard_at > SILENCE_SECONDS:
                    waiting = ", ".join(f"{topic}[{number}]" for number in sorted(ends))
                    raise KafkaUnreachableError(f"Kafka at {self._where} has more of {waiting} and sends nothing")
        finally:
            self._fetcher.release()  # the caller may let go of this iterator at any time

    def _taken(self, topic: str, positions: dict[int, int], ends: dict[int, int]) -> list[Recorded]:
        """Records before the `ends` of their partitions.

        Moves `positions` on to the offsets that come next, and drops from `ends` the partitions that are read.
        """
        found = self._fetcher.take(_FETCH_RECORDS, _POLL_SECONDS)
        taken = [record for record in found if record.offset < ends.get(record.partition, 0)]
        for (_, partition), position in self._fetcher.positions().items():
            positions[partition] = position
            if partition in ends and position >= ends[partition]:
                del ends[partition]
                self._fetcher.leave((topic, partition))
        return taken

    def _fetch(self, topic: str, fetch: Callable[[], Answer]) -> Answer:
        """What the fetcher gives. Raises what its error means."""
        try:
            return fetch()
        except fetch_errors.OffsetOutOfRangeError as error:
            ((place, offset),) = error.args[0].items()
            raise _gone(topic, offset, self.ends(topic, place.partition)) from None
        except DamagedBatchError as error:
            raise DamagedError(
                f"topic {topic}, partition {error.partition}, from offset {error.offset} on: {error.reason}"
            ) from None
        except (fetch_errors.KafkaConnectionError, fetch_errors.KafkaTimeoutError) as error:
            raise KafkaUnreachableError(f"no Kafka broker answers at {self._where}: {error}") from None
        except fetch_errors.KafkaError as error:
            raise self._unusable(topic, str(error)) from None

    def _answer(self, what: str, ask: Callable[[], Answer]) -> Answer:
        """What the brokers answer; the question is repeated for `ANSWER_SECONDS` while errors pass."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                    raise self._problem(what, error.args[0]) from None
            time.sleep(_PAUSE_SECONDS)

    def _problem(self, what: str, error: KafkaError) -> Exception:
        if error.code() in CONNECTION_ERRORS:
            return KafkaUnreachableError(f"no Kafka broker answers at {self._where}: {words_of(error.str())}")
        return self._unusable(what, error.str())

    def _unusable(self, what: str, reason: str) -> KafkaUnusableError:
        return KafkaUnusableError(f"Kafka at {self._where} does not let us read {what}: {reason}")


def _all_readable(runs: Iterable[list[Recorded]]) -> Iterator[list[Recorded]]:
    """The same. Raises DamagedError at a record whose batch cannot be inflated."""
    for taken in runs:
        for record in taken:
            if record.value is UNREADABLE_BATCH:
                raise DamagedError(
                    f"topic {record.topic}, partition {record.partition}, offset {record.offset}: its batch is damaged "
                    "or too large when it is inflated; read what is before it, and what is behind it"
                )
        yield taken


def _gone(topic: str, offset: int, there: OffsetRange) -> DamagedError:
    return DamagedError(
        f"topic {topic}, partition {there.partition}: offset {offset} is not there; it has {there.first} to "
        f"{there.next - 1}"
    )

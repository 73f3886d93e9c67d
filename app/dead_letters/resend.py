"""Sends refused events through the pipeline again: each raw record once more, at the end of its partition.

Consumers drop repetitions by the highest raw offset that they have seen in a partition. So a call must come behind all
others of its partition, and the raw record is written again instead of the call. It keeps key, bytes, partition and
time of receipt, and therefore its event id.

A record is written again only if it is the one that the dead letter is about, and the trial takes it. A first note
says from which offset on the copy will be, then comes the copy, and then a note that says where it is. After a crash in
between, the copy is looked for before another one is written. So an event is sent once, however often a retry is
stopped. Two retries at the same time would each send what the other has not noted yet, so one at a time has its turn.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from agents.contract import DeadLetter, OutRecord
from agents.dead_letters import RETRY, SENDING, encode_dead_letter
from app.dead_letters.inventory import Inventory, RefusalKind, RefusedPosition, StoredDeadLetter
from app.dead_letters.scattered import nearby, read_run
from app.dead_letters.sent_again import looks
from app.dead_letters.trial import Trial
from app.dead_letters.turn import WRITING_SECONDS, RetryTurn
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, client_config
from app.kafka.records import Recorded
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics
from schemas.topics import MAX_EVENT_BYTES, RECORD_OVERHEAD_BYTES

AT_ONCE: Final = 500
"""Records written between their two notes: what the next retry looks for after a crash."""

FLUSH_SECONDS: Final = 60.0

MOST_TRIES: Final = 10
"""To send some records within one answer of the brokers (`ANSWER_IS_GOOD_SECONDS`)."""


@dataclass(frozen=True, slots=True)
class _Passing:
    """A dead letter whose event would be taken now, and its raw record."""

    letter: StoredDeadLetter
    record: Recorded


@dataclass(slots=True)
class ResendOutcome:
    """What became of dead letters. `gone` have no raw position, or their record has expired or is another one now."""

    sent: list[StoredDeadLetter] = field(default_factory=list)
    refused: list[RefusalKind] = field(default_factory=list)
    gone: int = 0


class Resender:
    """Sends the events of dead letters again, while its reader is open."""

    def __init__(
        self, settings: Settings, reader: TopicReader, trial: Trial, letter_schema_id: int, turn: RetryTurn | None
    ) -> None:
        """`letter_schema_id` is the registry's id of DeadLetter; without a `turn`, only dry runs are possible."""
        self._turn = turn
        self._raw = settings.name(topics.RAW)
        self._letters = settings.name(topics.DEAD_LETTERS)
        self._where = settings.kafka_bootstrap_servers
        self._reader = reader
        self._trial = trial
        self._letter_schema_id = letter_schema_id
        self._producer_config = (
            client_config(settings, enable_idempotence=True, compression_type="lz4")
            | _only_when_flushed()
            | {"message.max.bytes": MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES}
        )
        self._producer = Producer(self._producer_config)

    def resend(
        self, letters: Iterable[StoredDeadLetter], inventory: Inventory, *, dry_run: bool
    ) -> Iterator[ResendOutcome]:
        """Try these dead letters of the inventory and send those that pass; yields what became of them, some at a time.

        With `dry_run`, nothing is sent.

        Raises KafkaUnreachableError and KafkaUnusableError, and RetryRunningError if the turn is over.
        """
        found = self._found(letters)
        while some := list(islice(found, AT_ONCE)):
            outcome = ResendOutcome()
            passing: list[_Passing] = []
            for letter, record in some:
                if record is None:
                    outcome.gone += 1
                elif (refusal := self._trial(record)) is not None:
                    outcome.refused.append(refusal)
                else:
                    passing.append(_Passing(letter, record))
            if not dry_run:
                self._send(passing, inventory.sending)
            outcome.sent += [one.letter for one in passing]
            yield outcome

    def _found(self, letters: Iterable[StoredDeadLetter]) -> Iterator[tuple[StoredDeadLetter, Recorded | None]]:
        """Every dead letter with its raw record, read in runs of nearby positions."""
        by_partition: dict[int, dict[int, StoredDeadLetter]] = defaultdict(dict)
        for letter in letters:
            if letter.raw is None:
                yield letter, None
            else:
                by_partition[letter.raw_partition][letter.raw_offset] = letter
        for partition, by_offset in sorted(by_partition.items()):
            # a record that others wrote may name any partition
            if not 0 <= partition < self._reader.partitions(self._raw):
                yield from ((letter, None) for letter in by_offset.values())
                continue
            for run in nearby(by_offset):
                records = read_run(self._reader, self._raw, partition, run)
                for offset in run:
                    letter, record = by_offset[offset], records.get(offset)
                    same = record is not None and record.timestamp == letter.timestamp_ms
                    yield letter, record if same else None

    def _send(self, passing: Sequence[_Passing], sending: Mapping[RefusedPosition, int]) -> None:
        """Write the copies, each between its two notes; `sending` says where a copy of an earlier retry may be."""
        copies = self._copies([one for one in passing if self._event(one) in sending], sending)
        fresh = [one for one in passing if self._event(one) not in sending]
        self._own_turn.renew()
        ends = {number: self._reader.ends(self._raw, number).next for number in {one.record.partition for one in fresh}}
        for one in fresh:
            self._note(one, SENDING, ends[one.record.partition])
        self._flush(self._letters)
        self._write([one for one in passing if self._event(one) not in copies], copies)
        for one in passing:
            self._note(one, RETRY, copies[self._event(one)])
        self._flush(self._letters)

    def _write(self, passing: Sequence[_Passing], copies: dict[RefusedPosition, int]) -> None:
        """Write one copy of each, and note in `copies` where it is.

        Records are handed to the producer and sent within one answer of the brokers. What took longer is taken out of
        the producer before the next question: that one may take longer than records wait there.
        """
        left, tries = list(passing), 0
        while left:
            if tries == MOST_TRIES:
                raise KafkaUnreachableError(f"Kafka at {self._where} took no record of {self._raw} in {tries} turns")
            tries += 1
            self._own_turn.renew()
            for one in left:
                again = OutRecord(one.record.key, one.record.value, one.record.timestamp)
                arrived = partial(_delivered, copies, self._event(one))
                if not self._produce(self._raw, one.record.partition, again, arrived):
                    break  # very large events: these first
            if self._own_turn.holds:
                self._flush(self._raw)
            else:
                self._drop()
            left = [one for one in left if self._event(one) not in copies]

    def _event(self, one: _Passing) -> RefusedPosition:
        return one.letter.event(self._raw)

    def _copies(self, begun: Sequence[_Passing], sending: Mapping[RefusedPosition, int]) -> dict[RefusedPosition, int]:
        """Raw offsets, by event, of copies that a retry wrote before it was stopped."""
        found: dict[RefusedPosition, int] = {}
        by_partition: dict[int, dict[tuple[object, ...], list[RefusedPosition]]] = defaultdict(dict)
        for one in begun:
            same = by_partition[one.record.partition].setdefault(looks(one.record), [])
            same.append(self._event(one))
        for partition, wanted in by_partition.items():
            ends = self._reader.ends(self._raw, partition)
            begin = min(sending[event] for same in wanted.values() for event in same)
            for run in self._reader.read(self._raw, partition, max(begin, ends.first), ends.next - 1):
                for record in run:
                    same = wanted.get(looks(record), [])
                    event = next((event for event in same if sending[event] <= record.offset), None)
                    if event is not None:
                        same.remove(event)
                        found[event] = record.offset
        return found

    def _note(self, one: _Passing, reason: str, raw_offset: int) -> None:
        """Write a note under the raw position of the refused record."""
        letter = DeadLetter(
            *self._event(one),
            RETRY,
            reason,
            None,
            one.letter.raw_partition,
            raw_offset,
            timestamp_ms=one.letter.timestamp_ms,
        )
        note = encode_dead_letter(letter, self._letter_schema_id)
        done = partial(_delivered, {}, self._event(one))
        while not self._produce(self._letters, one.letter.raw_partition, note, done):
            self._flush(self._letters)

    def _produce(self, topic: str, partition: int, record: OutRecord, on_delivery: Any) -> bool:
        """Hand a record to the producer; False if it has no room."""
        key, value, timestamp_ms = record
        with self._explained(topic):
            try:
                self._producer.produce(topic, value, key, partition, on_delivery, timestamp=timestamp_ms)
            except BufferError:
                return False
        return True

    def _drop(self) -> None:
        """Forget what waits in the producer.

        The producer goes, too: `purge` passes over records whose partition has no leader yet, and sends them later.
        """
        self._producer.purge()  # or librdkafka warns of what is lost
        self._producer = Producer(self._producer_config)

    @property
    def _own_turn(self) -> RetryTurn:
        """What is sent is sent in it; a dry run has none."""
        assert self._turn is not None
        return self._turn

    def _flush(self, topic: str) -> None:
        with self._explained(topic):
            left = self._producer.flush(FLUSH_SECONDS)
        if left:
            raise KafkaUnreachableError(f"no Kafka broker at {self._where} takes records of {topic}")

    @contextmanager
    def _explained(self, topic: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            if error.args[0].code() == KafkaError._MSG_TIMED_OUT and self._turn is not None:  # noqa: SLF001 - a public error code
                self._drop()
                self._own_turn.renew()
                raise KafkaUnreachableError(
                    f"Kafka at {self._where} took no record of {topic} for {WRITING_SECONDS} s"
                ) from None
            raise KafkaUnusableError(
                f"Kafka at {self._where} refuses a record of {topic}: {error.args[0].str()}"
            ) from None


def _only_when_flushed() -> dict[str, Any]:
    """Copies wait until it is sure that it is still our turn, and are sent together; what waited too long expires."""
    return {
        "batch.size": 1 << 30,
        "batch.num.messages": 1_000_000,
        "linger.ms": WRITING_SECONDS * 1_000 - 1,
        "message.timeout.ms": WRITING_SECONDS * 1_000,
    }


def _delivered(
    offsets: dict[RefusedPosition, int], event: RefusedPosition, error: KafkaError | None, message: Message
) -> None:
    """Note the offset of a record of an event. Raises KafkaException if the broker refused it."""
    if error is not None:
        raise KafkaException(error)
    offsets[event] = message.offset() or 0

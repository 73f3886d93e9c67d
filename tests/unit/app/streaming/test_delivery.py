"""A parcel counts when all of it is acknowledged; tried with a producer that the test controls."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from agents.contract import OutRecord
from app.streaming import delivery as module
from app.streaming.delivery import Delivery, DeliveryFailedError, Parcel

Report = Callable[[KafkaError | None, Any], None]


class _Message:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


class _Producer:
    """Librdkafka's producer as far as it is used; reports are made by the test, and seen at the next poll."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.queued: list[tuple[str, bytes | None, bytes | None, int, int]] = []
        self.callbacks: list[Report] = []
        self.room = 1_000
        self.refuse: KafkaError | None = None
        self.due: list[Callable[[], None]] = []

    def produce(  # noqa: PLR0917 - librdkafka's signature
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        callback: Report | None,
        _callback: Report | None,
        timestamp: int,
    ) -> None:
        if self.refuse is not None:
            raise KafkaException(self.refuse)
        if len(self.queued) >= self.room:
            raise BufferError
        self.queued.append((topic, value, key, partition, timestamp))
        if callback is not None:
            self.callbacks.append(callback)

    def poll(self, _seconds: float) -> int:
        due, self.due = self.due, []
        for run in due:
            run()
        return len(due)

    def acknowledge(self, index: int, offset: int = 0) -> None:
        self.due.append(lambda: self.callbacks[index](None, _Message(offset)))

    def reject(self, index: int) -> None:
        error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
        self.due.append(lambda: self.callbacks[index](error, _Message(-1)))


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[_Producer]:
    """Producers that deliveries make."""
    made: list[_Producer] = []

    def make(config: dict[str, Any]) -> _Producer:
        made.append(_Producer(config))
        return made[-1]

    monkeypatch.setattr(module, "Producer", make)
    return made


def _parcel(partition: int, count: int, topic: str = "t") -> Parcel:
    return Parcel(topic, partition, [OutRecord(b"k", b"v%d" % n, 1_000 + n) for n in range(count)])


def test_a_receipt_waits_for_the_last_record_of_every_parcel(producers: list[_Producer]) -> None:
    """One report a parcel, and the offsets of the last records as the result."""

    async def scenario() -> None:
        delivery = Delivery({})
        receipt = await delivery.send([_parcel(0, 3), _parcel(1, 2)])
        (producer,) = producers
        assert len(producer.queued) == 5
        assert len(producer.callbacks) == 2
        producer.acknowledge(1, offset=7)
        await asyncio.sleep(0.02)
        assert not receipt.done()
        producer.acknowledge(0, offset=41)
        assert await asyncio.wait_for(receipt, 1) == {("t", 0): 41, ("t", 1): 7}

    asyncio.run(scenario())


def test_records_keep_key_value_partition_time_and_order(producers: list[_Producer]) -> None:
    """Nothing is left to a partitioner or to the client's clock."""

    async def scenario() -> None:
        await Delivery({}).send([_parcel(3, 2)])
        assert producers[0].queued == [("t", b"v0", b"k", 3, 1_000), ("t", b"v1", b"k", 3, 1_001)]

    asyncio.run(scenario())


def test_nothing_to_send_is_acknowledged_at_once(producers: list[_Producer]) -> None:
    """A batch of events that are not calls must be finished too."""

    async def scenario() -> None:
        assert await Delivery({}).deliver([_parcel(0, 0)]) == {}
        assert producers[0].queued == []

    asyncio.run(scenario())


def test_a_full_queue_makes_the_sender_wait_and_keeps_the_order_of_two_senders(producers: list[_Producer]) -> None:
    """Records of two sends never mix, however long the first waits."""

    async def scenario() -> None:
        delivery = Delivery({})
        (producer,) = producers
        producer.room = 2
        first = asyncio.create_task(delivery.send([_parcel(0, 4, "first")]))
        await asyncio.sleep(0)
        second = asyncio.create_task(delivery.send([_parcel(0, 2, "second")]))
        await asyncio.sleep(0.02)
        assert not first.done()
        producer.room = 100
        await asyncio.gather(first, second)
        assert [topic for topic, *_ in producer.queued] == ["first"] * 4 + ["second"] * 2

    asyncio.run(scenario())


def test_a_record_that_is_refused_for_good_fails_everything_outstanding_and_later(producers: list[_Producer]) -> None:
    """The failure names topic and partition, and nothing of the record."""

    async def scenario() -> None:
        delivery = Delivery({})
        refused = await delivery.send([_parcel(0, 1)])
        other = await delivery.send([_parcel(1, 1)])
        producers[0].reject(0)
        for receipt in (refused, other):
            with pytest.raises(DeliveryFailedError, match=r"t\[0\]"):
                await asyncio.wait_for(receipt, 1)
        with pytest.raises(DeliveryFailedError):
            await delivery.send([_parcel(2, 1)])

    asyncio.run(scenario())


def test_a_record_that_the_client_refuses_fails_the_send(producers: list[_Producer]) -> None:
    """A record above the client's limit never reaches the broker."""

    async def scenario() -> None:
        delivery = Delivery({})
        producers[0].refuse = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
        with pytest.raises(DeliveryFailedError):
            await delivery.send([_parcel(0, 1)])

    asyncio.run(scenario())


def test_a_fatal_error_raised_by_the_poll_fails_what_is_outstanding(producers: list[_Producer]) -> None:
    """Librdkafka tells of a gap that way."""

    async def scenario() -> None:
        delivery = Delivery({})
        receipt = await delivery.send([_parcel(0, 1)])

        def raise_fatal() -> None:
            raise KafkaException(KafkaError(KafkaError._FATAL))

        producers[0].due.append(raise_fatal)
        with pytest.raises(DeliveryFailedError):
            await asyncio.wait_for(receipt, 1)

    asyncio.run(scenario())


def test_a_waiter_that_gave_up_does_no_harm(producers: list[_Producer]) -> None:
    """Its receipt is cancelled; the acknowledgement finds nobody."""

    async def scenario() -> None:
        delivery = Delivery({})
        receipt = await delivery.send([_parcel(0, 1)])
        receipt.cancel()
        producers[0].acknowledge(0)
        assert await asyncio.wait_for(_delivered(delivery, producers[0]), 1) == {("t", 0): 0}

    asyncio.run(scenario())


async def _delivered(delivery: Delivery, producer: _Producer) -> dict[tuple[str, int], int]:
    receipt = await delivery.send([_parcel(0, 1)])
    producer.acknowledge(1)
    return await receipt


def test_the_producer_is_idempotent_gapless_and_patient(producers: list[_Producer]) -> None:
    """The three settings that one report a parcel rests on; how to reach Kafka comes from outside."""

    async def scenario() -> None:
        Delivery({"bootstrap.servers": "here:1"})
        config = producers[0].config
        assert config["enable.idempotence"] is True
        assert config["enable.gapless.guarantee"] is True
        assert config["acks"] == "all"
        assert config["message.timeout.ms"] == 0
        assert config["bootstrap.servers"] == "here:1"

    asyncio.run(scenario())

"""One delivery report a parcel is enough, because a record that the broker refuses is fatal to the producer."""

import asyncio
import os
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from agents.contract import OutRecord
from app.streaming.delivery import Delivery, DeliveryFailedError, Parcel
from tests.support.breakable_broker import BreakableBroker

pytestmark = pytest.mark.integration

LIMIT_BYTES = 3_000
NOW_MS = int(time.time() * 1000)


def _small_topic(broker: BreakableBroker, prefix: str) -> str:
    """A topic with a smaller record limit than the producer has."""
    name = f"{prefix}small"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(name, 2, 1, config={"max.message.bytes": str(LIMIT_BYTES)})])[name].result()
    return name


def _records(*sizes: int) -> list[OutRecord]:
    return [OutRecord(b"k", os.urandom(size), NOW_MS) for size in sizes]


def _delivery(broker: BreakableBroker, **config: object) -> Delivery:
    """One request a record, so that the records after a refused one are not in the same request."""
    return Delivery({"bootstrap.servers": broker.bootstrap_servers, "batch.num.messages": 1, "linger.ms": 0, **config})


def test_a_refused_record_in_the_middle_of_a_parcel_fails_the_parcel(
    embedded: BreakableBroker, topic_prefix: str
) -> None:
    """The records after it do not stand for it."""

    async def scenario() -> None:
        topic = _small_topic(embedded, topic_prefix)
        delivery = _delivery(embedded)
        assert await delivery.deliver([Parcel(topic, 0, _records(10))]) == {(topic, 0): 0}
        with pytest.raises(DeliveryFailedError, match="size too large"):
            await asyncio.wait_for(delivery.deliver([Parcel(topic, 0, _records(10, 3 * LIMIT_BYTES, 10))]), 30)
        with pytest.raises(DeliveryFailedError):
            await delivery.deliver([Parcel(topic, 1, _records(10))])

    asyncio.run(scenario())


def test_without_the_gapless_guarantee_the_same_loss_would_go_unseen(
    embedded: BreakableBroker, topic_prefix: str
) -> None:
    """Why the setting is there: when this fails, librdkafka has changed, and one report a parcel needs a new look."""

    async def scenario() -> None:
        topic = _small_topic(embedded, topic_prefix)
        delivery = _delivery(embedded, **{"enable.gapless.guarantee": False})
        parcel = Parcel(topic, 0, _records(10, 3 * LIMIT_BYTES, 10))
        assert await asyncio.wait_for(delivery.deliver([parcel]), 30) == {(topic, 0): 1}  # two of three records

    asyncio.run(scenario())


def test_a_topic_that_does_not_exist_is_told_by_name(embedded: BreakableBroker, topic_prefix: str) -> None:
    """Topics are never made by writing to them."""

    async def scenario() -> None:
        delivery = _delivery(embedded, **{"topic.metadata.propagation.max.ms": 1_000})
        with pytest.raises(DeliveryFailedError, match=f"{topic_prefix}nowhere"):
            await asyncio.wait_for(delivery.deliver([Parcel(f"{topic_prefix}nowhere", 0, _records(10))]), 60)

    asyncio.run(scenario())


def test_a_delivery_waits_through_an_outage(embedded: BreakableBroker, topic_prefix: str) -> None:
    """What was sent while no broker was there is acknowledged once when it is back."""

    async def scenario() -> None:
        topic = f"{topic_prefix}patient"
        admin = AdminClient({"bootstrap.servers": embedded.bootstrap_servers})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
        delivery = Delivery({"bootstrap.servers": embedded.bootstrap_servers})
        await delivery.deliver([Parcel(topic, 0, _records(10))])
        embedded.kill_kafka()
        receipt = await delivery.send([Parcel(topic, 0, _records(*[10] * 100))])
        await asyncio.sleep(2)
        assert not receipt.done()
        await asyncio.to_thread(embedded.restart_kafka)
        assert await asyncio.wait_for(receipt, 30) == {(topic, 0): 100}

    asyncio.run(scenario())

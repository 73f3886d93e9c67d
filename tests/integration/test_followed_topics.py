"""What following a topic costs a real broker while nothing comes, and how soon something does."""

import time

import pytest
from aiokafka.conn import AIOKafkaConnection
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.kafka.topic_follower import WholeTopics
from app.settings import Settings
from tests.support.breakable_broker import BreakableBroker

pytestmark = pytest.mark.integration

WATCHED_SECONDS = 3.0
MOST_REQUESTS = 12
"""Two fetches a second, and some for what a client asks besides; with a wait of 10 ms there were three hundred."""


def test_a_topic_where_nothing_comes_is_hardly_asked_about(
    embedded: BreakableBroker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower waits at the broker, which answers once there is a record; reading begins again as well."""
    topic = f"{topic_prefix}followed"
    admin = AdminClient({"bootstrap.servers": embedded.bootstrap_servers, "log_level": 0})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    sent: list[str] = []
    send = AIOKafkaConnection.send

    def counted(connection: AIOKafkaConnection, request: object, *rest: object, **named: object) -> object:
        sent.append(type(request).__name__)
        return send(connection, request, *rest, **named)

    monkeypatch.setattr(AIOKafkaConnection, "send", counted)
    whole = WholeTopics(Settings(kafka_bootstrap_servers=embedded.bootstrap_servers), {topic: 2})
    try:
        while not whole.is_read:
            assert whole.next(0.5) == []
        sent.clear()
        until = time.monotonic() + WATCHED_SECONDS
        while (left := until - time.monotonic()) > 0:
            assert whole.next(left) == []
        assert 0 < len(sent) <= MOST_REQUESTS, sent
        producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})
        producer.produce(topic, b"v", partition=1)
        assert producer.flush(20) == 0
        assert [record.value for record in whole.next(20.0)] == [b"v"]
        whole.begin()
        found = list[bytes | None]()
        while not whole.is_read:
            found += [record.value for record in whole.next(0.5)]
        assert found == [b"v"]
    finally:
        whole.close()

"""The ends of logs are known again after a broker's restart, to the client that asked before it."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.kafka.log_ends import log_ends
from tests.support.breakable_broker import BreakableBroker

pytestmark = pytest.mark.integration


def test_a_restarted_broker_tells_the_ends_to_an_old_client(embedded: BreakableBroker, topic_prefix: str) -> None:
    """Twice, since every restart makes another leader epoch."""
    topic = f"{topic_prefix}ends"
    admin = AdminClient({"bootstrap.servers": embedded.bootstrap_servers, "log_level": 0})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    for count in range(1, 4):
        if count > 1:
            embedded.kill_kafka()
            embedded.restart_kafka()
        producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})
        producer.produce(topic, b"v")
        assert producer.flush(20) == 0
        assert log_ends(admin, [(topic, 0)], patience_seconds=15.0) == {(topic, 0): count}
        assert log_ends(admin, [], patience_seconds=0.0) == {}

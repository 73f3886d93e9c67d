"""Commits of groups can be read while their coordinator is still loading."""

from contextlib import closing

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.kafka.group_reader import GroupReader
from app.settings import Settings
from schemas import topics
from schemas.topics import Stage
from tests.support.breakable_broker import BreakableBroker

pytestmark = pytest.mark.integration


def test_committed_offsets_are_told_right_after_a_restart_of_the_broker(
    embedded: BreakableBroker, topic_prefix: str
) -> None:
    """An answer that there is no coordinator yet is waited out; librdkafka's admin client would end the process."""
    servers, full = embedded.bootstrap_servers, topic_prefix + topics.CALLS
    admin = AdminClient({"bootstrap.servers": servers})  # must outlive its futures
    admin.create_topics([NewTopic(full, 2, 1)])[full].result(20)
    group = topic_prefix + Stage.HOT_SYMBOLS.group
    settings = Settings(kafka_bootstrap_servers=servers, topic_prefix=topic_prefix)
    with GroupReader(settings) as reader:
        assert reader.committed(Stage.HOT_SYMBOLS.group, topics.CALLS) == {}
        assert reader.committed("nobody", "nothing") == {}
        with closing(Consumer({"bootstrap.servers": servers, "group.id": group})) as member:
            member.commit(offsets=[TopicPartition(full, 1, 7, "a note")], asynchronous=False)
        assert reader.committed(Stage.HOT_SYMBOLS.group, topics.CALLS)[1][0] == 7
        embedded.kill_kafka()
        embedded.restart_kafka()
        assert reader.committed(Stage.HOT_SYMBOLS.group, topics.CALLS)[1][0] == 7
    with GroupReader(settings) as reader:
        assert reader.committed(Stage.HOT_SYMBOLS.group, topics.CALLS)[1][0] == 7

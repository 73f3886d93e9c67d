"""How far every stage is, as any one of them reads it from a real broker."""

import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.embedded.broker import EmbeddedBroker
from app.settings import Settings
from app.streaming.group_lags import GroupLags
from app.telemetry import state_metrics
from app.telemetry.meter import Meter
from app.topology import PIPELINE
from schemas import topics
from schemas.topics import Stage

pytestmark = pytest.mark.integration

PARTITIONS = 2
CANONICALIZE = (Stage.CANONICALIZE.value, topics.RAW)
PRIVACY = (Stage.PRIVACY.value, topics.CANONICAL)


def test_a_stage_that_is_not_there_has_its_lag_told_by_others(embedded: EmbeddedBroker, topic_prefix: str) -> None:
    """In records and in seconds; a group that never ran waits from the beginning on, and one that is done has zero."""
    servers = embedded.bootstrap_servers
    settings = Settings(kafka_bootstrap_servers=servers, topic_prefix=topic_prefix)
    admin = AdminClient({"bootstrap.servers": servers})
    names = {settings.name(topic) for shape in PIPELINE for topic in shape.sources}
    for made in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        made.result()
    producer, now_ms = Producer({"bootstrap.servers": servers}), time.time_ns() // 1_000_000
    for age_seconds in (7_200, 3_600, 600, 1):
        for topic in (topics.RAW, topics.CANONICAL):
            producer.produce(settings.name(topic), b"x", partition=1, timestamp=now_ms - age_seconds * 1_000)
    assert producer.flush(20) == 0
    done = Consumer({"bootstrap.servers": servers, "group.id": settings.name(Stage.CANONICALIZE.group)})
    done.commit(offsets=[TopicPartition(settings.name(topics.RAW), 1, 2)], asynchronous=False)

    meter = Meter()
    lags = GroupLags(settings, admin, PIPELINE, PARTITIONS, meter)
    lags.look()

    assert meter.read(state_metrics.GROUP_LAG, *CANONICALIZE) == 2
    assert 600 <= meter.read(state_metrics.GROUP_LAG_SECONDS, *CANONICALIZE) <= 800
    assert meter.read(state_metrics.GROUP_LAG, *PRIVACY) == 4
    assert 7_200 <= meter.read(state_metrics.GROUP_LAG_SECONDS, *PRIVACY) <= 9_000
    (shown,) = (family for family in meter.collect() if family.name == state_metrics.GROUP_LAG.name)
    assert len(shown.samples) == sum(len(shape.sources) for shape in PIPELINE)

    done.commit(offsets=[TopicPartition(settings.name(topics.RAW), 1, 4)], asynchronous=False)
    done.close()
    lags.look()
    assert meter.read(state_metrics.GROUP_LAG, *CANONICALIZE) == 0
    assert meter.read(state_metrics.GROUP_LAG_SECONDS, *CANONICALIZE) == 0

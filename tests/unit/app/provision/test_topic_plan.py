"""What is decided about topics."""

from dataclasses import replace

import pytest

from app.provision.topic_plan import Adjust, Create, FoundTopic, Keep, TopicRefusal, WantedTopic, decide, wanted_topics
from schemas import topics
from schemas.topics import MAX_EVENT_BYTES, TOPICS, Topic


def _wanted(topic: Topic) -> WantedTopic:
    return wanted_topics([topic], prefix="dev.", partitions=4, replication_factor=1)[0]


def _as_wanted(wanted: WantedTopic) -> FoundTopic:
    return FoundTopic(wanted.partitions, wanted.replicas, dict(wanted.config) | {"flush.ms": "1"})


def _named(name: str) -> Topic:
    return next(topic for topic in TOPICS if topic.name == name)


def test_every_topic_gets_the_prefix_and_the_partition_count() -> None:
    """Also the changelogs, whose names follow from the prefixed app id."""
    wanted = wanted_topics(TOPICS, prefix="dev.", partitions=7, replication_factor=1)
    assert [one.name for one in wanted] == [f"dev.{topic.name}" for topic in TOPICS]
    assert {one.partitions for one in wanted} == {7}


def test_tables_are_compacted_and_streams_are_kept_for_a_time() -> None:
    """Compacted topics keep the newest record of each key, for ever or for a time; the others have a retention."""
    for wanted in wanted_topics(TOPICS, prefix="", partitions=1, replication_factor=1):
        if wanted.topic.compacted and wanted.topic.retention_ms is not None:
            assert wanted.config["cleanup.policy"] == "compact,delete"
            assert int(wanted.config["retention.ms"]) == wanted.topic.retention_ms
        elif wanted.topic.compacted:
            assert wanted.config["cleanup.policy"] == "compact"
            assert "retention.ms" not in wanted.config
        else:
            assert wanted.config["cleanup.policy"] == "delete"
            assert int(wanted.config["retention.ms"]) == wanted.topic.retention_ms
    changelogs = [topic for topic in TOPICS if topic.name.endswith("-changelog")]
    assert changelogs
    assert all(topic.compacted for topic in (*changelogs, _named(topics.HOT_SYMBOLS)))


def test_the_restricted_topics_take_the_greatest_event() -> None:
    """16 MiB of event fit, with key and framing."""
    for name in (topics.RAW, topics.CANONICAL):
        assert int(_wanted(_named(name)).config["max.message.bytes"]) > MAX_EVENT_BYTES


def test_a_stream_that_is_kept_for_ever_says_so() -> None:
    """No retention means -1, not Kafka's default of a week."""
    assert _wanted(Topic(name="t")).config["retention.ms"] == "-1"


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_writing_survives_the_loss_of_one_broker(replicas: int, in_sync: str) -> None:
    """A write needs all but one replica, and never fewer than one."""
    wanted = wanted_topics([Topic(name="t")], prefix="", partitions=1, replication_factor=replicas)
    assert wanted[0].config["min.insync.replicas"] == in_sync


def test_a_missing_topic_is_created_and_a_right_one_is_kept() -> None:
    """Applying twice changes nothing the second time."""
    wanted = _wanted(_named(topics.RAW))
    assert decide([wanted], {}) == (Create(wanted),)
    assert decide([wanted], {wanted.name: _as_wanted(wanted)}) == (Keep(wanted),)


def test_the_operators_retention_and_replicas_are_left_alone() -> None:
    """What an operator tuned on an existing topic is not a fault."""
    wanted = _wanted(_named(topics.RAW))
    tuned = _as_wanted(wanted)
    tuned = replace(tuned, replicas=3, config=dict(tuned.config) | {"retention.ms": "1000", "min.insync.replicas": "2"})
    assert decide([wanted], {wanted.name: tuned}) == (Keep(wanted),)


def test_a_wrong_partition_count_is_refused_with_both_numbers() -> None:
    """Partitions tie every derived record to its raw record."""
    wanted = _wanted(_named(topics.CALLS))
    (decision,) = decide([wanted], {wanted.name: replace(_as_wanted(wanted), partitions=3)})
    assert isinstance(decision, TopicRefusal)
    assert str(decision) == "topic dev.runtime.calls has partition count 3, wanted is 4"


def test_a_topic_of_its_own_may_have_any_partition_count() -> None:
    """Not every topic is read by a stage."""
    wanted = _wanted(Topic(name="t", retention_ms=1, co_partitioned=False))
    assert decide([wanted], {wanted.name: replace(_as_wanted(wanted), partitions=1)}) == (Keep(wanted),)


@pytest.mark.parametrize(
    ("option", "value"), [("cleanup.policy", "compact,delete"), ("message.timestamp.type", "LogAppendTime")]
)
def test_a_wrong_policy_is_refused_with_both_values(option: str, value: str) -> None:
    """A compacted stream would lose events, a broker's own timestamps would lose the time of receipt."""
    wanted = _wanted(_named(topics.RAW))
    found = _as_wanted(wanted)
    (decision,) = decide([wanted], {wanted.name: replace(found, config=dict(found.config) | {option: value})})
    assert isinstance(decision, TopicRefusal)
    assert (decision.option, decision.want, decision.found) == (option, wanted.config[option], value)


@pytest.mark.parametrize(("limit", "adjusted"), [(1 << 20, True), (64 << 20, False)])
def test_a_limit_that_would_lose_large_events_is_raised_and_never_lowered(limit: int, adjusted: bool) -> None:
    """The topic must take what the pipeline sends; more is the operator's affair."""
    wanted = _wanted(_named(topics.RAW))
    found = _as_wanted(wanted)
    option = "max.message.bytes"
    (decision,) = decide([wanted], {wanted.name: replace(found, config=dict(found.config) | {option: str(limit)})})
    expected = Adjust(wanted, {option: wanted.config[option]}, {option: str(limit)}) if adjusted else Keep(wanted)
    assert decision == expected

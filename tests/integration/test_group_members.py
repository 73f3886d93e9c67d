"""Who is in a group is told by the coordinator, through restarts, and bounded in time without one."""

import time
from contextlib import closing

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from app.kafka import group_members
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.group_members import GroupMember
from app.settings import Settings
from tests.support.breakable_broker import BreakableBroker

pytestmark = pytest.mark.integration

JOIN_SECONDS = 60.0


def test_members_are_told_by_their_names_before_and_after_a_restart_of_the_broker(
    embedded: BreakableBroker, topic_prefix: str
) -> None:
    """A group that is not there has none; a static member has the name that it gave itself."""
    servers, group = embedded.bootstrap_servers, f"{topic_prefix}members"
    settings = Settings(kafka_bootstrap_servers=servers)
    admin = AdminClient({"bootstrap.servers": servers})  # must outlive its futures
    admin.create_topics([NewTopic(group, 1, 1)])[group].result(20)
    assert group_members.group_members(settings, group) == ()
    options = {"bootstrap.servers": servers, "group.id": group, "session.timeout.ms": 45_000}
    named = Consumer(options | {"group.instance.id": "worker-1", "client.id": "first"})
    nameless = Consumer(options | {"client.id": "second"})
    with closing(named), closing(nameless):
        named.subscribe([group])
        nameless.subscribe([group])
        found = _members(settings, group, named, nameless)
        assert group_members.member_names(settings, group) == {"worker-1", "second"}
        assert {(one.name, one.client_id) for one in found} == {("worker-1", "first"), (None, "second")}
        assert all(one.client_id in one.member_id or (one.name or "") in one.member_id for one in found)
        embedded.kill_kafka()
        embedded.restart_kafka()
        deadline = time.monotonic() + JOIN_SECONDS
        while "worker-1" not in {one.name for one in _named(settings, group)}:
            named.poll(0.1)  # on a busy machine its session may have ended meanwhile, and it joins again
            assert time.monotonic() < deadline


def _named(settings: Settings, group: str) -> tuple[GroupMember, ...]:
    """The members; none while a broker on a busy machine is still loading its groups."""
    try:
        return group_members.group_members(settings, group)
    except (KafkaUnreachableError, KafkaUnusableError):
        return ()


def _members(settings: Settings, group: str, *consumers: Consumer) -> tuple[GroupMember, ...]:
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        for one in consumers:
            one.poll(0.1)
        found = _named(settings, group)
        if len(found) == len(consumers):
            return found
        assert time.monotonic() < deadline, found


def test_a_question_that_no_broker_answers_ends_in_time(
    embedded: BreakableBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a node takes the connection and says nothing, as one that is stopped by SIGSTOP."""
    monkeypatch.setattr(group_members, "ANSWER_SECONDS", 1.0)
    settings = Settings(kafka_bootstrap_servers=embedded.bootstrap_servers)
    embedded.pause_kafka()
    try:
        with pytest.raises(KafkaUnreachableError, match="who is in group nobody"):
            group_members.group_members(settings, "nobody")
    finally:
        embedded.resume_kafka()

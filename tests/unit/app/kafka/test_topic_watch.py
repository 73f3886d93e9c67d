"""What a look at topics finds: one that was made again, one that has grown, one that the broker stamps."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from app.kafka.topic_watch import TopicWatch, stamps_trouble
from tests.support.admin_answers import AdminAnswer, options_answer


class _Admin:
    """Topics by name: id, partitions, and what stamps them."""

    def __init__(self) -> None:
        self.topics: dict[str, tuple[str, int]] = {"raw": ("r", 4), "calls": ("c", 4)}
        self.stamps: dict[str, Any] = {}

    def describe_topics(self, asked: Any, request_timeout: float) -> dict[str, AdminAnswer]:
        assert request_timeout > 0
        return {
            name: AdminAnswer(
                type("Found", (), {"topic_id": self.topics[name][0], "partitions": [0] * self.topics[name][1]})
            )
            for name in asked.topic_names
        }

    def describe_configs(self, asked: Any, request_timeout: float) -> dict[Any, AdminAnswer]:
        assert request_timeout > 0
        return {one: self._options(self.stamps.get(one.name, "CreateTime")) for one in asked}

    def _options(self, stamps: Any) -> AdminAnswer:
        if isinstance(stamps, Exception):
            return AdminAnswer(stamps)
        return options_answer({"message.timestamp.type": stamps})


def _watch(admin: Any, partitions: int | None = 4) -> TopicWatch:
    return TopicWatch(admin, ["raw", "calls"], partitions)


def test_topics_that_are_as_they_were_are_no_trouble() -> None:
    """Whatever the names' order is."""
    watch = _watch(_Admin())
    assert (watch.look(), watch.trouble(), watch.grown) == (None, None, {})


@pytest.mark.parametrize("partitions", [4, None])
def test_a_topic_that_grew_is_named_and_ends_nothing(partitions: int | None) -> None:
    """The process goes on with what it reads; the growth keeps the time at which it was not there yet."""
    admin = _Admin()
    watch = _watch(admin, partitions)
    assert watch.look() is None
    admin.topics["raw"] = ("r", 6)
    assert watch.look() is None
    first = watch.grown["raw"]
    assert watch.look() is None
    assert watch.grown == {"raw": first}
    assert first.partitions == 6
    assert "raw has 6 partitions" in (watch.trouble() or "")


def test_a_topic_that_was_made_again_cannot_be_read_on() -> None:
    """It has the same name, and other records."""
    admin = _Admin()
    watch = _watch(admin)
    assert watch.look() is None
    admin.topics["calls"] = ("another", 4)
    assert watch.look() == "calls was deleted and created again while the stage ran"


def test_a_topic_that_the_broker_stamps_cannot_be_read_on_and_the_way_out_is_said() -> None:
    """The time of receipt would be lost for all that follows."""
    admin = _Admin()
    admin.stamps["raw"] = "LogAppendTime"
    found = _watch(admin).look() or ""
    assert found.startswith("raw: the broker stamps records")
    assert "message.timestamp.type=CreateTime" in found
    assert stamps_trouble([]) is None


def test_options_that_we_may_not_read_are_no_finding() -> None:
    """The deployment's rules let stages read records, not options."""
    admin = _Admin()
    admin.stamps["raw"] = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert _watch(admin).look() is None

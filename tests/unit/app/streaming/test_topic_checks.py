"""A stage refuses topics in which records would be lost or changed, and knows which take smaller events."""

from typing import Any

import pytest

from app.processes.process_end import ExitCode
from app.streaming.topic_checks import TopicOptionsError, check_options
from schemas import topics
from schemas.topics import TOPICS_BY_NAME
from tests.support.admin_answers import AdminAnswer, options_answer

NAMES = [f"p.{name}" for name in (topics.CANONICAL, topics.CALLS, topics.HOT_PARTIALS)]


class _Admin:
    """Topics as they were made, but for what a test changes: options by topic's unprefixed name."""

    def __init__(self, changes: dict[str, dict[str, str]]) -> None:
        self._changes = changes

    def describe_configs(self, asked: Any, request_timeout: float) -> dict[Any, AdminAnswer]:
        assert request_timeout > 0
        return {one: options_answer(self._options(one.name.removeprefix("p."))) for one in asked}

    def _options(self, name: str) -> dict[str, str]:
        return {
            "message.timestamp.type": "CreateTime",
            "max.message.bytes": str(TOPICS_BY_NAME[name].max_message_bytes),
        } | self._changes.get(name, {})


def _check(changes: dict[str, dict[str, str]]) -> dict[str, int]:
    admin: Any = _Admin(changes)
    return check_options(admin, NAMES, "p.")


def test_topics_as_they_were_made_have_no_limits_of_their_own() -> None:
    """Nothing is checked for each event then."""
    assert _check({}) == {}


def test_a_topic_of_events_may_take_smaller_ones() -> None:
    """They are refused one by one."""
    assert _check({topics.CALLS: {"max.message.bytes": "200000"}}) == {"p." + topics.CALLS: 200_000}


@pytest.mark.parametrize(
    ("topic", "option", "value", "said"),
    [
        (topics.HOT_PARTIALS, "max.message.bytes", "200000", "callstream topics apply raises it"),
        (topics.CANONICAL, "message.timestamp.type", "LogAppendTime", "message.timestamp.type=CreateTime"),
    ],
)
def test_what_would_lose_or_change_records_is_refused(topic: str, option: str, value: str, said: str) -> None:
    """With the code for topics and state that contradict each other, and the way out."""
    with pytest.raises(TopicOptionsError, match=said) as refused:
        _check({topic: {option: value}})
    assert refused.value.exit_code == ExitCode.WRONG_STATE
    assert f"p.{topic}" in str(refused.value)

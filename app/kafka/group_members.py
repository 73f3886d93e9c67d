"""Who is in a consumer group now, as the group's coordinator says.

librdkafka's admin client cannot be used for this: where it gave up a question before it had found the coordinator, as
while a node stands still, and finds the coordinator then, it answers the question twice, and an assertion ends the
process (confluentinc/librdkafka issue 4605). So aiokafka asks, over connections that last for one question. Questions
are rare: at a start, and after a group was joined again.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, aiokafka_options
from app.settings import Settings

ANSWER_SECONDS: Final = 10.0

_REQUEST_MS: Final = 3_000
"""A node that stands still costs so much, and then the question goes to another one."""

_PAUSE_SECONDS: Final = 0.2

_TEXT: Final = String("utf-8")


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One process in a group."""

    name: str | None
    """What it calls itself in the group (`group.instance.id`); None for one that has no place of its own there."""
    client_id: str
    member_id: str
    """What the brokers call it, until its session ends."""


class _GroupsAnswer(Response):  # type: ignore[misc]  # aiokafka has no types
    """Version 4 is the first that has the name; aiokafka has none later than 3."""

    API_KEY = 15
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", _TEXT),
                ("state", _TEXT),
                ("protocol_type", _TEXT),
                ("protocol", _TEXT),
                (
                    "members",
                    Array(
                        ("member_id", _TEXT),
                        ("group_instance_id", _TEXT),
                        ("client_id", _TEXT),
                        ("client_host", _TEXT),
                        ("member_metadata", Bytes),
                        ("member_assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class _GroupsQuestion(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 15
    API_VERSION = 4
    RESPONSE_TYPE = _GroupsAnswer
    SCHEMA = Schema(("groups", Array(_TEXT)), ("include_authorized_operations", Boolean))


class _DescribeGroup(Request[_GroupsQuestion]):  # type: ignore[misc]  # as above
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupsQuestion]) -> _GroupsQuestion:
        """The request as it travels."""
        return request_struct_class([self._group], False)


def group_members(settings: Settings, group: str) -> tuple[GroupMember, ...]:
    """The members of a group, prefix included in its name; none if there is no such group. Blocks.

    A static member that ended is named until its session times out. The question is repeated while nodes move, for
    `ANSWER_SECONDS`. Raises KafkaUnreachableError and KafkaUnusableError, and what `aiokafka_options` raises.
    """
    return asyncio.run(_members(settings, group))


def member_names(settings: Settings, group: str) -> frozenset[str]:
    """What the members of a group call themselves; their client ids where they have no name. See `group_members`."""
    return frozenset(one.name or one.client_id for one in group_members(settings, group))


async def _members(settings: Settings, group: str) -> tuple[GroupMember, ...]:
    options, trouble = aiokafka_options(settings), "no answer"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                try:
                    return await _asked(options, group)
                except KafkaError as error:
                    trouble = error.__class__.__name__
                    if not error.retriable:
                        raise KafkaUnusableError(f"Kafka does not say who is in group {group}: {trouble}") from None
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise KafkaUnreachableError(f"Kafka does not say who is in group {group}: {trouble}") from None


async def _asked(options: dict[str, Any], group: str) -> tuple[GroupMember, ...]:
    client = AIOKafkaClient(**options, request_timeout_ms=_REQUEST_MS)
    try:
        await client.bootstrap()
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        answer = await client.send(node, _DescribeGroup(group))
    finally:
        await client.close()
    return tuple(one for found in answer.groups for one in _read(*found))


def _read(
    code: int, _group: str, _state: str, _type: str, _protocol: str, members: Iterable[tuple[Any, ...]], _rights: int
) -> Iterable[GroupMember]:
    """Raises KafkaError of aiokafka for what the coordinator says instead."""
    if code:
        raise for_code(code)
    return (GroupMember(name, client_id, member_id) for member_id, name, client_id, *_ in members)

"""What several consumer groups have committed, read over one connection that lasts for one reading.

aiokafka asks, for the reason that `group_members` gives. It takes the right to describe the groups and the topics, and
shows no record.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

from app.kafka.client import aiokafka_options
from app.kafka.records import Partition
from app.settings import Settings

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 10.0
_REQUEST_MS: Final = 3_000


@dataclass(frozen=True, slots=True)
class OffsetsRefused:
    """A group's offsets are not known now; `reason` is Kafka's word for why."""

    reason: str


Offsets = Mapping[Partition, int] | OffsetsRefused
"""What a group has committed, where it has committed anything, or why nobody can say."""


def group_offsets(settings: Settings, wanted: Mapping[str, Mapping[str, int]]) -> dict[str, Offsets]:
    """The committed offsets of groups: `wanted` has topics with their partition counts by group, with full names.

    Blocks for at most `ANSWER_SECONDS`. Raises what `aiokafka_options` raises.
    """
    return asyncio.run(_read(aiokafka_options(settings), wanted))


async def _read(options: dict[str, Any], wanted: Mapping[str, Mapping[str, int]]) -> dict[str, Offsets]:
    client = AIOKafkaClient(**options, request_timeout_ms=_REQUEST_MS)
    found: dict[str, Offsets] = {group: OffsetsRefused("no answer") for group in wanted}
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.bootstrap()
            for group, topics in wanted.items():
                found[group] = await _of_group(client, group, topics)
    except (KafkaError, TimeoutError) as error:
        log.debug("the offsets of groups cannot be read: %s", type(error).__name__)
    finally:
        await client.close()
    return found


async def _of_group(client: Any, group: str, topics: Mapping[str, int]) -> Offsets:
    question = OffsetFetchRequest(group, [(topic, list(range(count))) for topic, count in topics.items()])
    try:
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        answer = await client.send(node, question)
        codes = [answer.error_code, *(one[3] for _, partitions in answer.topics for one in partitions)]
        for code in filter(None, codes):
            raise for_code(code)
    except KafkaError as error:
        return OffsetsRefused(type(error).__name__)
    return {
        (topic, number): offset
        for topic, partitions in answer.topics
        for number, offset, *_ in partitions
        if offset >= 0
    }

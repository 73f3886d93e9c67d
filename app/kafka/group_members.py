"""Who is in a consumer group now, as the broker tells it."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

ANSWER_SECONDS: Final = 10.0


def member_names(admin: AdminClient, group: str) -> frozenset[str]:
    """The names that members of a group, prefix included, gave themselves; none if there is no such group.

    A static member that ended is named until its session times out. Raises KafkaException.
    """
    answer = admin.describe_consumer_groups([group], request_timeout=ANSWER_SECONDS)[group]
    try:
        members = answer.result(ANSWER_SECONDS).members
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None  # noqa: SLF001 - a public error code
    return frozenset(member.group_instance_id or member.client_id for member in members)

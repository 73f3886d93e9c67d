"""What an option is of topics, as the brokers say it."""

from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from app.kafka.log_ends import ANSWER_SECONDS


def topic_options(admin: AdminClient, names: Iterable[str], option: str) -> dict[str, str]:
    """The option's value by topic, named in full; topics whose options we may not read, or cannot now, are left out."""
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    found = {}
    for resource, answer in admin.describe_configs(resources, request_timeout=ANSWER_SECONDS).items():
        try:
            found[resource.name] = str(answer.result()[option].value)
        except KafkaException:
            continue
    return found

"""A registry that has lost its schemas: topics hold records with ids that it does not know any more.

If the same schemas were registered again, they might get other ids, and other schemas their old ones. Then readers
would refuse the records that are there, or read them as something else. So nothing is registered after such a loss.
"""

from collections.abc import Collection, Iterator

from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.provision.subjects import SubjectRefusal
from app.settings import Settings
from schemas.topics import TOPICS, subject


def lost_subjects(settings: Settings, registry: SchemaRegistry, existing: Collection[str]) -> Iterator[SubjectRefusal]:
    """Subjects without any version whose topics have had records; `existing` are the full names of topics that exist.

    Raises RegistryError, KafkaUnreachableError and KafkaUnusableError.
    """
    suspects = [
        topic
        for topic in TOPICS
        if topic.value_schema is not None
        and settings.name(topic.name) in existing
        and not registry.versions(settings.name(subject(topic.name)))
    ]
    if not suspects:
        return
    with TopicReader(settings) as reader:
        for topic in suspects:
            records = sum(ends.next for ends in reader.all_ends(settings.name(topic.name)).values())
            if records:
                yield SubjectRefusal(
                    settings.name(subject(topic.name)),
                    f"the registry has lost its schemas: {settings.name(topic.name)} has had {records} records, and "
                    "new ids would break their readers; restore its data, or set another CALLSTREAM_TOPIC_PREFIX",
                )

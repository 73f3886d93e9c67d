"""Reads a public topic from end to end and lets the verifier look at every record: `callstream privacy audit`.

The audit reads up to where the partitions ended when it began, so it always finishes. Records are decoded with the
packaged schema of their topic. A record that does not decode, and every record of a topic without a schema, is looked
at as bytes. A restricted topic holds private data by design and is refused. Findings name positions, fields and rules,
never values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agents.contract import UNREADABLE_BATCH
from agents.privacy.verifier import PrivacyFinding, Verifier
from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.progress import Progress
from app.settings import Settings
from schemas import records
from schemas.topics import TOPICS, Topic, live_name


class RestrictedTopicError(OperatorError):
    """The topic holds private data by design; there is nothing to audit."""


@dataclass(frozen=True, slots=True)
class FindingAt:
    """A finding and where its record is."""

    partition: int
    offset: int
    finding: PrivacyFinding


def audit(
    settings: Settings, name: str, verifier: Verifier, progress: Progress, refused: RefusedRecords
) -> Iterator[FindingAt]:
    """Findings in the topic `name`: one of the pipeline's or a version of it, with or without prefix, or any other.

    Records whose batch cannot be inflated are noted in `refused`: nobody has looked at them. Raises
    RestrictedTopicError, and what `TopicReader` raises.
    """
    live = live_name(name.removeprefix(settings.topic_prefix))
    topic = next((one for one in TOPICS if one.name == live), None)
    if topic is not None and topic.restricted:
        raise RestrictedTopicError(f"{name} is restricted: it may hold what must not leave, and only operators read it")
    full_name = settings.name(name.removeprefix(settings.topic_prefix)) if topic is not None else name
    with TopicReader(settings) as reader:
        total = sum(ends.offsets for ends in reader.all_ends(full_name).values())
        for record in progress.each(reader.records(full_name), "records audited", total):
            if record.value is UNREADABLE_BATCH:
                refused.refuse(record, RecordFault.BATCH_TOO_LARGE)
            else:
                yield from _looked_at(record, topic, verifier)


def _looked_at(record: Recorded, topic: Topic | None, verifier: Verifier) -> Iterator[FindingAt]:
    for field, content in (("key", record.key), ("value", _decoded(record.value, topic))):
        for finding in verifier.findings(content, "" if isinstance(content, dict) else field):
            yield FindingAt(record.partition, record.offset, finding)


def _decoded(value: Any, topic: Topic | None) -> Any:
    if topic is None or topic.value_schema is None or not isinstance(value, bytes):
        return value
    try:
        return records.decode(topic.value_schema, value)
    except (ValueError, EOFError, IndexError, KeyError, TypeError):
        return value  # looked at as bytes: what cannot be decoded can still leak

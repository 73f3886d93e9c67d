"""Makes a version ready to run: its topics and schemas, its start state, and the offsets where its groups begin.

Each step may be interrupted and repeated. The marks that say that a version has begun are written last. Offsets of its
groups are set only while they have none. Kafka deletes by timestamp, and a record of a version has its raw record's old
timestamp. So a version's topics keep records longer than the live ones, by as much as history is long.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from agents.contract import OutRecord
from app.kafka.client import READING, KafkaUnusableError, client_config
from app.kafka.group_reader import GroupReader
from app.kafka.records import OffsetRange
from app.operators.errors import OperatorError
from app.provision import subjects, topic_plan
from app.provision.subjects import SubjectRefusal
from app.provision.topic_plan import FoundTopic, TopicRefusal
from app.replay.start_state import start_rows
from app.reprocess import marks
from app.reprocess.chain import own_topics
from app.reprocess.cluster import Cluster
from app.reprocess.versions import MadeBy
from app.settings import Settings
from app.stages.worker import registered_id
from app.streaming.delivery import Delivery, Parcel
from app.topology import StageShape
from schemas import topics
from schemas.topics import Stage, Topic
from schemas.units import NS_PER_MS

_NO_RETENTION_LIMIT: Final = "-1"

Report = Callable[[int], None]
"""Gets how many more records were read."""


class ReprocessError(OperatorError):
    """The version cannot be made or continued; the message names topic, subject or version, and says why."""


def make_topics(cluster: Cluster, shapes: tuple[StageShape, ...]) -> None:
    """Create a version's missing topics with the present options of the live ones, and register their schemas.

    Raises ReprocessError if a topic or subject exists with wrong options, and what reaching the servers raises.
    """
    name = cluster.settings.name
    own = own_topics(shapes)
    source = shapes[0].sources[0]
    live_names = {source, *(topic.name for topic in own.values())}
    live = cluster.admin.existing([name(one) for one in sorted(live_names)])
    for one in sorted(live_names):
        if name(one) not in live:
            raise KafkaUnusableError(f"there is no topic {name(one)}; create it with: callstream topics apply")
    origin = live[name(source)]
    wanted = topic_plan.wanted_topics(
        [_like_live(own_name, topic, live[name(topic.name)], origin) for own_name, topic in own.items()],
        prefix=cluster.settings.topic_prefix,
        partitions=origin.partitions,
        replication_factor=origin.replicas,
    )
    decisions = topic_plan.decide(wanted, cluster.admin.existing([one.name for one in wanted]))
    _raise_refusals([one for one in decisions if isinstance(one, TopicRefusal)])
    states = subjects.register(cluster.registry, [one.topic for one in wanted], cluster.settings.topic_prefix)
    _raise_refusals([one for one in states if isinstance(one, SubjectRefusal)])
    cluster.admin.carry_out(decisions)


def _raise_refusals(refusals: Sequence[TopicRefusal | SubjectRefusal]) -> None:
    if refusals:
        raise ReprocessError("; ".join(map(str, refusals)))


def _like_live(name: str, topic: Topic, live: FoundTopic, origin: FoundTopic) -> Topic:
    """The version's own topic: the live one's options, with a retention longer by that of the source."""
    largest = max(topic.max_message_bytes, int(live.config["max.message.bytes"]))
    kept = None
    if not topic.compacted and _NO_RETENTION_LIMIT not in (live.config["retention.ms"], origin.config["retention.ms"]):
        kept = int(live.config["retention.ms"]) + int(origin.config["retention.ms"])
    return replace(topic, name=name, max_message_bytes=largest, retention_ms=kept)


def begin(
    cluster: Cluster,
    shapes: tuple[StageShape, ...],
    made: Mapping[Stage, MadeBy],
    starts: Mapping[int, int],
    report: Report,
) -> None:
    """Write the start state, group offsets and marks. The topics must exist; `starts` are of the first source.

    Raises what reaching the servers and delivering raises.
    """
    settings = cluster.settings
    by_stage = {shapes[0].stage: starts} | {shape.stage: dict.fromkeys(starts, 0) for shape in shapes[1:]}
    rows = [
        _rows(cluster, shape, partition, start, report)
        for shape in shapes
        if shape.stage is Stage.CANONICALIZE
        for partition, start in starts.items()
    ]
    asyncio.run(_deliver(settings, rows))
    for shape in shapes:
        place(settings, shape, by_stage[shape.stage])
    schema_id = registered_id(settings, shapes[0].output(topics.AUDIT))
    asyncio.run(_deliver(settings, marks.marks(settings, shapes, made, by_stage, schema_id)))


def _rows(cluster: Cluster, shape: StageShape, partition: int, start: int, report: Report) -> Parcel:
    """A partition's start state, as changelog records."""
    settings = cluster.settings
    first = cluster.reader.ends(settings.name(topics.RAW), partition).first
    rows = start_rows(cluster.reader, settings, OffsetRange(partition, min(first, start), start), report)
    changelog = settings.name(topics.changelog(shape.stage, topics.MODULES_TABLE, shape.version))
    now_ms = time.time_ns() // NS_PER_MS
    return Parcel(changelog, partition, [OutRecord(key, value, now_ms) for key, value in rows])


async def _deliver(settings: Settings, parcels: Sequence[Parcel]) -> None:
    await Delivery(client_config(settings)).deliver(parcels)


def committed(settings: Settings, shape: StageShape) -> dict[int, int]:
    """What a stage's group has committed, by partition of its source.

    Raises KafkaUnreachableError and KafkaUnusableError.
    """
    with GroupReader(settings) as reader:
        found = reader.committed(shape.group, shape.sources[0])
    return {partition: offset for partition, (offset, _) in sorted(found.items())}


def place(settings: Settings, shape: StageShape, starts: Mapping[int, int]) -> None:
    """Set a group's offsets in the partitions in which it has committed nothing.

    Raises KafkaUnreachableError, and KafkaUnusableError if the broker refuses.
    """
    known = committed(settings, shape)
    source, group = settings.name(shape.sources[0]), settings.name(shape.group)
    wanted = [TopicPartition(source, number, start) for number, start in starts.items() if number not in known]
    if not wanted:
        return
    options = {**READING, "group.id": group, "log_level": 0}
    client = Consumer(client_config(settings) | options)  # commits without joining, which an empty group allows
    try:
        reason = next((one.error for one in client.commit(offsets=wanted, asynchronous=False) if one.error), None)
    except KafkaException as error:
        reason = error.args[0]
    finally:
        client.close()
    if reason is not None:
        raise KafkaUnusableError(f"offsets of group {group} cannot be set: {reason.str()}")

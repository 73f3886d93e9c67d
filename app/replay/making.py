"""Makes a run as it was asked for: finds its input, makes it, signs it, and compares it with what was published.

Rules: a run is written whether or not what was published agrees, for it is the evidence. This module refuses to know
how it was asked and how the outcome is shown.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.evidence import signing
from app.evidence.archive import Archive
from app.evidence.documents import sealed
from app.kafka.client import partition_count
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.replay import origins, output_topic, replay_run
from app.replay.compare import check
from app.replay.compare.live_published import LivePublished
from app.replay.compare.published import ArchivePublished, PublishedSource
from app.replay.manifest import Origin
from app.replay.raw_choice import RawChoice
from app.replay.replay_run import Made, ReplayError, Request
from app.replay.source import ReplaySource
from app.replay.verdict import Verdict
from app.settings import Settings
from schemas import topics

_ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run as it was asked for; `archive` None is the topic, `topic` None is "into files"."""

    folder: Path
    archive: Path | None
    choice: RawChoice
    snapshot: str | None
    published: bool
    topic: str | None
    force: bool
    key: Ed25519PrivateKey | None
    processes: int
    batch_records: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that was made, its manifest's digest, and what was found against what was published."""

    made: Made
    digest: str
    verdict: Verdict


def make(settings: Settings, order: Order, progress: Progress) -> Outcome:
    """Make the run. Raises ReplayError and what reading and writing raises (failures.py)."""
    if order.topic is not None:
        output_topic.check_allowed(settings, order.topic, force=order.force)
    with ExitStack() as stack:
        source, origin = _source(settings, order, stack, progress)
        published = open_published(settings, source, stack, progress) if order.published else None
        verdict = Verdict()
        request = Request(
            source=source,
            origin=origin,
            settings=settings,
            processes=order.processes,
            symbols=order.snapshot,
            batch_records=order.batch_records,
            published=published,
            report=progress.count("records replayed", sum(one.offsets for one in source.ranges())).at,
        )
        if order.topic is None:
            made = replay_run.to_files(request, order.folder)
        else:
            schema_id = _prepare(settings, order, source, verdict)
            made = replay_run.to_topic(request, order.folder, order.topic, schema_id)
        document = sealed(made.manifest.document())
        replay_run.write(order.folder, document if order.key is None else signing.signed(document, order.key))
        if published is not None and made.ran.compared is not None:
            check.report(made.ran.compared, made.ran.configuration, verdict)
            verdict.first_event = check.differing_event(made.ran.compared.copies, published, made.ran.work)
        return Outcome(made, str(document["digest"]), verdict)


def _source(settings: Settings, order: Order, stack: ExitStack, progress: Progress) -> tuple[ReplaySource, Origin]:
    if order.archive is not None:
        if not order.choice.is_everything:
            raise ReplayError("an archive is replayed whole; choose its events with `callstream record`")
        archive = Archive(order.archive)
        return archive, origins.archive_origin(archive, order.folder)
    reader = stack.enter_context(TopicReader(settings))
    ranges, loaders_from = order.choice.resolve(settings, reader, settings.name(topics.RAW), progress)
    progress.begin("earlier records read for their loader events")
    return origins.open_topic(settings, reader, ranges, loaders_from, progress.add)


def open_published(settings: Settings, source: ReplaySource, stack: ExitStack, progress: Progress) -> PublishedSource:
    """What an archive has kept of what was published, or the live topics; `stack` closes them.

    Raises what reaching Kafka and the registry raises.
    """
    if isinstance(source, Archive) and source.contents.published is not None:
        return ArchivePublished(source)
    reader = stack.enter_context(TopicReader(settings))
    registry = stack.enter_context(SchemaRegistry.from_settings(settings))
    return LivePublished(settings, reader, registry, progress.count("published records read").add, source)


def _prepare(settings: Settings, order: Order, source: ReplaySource, verdict: Verdict) -> int:
    """Make the topic ready; returns the registry's id of the calls' schema."""
    assert order.topic is not None
    partitions = 1 + max(one.partition for one in source.ranges())
    if order.archive is None:
        partitions = partition_count(settings, source.topic, _ANSWER_SECONDS)
    with SchemaRegistry.from_settings(settings) as registry:
        schema_id, note = output_topic.prepare(settings, registry, order.topic, partitions)
    verdict.notes.extend([] if note is None else [note])
    return schema_id

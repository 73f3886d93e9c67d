"""Finds the input of a run: an archive, or the topic; for the first time, or again from the run's manifest.

This module refuses to know what a run's input is compared with.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from app.evidence.archive import Archive
from app.evidence.documents import DocumentError
from app.kafka.records import OffsetRange
from app.kafka.topic_reader import TopicReader
from app.replay.manifest import Manifest, Origin
from app.replay.source import ReplaySource
from app.replay.start_state import start_rows
from app.replay.topic_source import TopicSource
from app.settings import Settings
from schemas import topics

ARCHIVE: Final = "archive"
TOPIC: Final = "topic"

Report = Callable[[int], None]
"""Learns how many more records were read."""


def archive_origin(archive: Archive, folder: Path) -> Origin:
    """The origin of a run in `folder` over an archive: by digest, and by the way from one to the other."""
    path = Path(os.path.relpath(archive.folder.resolve(), folder.resolve())).as_posix()
    return Origin(kind=ARCHIVE, topic=archive.topic, archive=archive.digest, path=path)


def open_archive(manifest: Manifest, folder: Path, elsewhere: Path | None) -> tuple[ReplaySource, Origin]:
    """The archive of the run in `folder`, or the one that stands for it elsewhere.

    An archive also stands for the topic that it was recorded from. Raises DocumentError where there is no readable
    archive.
    """
    origin = manifest.origin
    if elsewhere is None and origin.path is None:
        raise DocumentError(f"the run was made from topic {origin.topic}; no archive stands for it")
    archive = Archive(elsewhere or folder / (origin.path or ""))
    if origin.kind == TOPIC:
        return archive, Origin(kind=TOPIC, topic=archive.topic, cluster=archive.contents.cluster)
    return archive, Origin(kind=ARCHIVE, topic=archive.topic, archive=archive.digest, path=origin.path)


def open_topic(
    settings: Settings,
    reader: TopicReader,
    ranges: Sequence[OffsetRange],
    loaders_from: Sequence[int],
    report: Report = lambda _records: None,
) -> tuple[TopicSource, Origin]:
    """Ranges of the raw topic, with the loader events from before them. Raises what reading the topic raises."""
    topic = settings.name(topics.RAW)
    states = {
        one.partition: start_rows(reader, settings, OffsetRange(one.partition, begin, one.first), report)
        for one, begin in zip(ranges, loaders_from, strict=True)
    }
    begins = {one.partition: begin for one, begin in zip(ranges, loaders_from, strict=True)}
    source = TopicSource(settings, topic, tuple(ranges), begins, states)
    return source, Origin(kind=TOPIC, topic=topic, cluster=reader.cluster())


def reopen_topic(
    settings: Settings, reader: TopicReader, manifest: Manifest, report: Report = lambda _records: None
) -> tuple[TopicSource, Origin]:
    """The ranges of the raw topic that a run was made from. Raises what reading the topic raises."""
    ranges = [OffsetRange(part.partition, part.first, part.next) for part in manifest.input]
    return open_topic(settings, reader, ranges, [part.state_from for part in manifest.input], report)

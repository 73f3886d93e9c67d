"""Finds the input of a run again: the archive beside its manifest, or the topic.

This module refuses to know what a run's input is compared with.
"""

import os
from pathlib import Path
from typing import Final

from app.replay.archive import Archive
from app.replay.canonical_json import DocumentError
from app.replay.manifest import Manifest, Origin
from app.replay.published import ArchivePublished, PublishedSource
from app.replay.source import ReplaySource

ARCHIVE: Final = "archive"
TOPIC: Final = "topic"


def archive_origin(archive: Archive, folder: Path) -> Origin:
    """The origin of a run in `folder` over an archive: by digest, and by the way from one to the other."""
    path = Path(os.path.relpath(archive.folder.resolve(), folder.resolve())).as_posix()
    return Origin(kind=ARCHIVE, topic=archive.topic, archive=archive.digest, path=path)


def open_published(source: ReplaySource) -> PublishedSource:
    """What an archive has kept of what was published. Raises DocumentError where it has kept nothing."""
    if not isinstance(source, Archive):
        raise DocumentError("published records can be compared from an archive, or with the live topics")
    return ArchivePublished(source)


def open_archive(manifest: Manifest, folder: Path, elsewhere: Path | None) -> tuple[ReplaySource, Origin]:
    """The archive of the run in `folder`, or the one that stands for it elsewhere.

    Raises DocumentError where there is no readable archive.
    """
    origin = manifest.origin
    if elsewhere is None and origin.path is None:
        raise DocumentError(f"the run was made from topic {origin.topic}; no archive stands for it")
    archive = Archive(elsewhere or folder / (origin.path or ""))
    return archive, Origin(kind=ARCHIVE, topic=archive.topic, archive=archive.digest, path=origin.path)

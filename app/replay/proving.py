"""Finds everything that a manifest speaks of, archive or topics, and has the run verified.

This module refuses to know what is compared (verify.py) and how the verdict is shown.
"""

from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.replay import origins, verify
from app.replay.compare.published import CopySource
from app.replay.making import open_published
from app.replay.manifest import MANIFEST_FILE, Manifest, Origin
from app.replay.output_topic import OutputCopies
from app.replay.source import ReplaySource
from app.replay.verdict import Verdict
from app.replay.verify import Options
from app.settings import Settings


def prove(
    settings: Settings,
    path: Path,
    progress: Progress,
    *,
    archive: Path | None,
    public_key: Ed25519PublicKey | None,
    processes: int,
    batch_records: int,
) -> Verdict:
    """Verify the run whose manifest, or whose folder, is at `path`; `archive` stands for the run's own input.

    Raises what reaching Kafka and the registry raises.
    """
    path = path / MANIFEST_FILE if path.is_dir() else path
    replayed = progress.count("records replayed")

    with ExitStack() as stack:

        def open_source(manifest: Manifest) -> tuple[ReplaySource, Origin]:
            if manifest.origin.kind == origins.ARCHIVE or archive is not None:
                source, origin = origins.open_archive(manifest, path.parent, archive)
            else:
                reader = stack.enter_context(TopicReader(settings))
                progress.begin("earlier records read for their loader events")
                source, origin = origins.reopen_topic(settings, reader, manifest, progress.add)
            replayed.total = sum(one.offsets for one in source.ranges())
            return source, origin

        def open_written(topic: str) -> CopySource:
            reader = stack.enter_context(TopicReader(settings))
            registry = stack.enter_context(SchemaRegistry.from_settings(settings))
            return OutputCopies(reader, registry, topic)

        options = Options(
            settings=settings,
            processes=processes,
            open_source=open_source,
            open_published=lambda source: open_published(settings, source, stack, progress),
            open_written=open_written,
            public_key=public_key,
            batch_records=batch_records,
            report=replayed.at,
        )
        return verify.verify(path, options)

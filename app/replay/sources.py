"""The input of a run: an archive, or ranges of the raw topic; opened for the first time, or again from a manifest."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol

from app.evidence.archive import Archive
from app.evidence.digests import span_of
from app.evidence.documents import DocumentError
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.replay.manifest import Manifest, RunOrigin
from app.replay.request import ReplayError, ReplayRequest
from app.replay.start_state import Rows, start_rows
from app.settings import Settings
from schemas import topics

ARCHIVE: Final = "archive"
TOPIC: Final = "topic"

_LOADERS: Final = "earlier records read for their loader events"


class ReplaySource(Protocol):
    """Raw records by partition and offset, the same at every reading. It may be sent to another process."""

    @property
    def topic(self) -> str:
        """Full name of the raw topic."""

    def ranges(self) -> tuple[OffsetRange, ...]:
        """What to replay: one range for each partition, in the order of partitions."""

    def state_from(self, partition: int) -> int:
        """The raw offset from which loader events were read for the start state."""

    def start_rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows of module state that the first event of the partition's range sees."""

    def batches(self, partition: int, first: int, last: int, max_records: int) -> Iterator[list[Recorded]]:
        """Records with offsets `first` to `last` in lists of at most `max_records`, each list within one span.

        Raises DamagedError if the records are not as they were.
        """


@dataclass(frozen=True, slots=True)
class TopicSource:
    """Ranges of a raw topic, with their start states by partition, and from where those were read; a `ReplaySource`."""

    settings: Settings
    topic: str
    parts: tuple[OffsetRange, ...]
    loaders_from: Mapping[int, int]
    states: Mapping[int, Rows]

    def ranges(self) -> tuple[OffsetRange, ...]:
        """The ranges to replay."""
        return self.parts

    def state_from(self, partition: int) -> int:
        """The raw offset from which loader events were read for the start state."""
        return self.loaders_from[partition]

    def start_rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows of module state that the partition's first event sees."""
        return iter(self.states[partition])

    def batches(self, partition: int, first: int, last: int, max_records: int) -> Iterator[list[Recorded]]:
        """Raw records with offsets `first` to `last`, over a connection of their own."""
        with TopicReader(self.settings) as reader:
            yield from _batches(reader.read(self.topic, partition, first, last, all_readable=True), max_records)


def _batches(fetches: Iterable[Sequence[Recorded]], max_records: int) -> Iterator[list[Recorded]]:
    for fetch in fetches:
        for _, part in groupby(fetch, lambda record: span_of(record.offset)):
            within_span = list(part)
            for begin in range(0, len(within_span), max_records):
                yield within_span[begin : begin + max_records]


def open_source(
    request: ReplayRequest, folder: Path, stack: ExitStack, progress: Progress
) -> tuple[ReplaySource, RunOrigin]:
    """Open the input of a new run in `folder`; `stack` closes it. An archive's path is relative to the folder.

    Raises ReplayError, DocumentError and what reading the topic raises.
    """
    if request.archive is not None:
        if not request.choice.is_everything:
            raise ReplayError("an archive is replayed whole; choose its events with `callstream record`")
        archive = Archive(request.archive)
        path = Path(os.path.relpath(archive.folder.resolve(), folder.resolve())).as_posix()
        return archive, RunOrigin(kind=ARCHIVE, topic=archive.topic, archive=archive.digest, path=path)
    settings = request.settings
    reader = stack.enter_context(TopicReader(settings))
    ranges, loaders_from = request.choice.resolve(reader, settings.name(topics.RAW), progress)
    progress.begin(_LOADERS)
    return _open_topic(settings, reader, ranges, loaders_from, progress.add)


def reopen_source(
    request: ReplayRequest, manifest: Manifest, folder: Path, stack: ExitStack, progress: Progress
) -> tuple[ReplaySource, RunOrigin]:
    """Open the input of the run in `folder` again; the request's archive, if any, stands for it. `stack` closes it.

    Raises DocumentError if the archive cannot be read, and what reading the topic raises.
    """
    if manifest.origin.kind == ARCHIVE or request.archive is not None:
        return _reopen_archive(manifest, folder, request.archive)
    reader = stack.enter_context(TopicReader(request.settings))
    progress.begin(_LOADERS)
    ranges = [OffsetRange(part.partition, part.first, part.next) for part in manifest.input]
    return _open_topic(request.settings, reader, ranges, [part.state_from for part in manifest.input], progress.add)


def _reopen_archive(manifest: Manifest, folder: Path, elsewhere: Path | None) -> tuple[Archive, RunOrigin]:
    """The archive of the run in `folder`, or the one that stands for it elsewhere.

    An archive also stands for the topic that it was recorded from.
    """
    origin = manifest.origin
    if elsewhere is None and origin.path is None:
        raise DocumentError(f"the run was made from topic {origin.topic}; no archive stands for it")
    archive = Archive(elsewhere or folder / (origin.path or ""))
    if origin.kind == TOPIC:
        return archive, RunOrigin(kind=TOPIC, topic=archive.topic, cluster=archive.contents.cluster)
    return archive, RunOrigin(kind=ARCHIVE, topic=archive.topic, archive=archive.digest, path=origin.path)


def _open_topic(
    settings: Settings,
    reader: TopicReader,
    ranges: Sequence[OffsetRange],
    loaders_from: Sequence[int],
    report: Callable[[int], None],
) -> tuple[TopicSource, RunOrigin]:
    """Ranges of the raw topic, with the loader events from before them; `report` gets how many more records it read."""
    topic = settings.name(topics.RAW)
    states = {
        one.partition: start_rows(reader, settings, OffsetRange(one.partition, begin, one.first), report)
        for one, begin in zip(ranges, loaders_from, strict=True)
    }
    begins = {one.partition: begin for one, begin in zip(ranges, loaders_from, strict=True)}
    source = TopicSource(settings, topic, tuple(ranges), begins, states)
    return source, RunOrigin(kind=TOPIC, topic=topic, cluster=reader.cluster())

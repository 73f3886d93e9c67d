"""Records ranges of the raw topic into an archive: resumable, in constant memory, finished at once or not at all.

A recording begins with its plan (`recording.json`), so that a resumed recording reads the same ranges, whatever was
added to the topic since. It ends with `archive.json`. A folder holds one archive. A resumed recording keeps what an
earlier one finished, and reads the rest.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.evidence import documents
from app.evidence.archive import (
    ARCHIVE_FILE,
    RECORDING_FILE,
    STATE_TOPIC,
    Archive,
    Contents,
    FileFacts,
    Published,
    RawPart,
    facts_of,
    file_name,
    finish,
)
from app.evidence.avro_container import Codec
from app.evidence.configuration import DISTRIBUTION
from app.evidence.documents import DocumentError
from app.evidence.record_file import Layout, RecordFileWriter, Span, check_stored
from app.evidence.runtime_trace import runtime_trace, topic_host
from app.evidence.signed_documents import write_signed
from app.evidence.typed_fields import typed
from app.files.folders import make_private
from app.kafka.records import DamagedError, OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.processes.folder_lock import FolderUnusableError, alone_in
from app.replay.compare.published import LivePublished
from app.replay.start_state import start_rows
from app.settings import Settings
from schemas import topics

LEVEL: Final = 6

KIND: Final = "callstream recording"

Report = Callable[[int], None]
"""Gets how many more records were read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record. Loader events are read from the offsets `loaders_from` on, in the order of `ranges`."""

    cluster: str
    topic: str
    codec: Codec
    ranges: tuple[OffsetRange, ...]
    loaders_from: tuple[int, ...]
    published: bool

    def document(self) -> dict[str, Any]:
        """The document to seal and write."""
        return {"kind": KIND, **asdict(self)}

    @classmethod
    def of_document(cls, document: Any, name: str) -> Self:
        """Read a document. Raises DocumentError."""
        try:
            return typed(cls, {one: document[one] for one in document if one not in {"kind", documents.DIGEST}})
        except ValueError as error:
            raise DocumentError(f"{name}: is not a plan of a recording: {error}") from None


def unfinished(folder: Path) -> Plan | None:
    """The plan of the recording that was begun in `folder`; None if the folder is free.

    Raises FolderUnusableError and DocumentError.
    """
    if (folder / ARCHIVE_FILE).exists():
        raise FolderUnusableError(f"{folder} holds a finished archive: record into another folder")
    path = folder / RECORDING_FILE
    if path.exists():
        try:
            return Plan.of_document(documents.read(path), str(path))
        except DocumentError as error:
            raise DocumentError(f"{error}; remove {folder} and record again") from None
    # the plan's name with another ending: it was not written to its end
    if folder.exists() and any(one.stem != RECORDING_FILE for one in folder.iterdir()):
        raise FolderUnusableError(f"{folder} is not empty: an archive goes into a folder of its own")
    return None


def record(
    reader: TopicReader,
    settings: Settings,
    folder: Path,
    plan: Plan,
    report: Report = lambda _records: None,
    *,
    key: Ed25519PrivateKey | None = None,
) -> Archive:
    """Record what the plan says, or the rest of it, into a folder for its owner only; `key` signs the archive.

    Raises OSError, DamagedError, KafkaUnreachableError, KafkaUnusableError, RegistryError, and what loading the hook
    map raises.
    """
    make_private(folder)
    with alone_in(folder, owner="callstream record"):
        begun = unfinished(folder)
        if begun is None:
            documents.write(folder / RECORDING_FILE, documents.sealed(plan.document()))
        elif begun != plan:
            raise FolderUnusableError(f"{folder}: another recording was begun in it; record into another folder")
        if reader.cluster() != plan.cluster:
            raise FolderUnusableError(f"{folder}: its recording was begun from another cluster, {plan.cluster}")
        contents = _recorded(_Recording(settings, folder, plan, reader, report), plan)
        document = documents.sealed(contents.document())
        write_signed(folder / ARCHIVE_FILE, document, key, lambda content: _statement(content, document, contents))
        with suppress(OSError):  # the archive is finished, also if its plan stays beside it
            (folder / RECORDING_FILE).unlink()
            for left in folder.glob("*.partial"):
                left.unlink()
    return Archive(folder)


def _statement(content: bytes, document: Mapping[str, Any], contents: Contents) -> bytes:
    """What is signed of an archive: its digests, by partition."""
    partitions = (
        {
            "partition": part.range.partition,
            "firstOffset": part.range.first,
            "nextOffset": part.range.next,
            "records": part.file.records,
            "rawDigest": part.file.chain,
        }
        for part in contents.raw
    )
    about = (ARCHIVE_FILE, content, str(document[documents.DIGEST]))
    return runtime_trace(about, topic_host(contents.cluster, contents.topic), partitions)


def _recorded(recording: "_Recording", plan: Plan) -> Contents:
    """Record all that the plan says."""
    raw = tuple(recording.raw(one, start) for one, start in zip(plan.ranges, plan.loaders_from, strict=True))
    return Contents(
        program=metadata.version(DISTRIBUTION),
        cluster=plan.cluster,
        topic=plan.topic,
        codec=plan.codec,
        level=LEVEL,
        raw=raw,
        published=recording.published() if plan.published else None,
    )


class _Recording:
    """One recording."""

    def __init__(self, settings: Settings, folder: Path, plan: Plan, reader: TopicReader, report: Report) -> None:
        self._settings = settings
        self._folder = folder
        self._plan = plan
        self._reader = reader
        self._report = report

    def raw(self, part: OffsetRange, loaders_from: int) -> RawPart:
        """Record one raw partition and its start state."""
        state = self._state(part, loaders_from)
        name, layout = file_name("raw", part.partition), self._layout(self._plan.topic, part.partition)
        facts = self._finished(name, layout)
        if facts is None:
            writer = RecordFileWriter(self._folder, name, layout)
            first = part.first if writer.next_offset is None else writer.next_offset
            self._report(writer.records)
            try:
                for taken in self._reader.read(layout.topic, part.partition, first, part.next - 1, all_readable=True):
                    writer.add(taken)
                    self._report(len(taken))
            except BaseException:
                writer.close()
                raise
            facts = finish(writer, name, layout)
        return RawPart(part, facts, state, loaders_from)

    def published(self) -> Published:
        """Record what the live stages published for the raw ranges."""
        with SchemaRegistry.from_settings(self._settings) as registry:
            live = LivePublished(self._settings, self._reader, registry, self._report)
            calls = tuple(self._whole("calls", topics.CALLS, part, live.copies(part)) for part in self._plan.ranges)
            audit = tuple(self._whole("audit", topics.AUDIT, part, live.audit(part)) for part in self._plan.ranges)
        return Published(calls, audit, dict(sorted(live.schemas.texts().items())))

    def _state(self, part: OffsetRange, loaders_from: int) -> FileFacts:
        name, layout = file_name("state", part.partition), self._layout(STATE_TOPIC, part.partition)
        facts = self._finished(name, layout)
        if facts is not None:
            return facts
        before = OffsetRange(part.partition, loaders_from, part.first)
        rows = start_rows(self._reader, self._settings, before, self._report)
        taken = [Recorded(STATE_TOPIC, part.partition, number, 0, *row) for number, row in enumerate(rows)]
        return self._write(name, layout, [taken])

    def _whole(self, kind: str, topic: str, part: OffsetRange, runs: Iterable[list[Recorded]]) -> FileFacts:
        """Record all at once: an unfinished file of an earlier recording is thrown away."""
        layout = self._layout(self._settings.name(topic), part.partition)
        return self._write(file_name(kind, part.partition), layout, runs)

    def _write(self, name: str, layout: Layout, runs: Iterable[list[Recorded]]) -> FileFacts:
        for path in self._folder.glob(f"{name}.*"):
            path.unlink()
        writer = RecordFileWriter(self._folder, name, layout)
        for taken in runs:
            writer.add(taken)
        return finish(writer, name, layout)

    def _layout(self, topic: str, partition: int) -> Layout:
        return Layout(topic, partition, self._plan.codec, LEVEL)

    def _finished(self, name: str, layout: Layout) -> FileFacts | None:
        """A file that an earlier recording finished, proved; None if the file does not exist."""
        if not (self._folder / f"{name}.avro").exists():
            return None
        path = self._folder / f"{name}.spans"
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            spans = [Span.of_line(line) for line in lines]
        except (OSError, ValueError, RecursionError):
            raise DamagedError(f"{path}: was changed, or is missing") from None
        check_stored(self._folder / f"{name}.avro", layout, spans)
        self._report(sum(span.records for span in spans))
        return facts_of(name, layout, spans)

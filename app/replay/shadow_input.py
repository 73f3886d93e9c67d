"""What a shadow run reads: the canonical events of an archive or of a file of exported events, and another run's calls.

Events are made canonical by this program, in order and with the modules that each event sees. A file has lines of
Tetragon's JSON export, as `tetra getevents -o json` and Tetragon's own log have them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format

from agents.contract import StatefulStep
from agents.privacy.calls import CallRefused
from app.evidence.archive import ARCHIVE_FILE, Archive
from app.evidence.digests import span_of
from app.kafka.records import Recorded
from app.operators.errors import OperatorError
from app.operators.regular_files import open_regular
from app.progress import Progress
from app.replay.diff import OpenedPart, manifest_of
from app.replay.manifest import MANIFEST_FILE
from app.replay.request import BATCH_RECORDS
from app.replay.shadow import FilteredBefore
from app.settings import Settings
from app.steps import canonicalize_step
from schemas import topics
from schemas.tetragon.events_pb2 import GetEventsResponse

_MAX_LINE_BYTES: Final = 16 << 20


class ShadowInputError(OperatorError):
    """The recorded events, or the run beside them, cannot be used; the message says which and why."""


def canonical_events(settings: Settings, events: Path, progress: Progress) -> Iterator[Recorded]:
    """The canonical events of an archive or of a file of exported events, at their raw positions.

    Raises ShadowInputError, DocumentError, DamagedError, OSError, and what the canonicalize step's settings raise.
    """
    step = canonicalize_step(settings)
    if not events.is_dir():
        progress.begin("events compared")
        yield from _canonical(step, 0, _exported(events), progress)
        return
    if not (events / ARCHIVE_FILE).exists():
        raise ShadowInputError(f"{events}: holds no {ARCHIVE_FILE}: name an archive of `callstream record`, or a file")
    archive = Archive(events)
    progress.begin("events compared", sum(one.offsets for one in archive.ranges()))
    for one in archive.ranges():
        step.restore(one.partition, archive.start_rows(one.partition))
        yield from _canonical(
            step, one.partition, archive.batches(one.partition, one.first, one.next - 1, BATCH_RECORDS), progress
        )


def _canonical(
    step: StatefulStep, partition: int, batches: Iterator[list[Recorded]], progress: Progress
) -> Iterator[Recorded]:
    for batch in batches:
        step.release(partition, batch[0].offset)
        result = step(batch)
        for offset, out in zip(result.raw_offsets, result.outputs, strict=True):
            yield Recorded(topics.CANONICAL, partition, offset, out.timestamp_ms, out.key, out.value)
        progress.add(len(batch))


def _exported(file: Path) -> Iterator[list[Recorded]]:
    """Raw records of a file's lines, each at the offset of its number."""
    batch: list[Recorded] = []
    with open_regular(file) as lines:
        number = 0
        while line := lines.readline(_MAX_LINE_BYTES):
            number += 1
            if not line.strip():
                continue
            try:
                event = json_format.Parse(line, GetEventsResponse(), ignore_unknown_fields=True)
            except (json_format.ParseError, UnicodeDecodeError, RecursionError):
                raise ShadowInputError(f"{file}: line {number} is not a line of Tetragon's JSON export") from None
            batch.append(Recorded(topics.RAW, 0, number, 0, None, event.SerializeToString()))
            if len(batch) == BATCH_RECORDS:
                yield batch
                batch = []
    if batch:
        yield batch


class RunBefore:
    """What a run made of canonical events; they are asked for in the order of their positions."""

    def __init__(self, folder: Path, archive: Path) -> None:
        """Prove the run's files. Raises ShadowInputError if it is not of this archive, DocumentError, DamagedError."""
        manifest = manifest_of(folder)
        digest = Archive(archive).digest if archive.is_dir() else None
        if digest is None or manifest.origin.archive != digest:
            raise ShadowInputError(f"{folder}: the run was not made from {archive}")
        self._parts = {one.partition: OpenedPart(folder, one) for one in manifest.output}
        self._at = (-1, -1)
        self._calls: dict[int, dict[str, Any]] = {}

    def __call__(self, canonical: Recorded) -> FilteredBefore | CallRefused | None:
        """The event's call, if the run has one."""
        at = (canonical.partition, span_of(canonical.offset))
        if at != self._at:
            calls, _ = self._parts[at[0]].span(at[1])
            self._calls = {call["source"]["offset"]: call for call in calls}
            self._at = at
        call = self._calls.get(canonical.offset)
        return None if call is None else FilteredBefore(lambda: call)


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a run, and not a policy's file."""
    return (path / MANIFEST_FILE).exists()

"""One replay, from a source to files and a manifest that says what came of what.

A run's folder has `manifest.json`, the calls of each partition with their span lines and dead letters (call_file.py),
and in `configuration/` the texts that decided. The manifest is written last: a folder without it is no run.

Rules: the folder is new. This module refuses to know how lanes are run and what is compared with what.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from app.replay import call_file, canonical_json, engine
from app.replay.call_file import PieceSink
from app.replay.configuration import Configuration, configuration_of, program
from app.replay.engine import LaneSink, OpenSink, RunResult, Work, calls_nowhere
from app.replay.lanes import Lane
from app.replay.manifest import (
    MANIFEST_FILE,
    InputPart,
    Manifest,
    Origin,
    OutputPart,
    books_of,
    input_parts,
    output_part,
    totals,
)
from app.replay.published import PublishedSource
from app.replay.published_check import PublishedCheck, PublishedResult
from app.replay.source import ReplaySource
from app.settings import Settings

CONFIGURATION_FOLDER: Final = "configuration"
_STATE_DOMAIN: Final = "callstream start state 1"


class ReplayError(Exception):
    """A replay cannot be made as asked; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be replayed, and how. `symbols` is a snapshot of the symbol store, or its current one."""

    source: ReplaySource
    origin: Origin
    settings: Settings
    processes: int
    symbols: str | None = None
    batch_records: int = engine.BATCH_RECORDS
    published: PublishedSource | None = None
    report: Callable[[int], None] = lambda _records: None


@dataclass(frozen=True, slots=True)
class Ran:
    """A run, and what it was run with; what became of published records where they were compared."""

    configuration: Configuration
    work: Work
    result: RunResult
    published: PublishedResult | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A run and its manifest."""

    manifest: Manifest
    ran: Ran


def to_files(request: Request, folder: Path) -> Made:
    """Replay into a new folder; everything but the manifest's file is written when this returns.

    Raises ReplayError where the folder is in use, DamagedError, OSError, and what building the steps raises.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ReplayError(f"{folder} is not empty: a replay goes into a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    configuration, texts = configuration_of(request.settings, request.symbols)
    ran = run(request, configuration, partial(open_piece, folder), folder)
    texts.write(folder / CONFIGURATION_FOLDER)
    output = [_join(folder, one.partition, ran.result) for one in request.source.ranges()]
    return Made(manifest_of(request, ran, output), ran)


def nowhere(request: Request) -> Made:
    """Replay for the digests only. Raises as `to_files`."""
    configuration, _ = configuration_of(request.settings, request.symbols)
    with tempfile.TemporaryDirectory(prefix="callstream-") as scratch:
        ran = run(request, configuration, calls_nowhere, Path(scratch))
    output = [output_part(one.partition, ran.result.lines(one.partition), "") for one in request.source.ranges()]
    return Made(manifest_of(request, ran, output), ran)


def run(request: Request, configuration: Configuration, open_sink: OpenSink, folder: Path) -> Ran:
    """Run the request's lanes into sinks; `folder` is for scratch files, which are removed."""
    work = Work(
        source=request.source,
        settings=request.settings,
        open_sink=open_sink,
        symbols=configuration.symbols,
        batch_records=request.batch_records,
    )
    if request.published is None:
        return Ran(configuration, work, engine.run(work, request.processes, request.report))
    with tempfile.TemporaryDirectory(prefix="slots-", dir=folder) as scratch:
        check = PublishedCheck(request.published, request.source.ranges(), configuration, Path(scratch))
        checked = replace(work, open_sink=check.sink(open_sink), open_witness=check.witness())
        result = engine.run(checked, request.processes, request.report, divide=False)
        return Ran(configuration, work, result, check.conclude(result))


def manifest_of(request: Request, ran: Ran, output: Sequence[OutputPart], output_topic: str | None = None) -> Manifest:
    """Say what came of what."""
    canonical, calls = totals(output)
    return Manifest(
        program=program(),
        configuration=ran.configuration,
        origin=request.origin,
        input=inputs(request.source, ran.result),
        canonical=canonical,
        calls=calls,
        output=tuple(output),
        output_topic=output_topic,
        books=books_of(ran.result.books()),
        published=None if ran.published is None else ran.published.document(),
    )


def inputs(source: ReplaySource, result: RunResult) -> tuple[InputPart, ...]:
    """What went in."""
    ranges = source.ranges()
    return input_parts(
        ranges, {one.partition: state_digest(source.start_rows(one.partition)) for one in ranges}, result
    )


def write(folder: Path, document: dict[str, Any]) -> None:
    """Write a sealed manifest: the folder is a run from now on."""
    canonical_json.write(folder / MANIFEST_FILE, document)


def state_digest(rows: Iterable[tuple[bytes, bytes]]) -> str:
    """Digest of a start state, whatever the order of its rows."""
    hashed = hashlib.sha256(_STATE_DOMAIN.encode())
    for key, row in sorted(rows):
        hashed.update(b"%d %d " % (len(key), len(row)) + key + row)
    return hashed.hexdigest()


def open_piece(folder: Path, lane: Lane) -> LaneSink:
    """An `OpenSink` into a folder."""
    return PieceSink(_piece(folder, lane), lane.partition)


def _piece(folder: Path, lane: Lane) -> Path:
    return folder / f"piece-{lane.partition:05}-{lane.number:05}"


def _join(folder: Path, partition: int, result: RunResult) -> OutputPart:
    pieces = [(_piece(folder, one.lane), one.lines) for one in result.lanes if one.lane.partition == partition]
    lines = call_file.join(folder, partition, pieces)
    with call_file.paths(folder, partition)[1].open("rb") as refused:
        return output_part(partition, lines, hashlib.file_digest(refused, "sha256").hexdigest())

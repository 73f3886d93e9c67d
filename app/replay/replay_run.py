"""One replay, from a source to files and a manifest that says what came of what.

A run's folder has `manifest.json`, the calls of each partition with their span lines and dead letters (call_file.py),
and in `configuration/` the texts that decided. The manifest is written last: a folder without it is no run.

Rules: the folder is new. This module refuses to know how lanes are run and what is compared with what.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from app.replay import call_file, canonical_json, engine
from app.replay.call_file import PieceSink
from app.replay.configuration import Configuration, Texts, configuration_of, program
from app.replay.engine import LaneSink, RunResult, Work, calls_nowhere
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
    report: Callable[[int], None] = lambda _records: None


def to_files(request: Request, folder: Path) -> Manifest:
    """Replay into a new folder; everything but the manifest's file is written when this returns.

    Raises ReplayError where the folder is in use, DamagedError, OSError, and what building the steps raises.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ReplayError(f"{folder} is not empty: a replay goes into a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    configuration, texts = configuration_of(request.settings, request.symbols)
    result = run(request, configuration, partial(open_piece, folder))
    texts.write(folder / CONFIGURATION_FOLDER)
    output = [_join(folder, one.partition, result) for one in request.source.ranges()]
    return manifest_of(request, configuration, result, output)


def nowhere(request: Request) -> tuple[Manifest, RunResult, Texts]:
    """Replay for the digests only."""
    configuration, texts = configuration_of(request.settings, request.symbols)
    result = run(request, configuration, calls_nowhere)
    output = [output_part(one.partition, result.lines(one.partition), "") for one in request.source.ranges()]
    return manifest_of(request, configuration, result, output), result, texts


def run(request: Request, configuration: Configuration, open_sink: engine.OpenSink) -> RunResult:
    """Run the request's lanes into sinks."""
    work = Work(
        source=request.source,
        settings=request.settings,
        open_sink=open_sink,
        symbols=configuration.symbols,
        batch_records=request.batch_records,
    )
    return engine.run(work, request.processes, request.report)


def manifest_of(
    request: Request,
    configuration: Configuration,
    result: RunResult,
    output: Sequence[OutputPart],
    output_topic: str | None = None,
) -> Manifest:
    """Say what came of what."""
    canonical, calls = totals(output)
    return Manifest(
        program=program(),
        configuration=configuration,
        origin=request.origin,
        input=inputs(request.source, result),
        canonical=canonical,
        calls=calls,
        output=tuple(output),
        output_topic=output_topic,
        books=books_of(result.books()),
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

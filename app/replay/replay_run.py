"""One replay, from a source to files or a topic, and a manifest that says what came of what.

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

from app.evidence import documents
from app.evidence.configuration import Configuration, Texts, configuration_of, program
from app.evidence.span_lines import SpanLine
from app.operators.errors import OperatorError
from app.replay import call_file, engine
from app.replay.call_file import PieceSink
from app.replay.compare.check import PublishedCheck, PublishedResult
from app.replay.compare.published import CopySource, PublishedSource
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
from app.replay.source import ReplaySource
from app.replay.topic_sink import TopicSink
from app.settings import Settings

CONFIGURATION_FOLDER: Final = "configuration"
_STATE_DOMAIN: Final = "callstream start state 1"


class ReplayError(OperatorError):
    """A replay cannot be made as asked; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be replayed, and how. `symbols` is a snapshot of the symbol store, or its current one.

    It is compared with what was `published`, and with what an earlier run has `written` to a topic, where given.
    """

    source: ReplaySource
    origin: Origin
    settings: Settings
    processes: int
    symbols: str | None = None
    batch_records: int = engine.BATCH_RECORDS
    published: PublishedSource | None = None
    written: CopySource | None = None
    report: Callable[[int], None] = lambda _records: None


@dataclass(frozen=True, slots=True)
class Ran:
    """A run, and what it was run with; what became of topics' records where they were compared."""

    configuration: Configuration
    work: Work
    result: RunResult
    compared: PublishedResult | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A run and its manifest."""

    manifest: Manifest
    ran: Ran


def to_files(request: Request, folder: Path) -> Made:
    """Replay into a new folder; everything but the manifest's file is written when this returns.

    Raises ReplayError where the folder is in use, DamagedError, OSError, and what building the steps raises.
    """
    configuration, texts = _begin(request, folder)
    ran = run(request, configuration, _work(request, configuration, partial(open_piece, folder)), folder)
    texts.write(folder / CONFIGURATION_FOLDER)
    output = [_join(folder, one.partition, ran.result) for one in request.source.ranges()]
    return Made(manifest_of(request, ran, output), ran)


def nowhere(request: Request) -> Made:
    """Replay for the digests only. Raises as `to_files`."""
    configuration, _ = configuration_of(request.settings, request.symbols)
    with tempfile.TemporaryDirectory(prefix="callstream-") as scratch:
        ran = run(request, configuration, _work(request, configuration, calls_nowhere), Path(scratch))
    output = [output_part(one.partition, ran.result.lines(one.partition), "") for one in request.source.ranges()]
    return Made(manifest_of(request, ran, output), ran)


def to_topic(request: Request, folder: Path, topic: str, schema_id: int) -> Made:
    """Replay into a topic that is there; spans, dead letters and manifest go into a new folder as in `to_files`.

    Raises as `to_files`, KafkaUnusable and KafkaUnreachable.
    """
    configuration, texts = _begin(request, folder)
    work = _work(request, configuration, partial(TopicSink, request.settings, topic, folder), schema_id)
    ran = run(request, configuration, work, folder, divide=False)
    texts.write(folder / CONFIGURATION_FOLDER)
    output = []
    for one in request.source.ranges():
        lines = ran.result.lines(one.partition)
        call_file.write_lines(folder, one.partition, lines)
        output.append(_output_part(folder, one.partition, lines))
    return Made(manifest_of(request, ran, output, topic), ran)


def _begin(request: Request, folder: Path) -> tuple[Configuration, Texts]:
    """Make the folder, and find what decides."""
    if folder.exists() and any(folder.iterdir()):
        raise ReplayError(f"{folder} is not empty: a replay goes into a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    return configuration_of(request.settings, request.symbols)


def _work(
    request: Request, configuration: Configuration, open_sink: OpenSink, schema_id: int = engine.NO_SCHEMA_ID
) -> Work:
    return Work(
        source=request.source,
        settings=request.settings,
        open_sink=open_sink,
        symbols=configuration.symbols,
        schema_id=schema_id,
        batch_records=request.batch_records,
    )


def run(request: Request, configuration: Configuration, work: Work, folder: Path, *, divide: bool = True) -> Ran:
    """Run the request's lanes; `folder` is for scratch files, which are removed. `divide` as in `engine.run`."""
    if request.published is None and request.written is None:
        return Ran(configuration, work, engine.run(work, request.processes, request.report, divide=divide))
    with tempfile.TemporaryDirectory(prefix="slots-", dir=folder) as scratch:
        ranges = request.source.ranges()
        check = PublishedCheck(request.published, request.written, ranges, configuration, Path(scratch))
        checked = replace(work, open_sink=check.sink(work.open_sink), open_witness=check.witness())
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
        published=None if ran.compared is None or request.published is None else ran.compared.document(),
    )


def inputs(source: ReplaySource, result: RunResult) -> tuple[InputPart, ...]:
    """What went in."""
    ranges = source.ranges()
    states = {
        one.partition: (source.state_from(one.partition), state_digest(source.start_rows(one.partition)))
        for one in ranges
    }
    return input_parts(ranges, states, result)


def write(folder: Path, document: dict[str, Any]) -> None:
    """Write a sealed manifest: the folder is a run from now on."""
    documents.write(folder / MANIFEST_FILE, document)


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
    return _output_part(folder, partition, call_file.join(folder, partition, pieces))


def _output_part(folder: Path, partition: int, lines: Sequence[SpanLine]) -> OutputPart:
    with call_file.paths(folder, partition)[1].open("rb") as refused:
        return output_part(partition, lines, hashlib.file_digest(refused, "sha256").hexdigest())

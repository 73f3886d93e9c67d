"""Makes a run: opens its input, replays it into files or a topic, signs it, and compares it with what was published.

A run's folder has `manifest.json`, the calls of each partition with their span lines and dead letters (call_file.py),
and in `configuration/` the texts that decided. The manifest is written last: a folder without it is not a run. A run is
written even if what was published differs, because it is the evidence of that.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.evidence import documents
from app.evidence.archive import input_chain
from app.evidence.configuration import Configuration, configuration_of, program, write_texts
from app.evidence.runtime_trace import archive_host, runtime_trace, topic_host
from app.evidence.signed_documents import write_signed
from app.files.folders import make_private
from app.kafka.client import partition_count
from app.kafka.registry import SchemaRegistry
from app.progress import Progress
from app.replay import call_file, engine, output_topic
from app.replay.call_file import PieceSink
from app.replay.compare import check
from app.replay.compare.check import PublishedCheck, PublishedResult
from app.replay.compare.published import CopySource, PublishedSource, open_published
from app.replay.engine import CallsNowhere, LaneOutput, RunResult
from app.replay.manifest import (
    MANIFEST_FILE,
    InputPart,
    Manifest,
    OutputPart,
    RunOrigin,
    books_of,
    output_part,
    totals,
)
from app.replay.output_topic import TopicSink
from app.replay.pipeline import RunBooks
from app.replay.request import ReplayError, ReplayRequest
from app.replay.sources import ReplaySource, open_source
from app.replay.verdict import RunVerdict

CONFIGURATION_FOLDER: Final = "configuration"

_STATE_DOMAIN: Final = "callstream start state 1"
_ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutput:
    """Where a run goes: its new folder, and a topic for its calls, if not into files. `key` signs its manifest."""

    folder: Path
    topic: str | None = None
    force: bool = False
    key: Ed25519PrivateKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """A run's opened input, and what it is compared with: copies that were published, or that an earlier run wrote.

    `report` gets the number of records done.
    """

    source: ReplaySource
    origin: RunOrigin
    published: PublishedSource | None = None
    written: CopySource | None = None
    report: Callable[[int], None] = lambda _records: None


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: its request with the symbol snapshot that was current, the configuration, and what came out.

    `compared` is None if there was nothing to compare with.
    """

    request: ReplayRequest
    opened: RunInput
    configuration: Configuration
    result: RunResult
    compared: PublishedResult | None = None


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A run that was made: its manifest with its digest, its books, and the verdict on what was published."""

    manifest: Manifest
    digest: str
    books: RunBooks
    verdict: RunVerdict


def make(request: ReplayRequest, output: RunOutput, progress: Progress) -> MadeRun:
    """Make the run.

    Raises ReplayError, DocumentError, DamagedError, OSError, and what reaching Kafka and the registry and building the
    steps raise.
    """
    settings = request.settings
    if output.topic is not None:
        output_topic.check_allowed(settings, output.topic, force=output.force)
    with ExitStack() as stack:
        source, origin = open_source(request, output.folder, stack, progress)
        published = open_published(settings, source, stack, progress) if request.published else None
        verdict = RunVerdict()
        count = progress.count("records replayed", sum(one.offsets for one in source.ranges()))
        opened = RunInput(source=source, origin=origin, published=published, report=count.at)
        replayed, manifest = _write(request, opened, output, verdict)
        document = documents.sealed(manifest.document())
        write_signed(
            output.folder / MANIFEST_FILE,
            document,
            output.key,
            lambda content: _statement(content, str(document[documents.DIGEST]), manifest),
        )
        if published is not None and replayed.compared is not None:
            check.report(replayed.compared, replayed.configuration, verdict)
            verdict.first_event = check.differing_event(replayed.compared.copies, published, replayed.request, source)
        return MadeRun(manifest, str(document["digest"]), replayed.result.books(), verdict)


def replay_nowhere(request: ReplayRequest, opened: RunInput) -> tuple[Replayed, Manifest]:
    """Replay for the digests only. Raises as `make`."""
    configuration, _ = configuration_of(request.settings, request.snapshot, request.call_schema)
    with tempfile.TemporaryDirectory(prefix="callstream-") as scratch:
        replayed = _replay(request, opened, configuration, LaneOutput(open_sink=CallsNowhere), Path(scratch))
    result = replayed.result
    return replayed, _manifest(
        replayed, [output_part(one.partition, result.lines(one.partition), "") for one in opened.source.ranges()]
    )


def _write(
    request: ReplayRequest, opened: RunInput, output: RunOutput, verdict: RunVerdict
) -> tuple[Replayed, Manifest]:
    """Replay into the new folder; the calls go into its files, or to the topic, a partition at a time."""
    folder, topic = output.folder, output.topic
    if topic is None:
        lanes = LaneOutput(open_sink=partial(PieceSink, folder))
    else:
        schema_id = _prepare_topic(request, topic, opened.source, verdict)
        lanes = LaneOutput(open_sink=partial(TopicSink, request.settings, topic, folder), schema_id=schema_id)
    if folder.exists() and any(folder.iterdir()):
        unfinished = "" if (folder / MANIFEST_FILE).exists() else "; if a replay there was interrupted, remove it"
        raise ReplayError(f"{folder} is not empty: a replay goes into a folder of its own{unfinished}")
    make_private(folder)  # the run of another policy may hold what the live one removes
    configuration, texts = configuration_of(request.settings, request.snapshot)
    replayed = _replay(request, opened, configuration, lanes, folder, divide=topic is None)
    write_texts(folder / CONFIGURATION_FOLDER, texts)
    parts = []
    for one in opened.source.ranges():
        lines = replayed.result.lines(one.partition)
        if topic is None:
            lines = call_file.join(folder, one.partition, replayed.result)
        call_file.write_lines(folder, one.partition, lines)
        refused = call_file.refused_digest(call_file.paths(folder, one.partition)[1])
        parts.append(output_part(one.partition, lines, refused))
    return replayed, _manifest(replayed, parts, topic)


def _prepare_topic(request: ReplayRequest, topic: str, source: ReplaySource, verdict: RunVerdict) -> int:
    """Make the topic ready; returns the registry's id of the calls' schema."""
    partitions = 1 + max(one.partition for one in source.ranges())
    if request.archive is None:
        partitions = partition_count(request.settings, source.topic, _ANSWER_SECONDS)
    with SchemaRegistry.from_settings(request.settings) as registry:
        schema_id, note = output_topic.prepare(request.settings, registry, topic, partitions)
    verdict.notes.extend([] if note is None else [note])
    return schema_id


def _replay(
    request: ReplayRequest,
    opened: RunInput,
    configuration: Configuration,
    output: LaneOutput,
    folder: Path,
    *,
    divide: bool = True,
) -> Replayed:
    """Run the lanes; `folder` is for scratch files, which are removed. `divide` as in `engine.run`."""
    # the snapshot is named from here on: the store's current one may change during the run
    request, source = replace(request, snapshot=configuration.symbols), opened.source
    if opened.published is None and opened.written is None:
        result = engine.run(request, source, output, opened.report, divide=divide)
        return Replayed(request, opened, configuration, result)
    with tempfile.TemporaryDirectory(prefix="slots-", dir=folder) as scratch:
        checks = PublishedCheck(opened.published, opened.written, source.ranges(), configuration, Path(scratch))
        checked = replace(output, open_witness=checks.witness())
        result = engine.run(request, source, checked, opened.report, divide=False)
        return Replayed(request, opened, configuration, result, checks.conclude(result))


def _statement(content: bytes, digest: str, manifest: Manifest) -> bytes:
    """What is signed of a run: what decided, and digests of input and output, by partition."""
    deciding, origin = manifest.configuration, manifest.origin
    partitions = (
        {
            "partition": given.partition,
            "firstOffset": given.first,
            "nextOffset": given.next,
            "records": given.records,
            "rawDigest": given.chain,
            "callsDigest": made.calls,
        }
        for given, made in zip(manifest.input, manifest.output, strict=True)
    )
    host = topic_host(origin.cluster, origin.topic) if origin.archive is None else archive_host(origin.archive)
    others = {"symbols": deciding.symbols, "policyHooks": deciding.policy_hooks}
    about = (MANIFEST_FILE, content, digest)
    return runtime_trace(about, host, partitions, policy=deciding.policy, deciding=others)


def _manifest(replayed: Replayed, parts: Sequence[OutputPart], topic: str | None = None) -> Manifest:
    canonical, calls = totals(parts)
    opened, compared = replayed.opened, replayed.compared
    return Manifest(
        program=program(),
        configuration=replayed.configuration,
        origin=opened.origin,
        input=tuple(_input_parts(opened.source, replayed.result)),
        canonical=canonical,
        calls=calls,
        output=tuple(parts),
        output_topic=topic,
        books=books_of(replayed.result.books()),
        published=None if compared is None or opened.published is None else compared.document(),
    )


def _input_parts(source: ReplaySource, result: RunResult) -> Iterable[InputPart]:
    """What went in, as the pipeline saw it."""
    for one in source.ranges():
        chain, records = input_chain(one.partition), 0
        for line in result.lines(one.partition):
            chain.add(line.span, line.records.digest)
            records += line.records.count
        state_from, state = source.state_from(one.partition), _state_digest(source.start_rows(one.partition))
        yield InputPart(one.partition, one.first, one.next, records, chain.head, state_from, state)


def _state_digest(rows: Iterable[tuple[bytes, bytes]]) -> str:
    """Digest of a start state, whatever the order of its rows."""
    hashed = hashlib.sha256(_STATE_DOMAIN.encode())
    for key, row in sorted(rows):
        hashed.update(b"%d %d " % (len(key), len(row)) + key + row)
    return hashed.hexdigest()

"""Proves a run: reads its manifest, replays the same input again, and reports every difference.

All that the manifest names is checked. A finding names the place that differs: a field of the manifest, a file, a
partition and its offsets, an event and its fields. Nothing is repaired or written. A newer program that gives the same
bytes is a note, not a finding.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from app.evidence import documents
from app.evidence.attestation import SignatureError
from app.evidence.configuration import (
    HOOKS_FILE,
    POLICY_FILE,
    Configuration,
    call_schema_fingerprint,
    configuration_of,
    fingerprint_of_text,
    grown_call_schema,
    program,
    with_texts_of,
)
from app.evidence.documents import DocumentError, differences
from app.evidence.signed_documents import NOBODY, TrustedSigner, check_signature
from app.evidence.span_files import damaged
from app.evidence.span_lines import SpanLine, first_difference, read_lines
from app.evidence.written_schema import said_the_same, schema_text_in, text_digest
from app.kafka.records import DamagedError
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.privacy.load import PrivacyConfigError
from app.progress import Count, Progress
from app.replay import call_file, event_search
from app.replay.at_hand import find_evidence, find_manifest
from app.replay.compare import check
from app.replay.compare.published import open_published
from app.replay.diff import ChangedEvent
from app.replay.make import CONFIGURATION_FOLDER, Replayed, RunInput, replay_nowhere
from app.replay.manifest import MANIFEST_FILE, Manifest, OutputPart
from app.replay.output_topic import OutputCopies
from app.replay.request import ReplayRequest
from app.replay.sources import reopen_source
from app.replay.verdict import RunVerdict
from app.settings import Settings
from app.steps import PolicyHooksError
from app.symbols.checking import check_objects
from app.symbols.snapshot import SymbolStoreError
from app.symbols.store import SymbolStore
from schemas import records

UNUSABLE: Final = (PrivacyConfigError, PolicyHooksError, OSError, ValueError)
"""What loading a configuration raises, besides SymbolStoreError."""


def verify(path: Path, request: ReplayRequest, progress: Progress, *, trust: TrustedSigner = NOBODY) -> RunVerdict:
    """Verify the run whose manifest, or whose folder, is at `path`.

    The manifest says what to replay; the request's `archive`, if any, stands for the run's own input. `trust` says
    whose signature and time-stamp the manifest must have. Raises ReplayError, also where something that it needs is
    not at hand, and what reaching Kafka and the registry raises.
    """
    verdict = RunVerdict()
    opened = open_run(path, request, trust, verdict)
    if opened is not None:
        counted = progress.count("records replayed")
        with ExitStack() as stack:
            _Verification(opened, verdict).run(stack, progress, counted)
    return verdict


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run whose manifest can be read, in its folder, and the request to make it again."""

    folder: Path
    manifest: Manifest
    request: ReplayRequest

    @property
    def texts(self) -> Path:
        """The folder of the texts that decided."""
        return self.folder / CONFIGURATION_FOLDER

    def check_configuration(self, verdict: RunVerdict) -> Configuration | None:
        """Compare the configuration; None if it cannot be loaded, so that nothing can be replayed."""
        then, settings = self.manifest.configuration, self.request.settings
        try:
            now, texts = configuration_of(settings, then.symbols, self.request.call_schema)
            for fault in _symbol_faults(settings, now):
                verdict.find("symbols", fault)
        except SymbolStoreError as error:
            verdict.find("symbols", error)
            return None
        except UNUSABLE as error:
            verdict.find(f"configuration, {self.texts}", error)
            return None
        for name, field in ((POLICY_FILE, "policy"), (HOOKS_FILE, "policy_hooks")):
            if name in texts and getattr(now, field) != getattr(then, field):
                verdict.find("configuration", f"{self.texts / name}: is not the text that the run was made with")
        for one in differences(asdict(then), asdict(now)):
            verdict.find(f"configuration.{one.path}", f"{one.left} is now {one.right}")
        return now


def open_run(path: Path, request: ReplayRequest, trust: TrustedSigner, verdict: RunVerdict) -> OpenedRun | None:
    """The run whose manifest, or whose folder, is at `path`; None where the manifest cannot be read.

    Raises ReplayError where the manifest, or something that it names, is not at hand.
    """
    path = path / MANIFEST_FILE if path.is_dir() else path
    find_manifest(path)
    manifest = _read(path, trust, verdict)
    if manifest is None:
        return None
    folder, snapshot = path.parent, manifest.configuration.symbols
    find_evidence(manifest, request, folder)
    settings = with_texts_of(request.settings, folder / CONFIGURATION_FOLDER)
    if snapshot is None:
        settings = replace(settings, symbol_store_dir=None)
    text = _older_call_schema(folder, manifest)
    manifest = _in_words_of_today(manifest)
    if text is not None and manifest.configuration.call_schema != call_schema_fingerprint():
        verdict.notes.append(
            "configuration.call_schema: this program's has more symbols or fields; calls are made as they were then"
        )
    request = replace(request, settings=settings, snapshot=snapshot, call_schema=text)
    return OpenedRun(folder, manifest, request)


def _older_call_schema(folder: Path, manifest: Manifest) -> str | None:
    """The schema of the run's calls, if this program's has only grown since; None where it is the same or another."""
    then, digest = manifest.configuration.call_schema, manifest.configuration.schemas.get(records.CALL, "")
    if (then == call_schema_fingerprint() and not said_the_same(records.CALL, digest)) or not manifest.output:
        return None
    calls, _, _ = call_file.paths(folder, manifest.output[0].partition)
    text = grown_call_schema(schema_text_in(calls))
    return text if text is not None and fingerprint_of_text(text) == then else None


def _in_words_of_today(manifest: Manifest) -> Manifest:
    """The manifest, with the digests of this program's schemas where the run's said the same in other words."""
    then = manifest.configuration
    now = {
        name: text_digest(records.schema_text(name))
        for name, digest in then.schemas.items()
        if name in (records.DEAD_LETTER, records.RECORDED_RECORD) and said_the_same(name, digest)
    }
    return replace(manifest, configuration=replace(then, schemas={**then.schemas, **now}))


def _read(path: Path, trust: TrustedSigner, verdict: RunVerdict) -> Manifest | None:
    """Read the manifest, even a changed one if it is still readable: the replay then shows what was changed."""
    try:
        document = documents.read_unproved(path)
        manifest = Manifest.of_document(document, str(path))
    except DocumentError as error:
        verdict.find("manifest", error)
        return None
    if document.get(documents.DIGEST) != documents.sealed(document)[documents.DIGEST]:
        verdict.find("manifest", f"{path}: its content does not match its digest: it was changed")
    try:
        _check_signature(path, document, trust, verdict)
    except SignatureError as error:
        verdict.find("manifest", f"{path} {error}")
    verdict.facts["manifest"] = document.get(documents.DIGEST)
    return manifest


def _check_signature(path: Path, document: Mapping[str, Any], trust: TrustedSigner, verdict: RunVerdict) -> None:
    """Check signature and time-stamp, as far as somebody said whom to trust. Raises SignatureError."""
    verdict.facts["signed_by"] = verdict.facts["signed_before"] = None
    found = check_signature(path, document, trust)
    if found is None:
        return
    if found.is_proved:
        verdict.facts["signed_by"] = trust.public_key.public_bytes_raw().hex() if trust.public_key else None
    else:
        verdict.notes.append("has a signature, which nobody checked: --public-key does")
    stamp = found.time_stamp
    if stamp is not None and stamp.is_proved:
        verdict.facts["signed_before"] = str(stamp)
    elif stamp is not None:
        verdict.notes.append(f"has a time-stamp of {stamp}, which nobody checked: --time-stamp-ca does")


class _Verification:
    """Proves one run."""

    def __init__(self, opened: OpenedRun, verdict: RunVerdict) -> None:
        self._opened = opened
        self._folder, self._manifest, self._request = opened.folder, opened.manifest, opened.request
        self._verdict = verdict
        self._lines: dict[int, list[SpanLine]] = {}

    def run(self, stack: ExitStack, progress: Progress, counted: Count) -> None:
        """Check everything; `stack` closes what is opened."""
        for part in self._manifest.output:
            self._check_files(part)
        self._note_program()
        configuration = self._opened.check_configuration(self._verdict)
        try:
            opened = self._open(stack, progress, counted)
        except (DocumentError, DamagedError) as error:
            self._verdict.find("input", error)
            return
        if opened.origin != self._manifest.origin:
            self._compare("input.source", asdict(self._manifest.origin), asdict(opened.origin))
        if configuration is not None:
            self._replay(opened)

    def _open(self, stack: ExitStack, progress: Progress, counted: Count) -> RunInput:
        """Open the run's input again, and what it is compared with."""
        settings, manifest = self._request.settings, self._manifest
        source, origin = reopen_source(self._request, manifest, self._folder, stack, progress)
        counted.total = sum(one.offsets for one in source.ranges())
        published = None if manifest.published is None else open_published(settings, source, stack, progress)
        written = None
        if manifest.output_topic is not None:
            reader = stack.enter_context(TopicReader(settings))
            registry = stack.enter_context(SchemaRegistry.from_settings(settings))
            written = OutputCopies(reader, registry, manifest.output_topic)
        return RunInput(source=source, origin=origin, published=published, written=written, report=counted.at)

    def _check_files(self, part: OutputPart) -> None:
        """Prove a partition's files, and remember its lines if they are as they were."""
        calls, refused, spans = call_file.paths(self._folder, part.partition)
        try:
            lines = read_lines(spans, part.spans)
            self._lines[part.partition] = lines
            if self._manifest.output_topic is None:
                call_file.check(calls, part.partition, lines, self._request.call_schema)
        except DamagedError as error:
            self._verdict.find("output", error)
        try:
            call_file.check_refused(refused, part.partition, part.refused)
        except DamagedError as error:
            self._verdict.find("output", error)

    def _note_program(self) -> None:
        now = program()
        self._verdict.facts["program"] = now
        for one in differences(dict(self._manifest.program), now):
            self._verdict.notes.append(f"program.{one}")

    def _replay(self, opened: RunInput) -> None:
        try:
            replayed, now = replay_nowhere(self._request, opened)
        except DamagedError as error:
            self._verdict.find("input", error)
            return
        except SymbolStoreError as error:
            self._verdict.find("symbols", error)
            return
        self._verdict.facts["books"] = dict(now.books)
        self._compare("input", _comparable_input(self._manifest), _comparable_input(now))
        self._compare("books", dict(self._manifest.books), dict(now.books))
        self._compare("output", _comparable_output(self._manifest), _comparable_output(now))
        self._find_event(replayed)
        compared = replayed.compared
        if compared is None:
            return
        if opened.published is not None:
            self._compare("published", dict(self._manifest.published or {}), compared.document())
        check.report(compared, replayed.configuration, self._verdict)
        for copies, place in ((compared.copies, opened.published), (compared.written, opened.written)):
            if self._verdict.first_event is None and place is not None:
                event = check.differing_event(copies, place, replayed.request, opened.source)
                self._verdict.first_event = event

    def _find_event(self, replayed: Replayed) -> None:
        """Name the first span that differs, and the first event in it."""
        for part in self._manifest.output:
            lines, again = self._lines.get(part.partition), replayed.result.lines(part.partition)
            pair = first_difference(lines, again) if lines is not None else None
            if pair is None:
                continue
            then, now = pair
            line = then or now
            assert line is not None
            self._verdict.find(call_file.place(part.partition, line), _what_differs(then, now))
            self._verdict.first_event = self._first_event(replayed, part.partition, line)
            return
        if self._manifest.output_topic is None:
            self._explain_damage(replayed)

    def _explain_damage(self, replayed: Replayed) -> None:
        """Name the event and field that were changed in a file of calls that is still readable."""
        for part in self._manifest.output:
            path = call_file.paths(self._folder, part.partition)[0]
            with contextlib.suppress(DamagedError):  # that it cannot be read is a finding already
                for line in damaged(path, self._lines.get(part.partition, ())):
                    self._verdict.first_event = self._first_event(replayed, part.partition, line)
                    if self._verdict.first_event is not None:
                        return

    def _first_event(self, replayed: Replayed, partition: int, line: SpanLine) -> ChangedEvent | None:
        path = call_file.paths(self._folder, partition)[0]
        try:
            then = call_file.read_span(path, partition, line)
        except DamagedError:
            return None
        now = event_search.replay_range(replayed.request, replayed.opened.source, partition, line.first, line.last)
        return event_search.first_difference(partition, then, now.calls)

    def _compare(self, place: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        for one in differences(then, now):
            self._verdict.find(f"{place}.{one.path}", f"{one.left} is now {one.right}")


def _symbol_faults(settings: Settings, configuration: Configuration) -> Iterator[str]:
    """The damaged objects of the symbol store's snapshot, used by this run's events or not."""
    if settings.symbol_store_dir is None or configuration.symbols is None:
        return
    store = SymbolStore.open(settings.symbol_store_dir, configuration.symbols)
    yield from (found.fault for found in check_objects(store) if found.fault is not None)


def _comparable_input(manifest: Manifest) -> dict[str, Any]:
    return {"partitions": [asdict(part) for part in manifest.input]}


def _comparable_output(manifest: Manifest) -> dict[str, Any]:
    """Digests of what was made; those of files are proved by reading the files."""
    parts = [{"partition": one.partition, "canonical": one.canonical, "calls": one.calls} for one in manifest.output]
    return {"canonical": manifest.canonical, "calls": manifest.calls, "partitions": parts}


def _what_differs(then: SpanLine | None, now: SpanLine | None) -> str:
    if then is None or now is None:
        return "had no raw records" if then is None else "has no raw records any more"
    names = ("records", "canonical", "calls")
    differing = [name for name in names if getattr(then, name) != getattr(now, name)]
    return f"{', '.join(differing)} differ"

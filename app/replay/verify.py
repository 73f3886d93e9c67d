"""Proves a run again: reads its manifest, makes the run anew from the same input, and says what is not as it was.

Rules: everything that the manifest names is looked at, and what differs is named by its place: a field of the manifest,
a file, a partition and its offsets, an event and its fields. Nothing is repaired or written. A newer program that gives
the same bytes is a note and no fault. This module refuses to know how findings are shown.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.evidence import documents, signing
from app.evidence.configuration import HOOKS_FILE, POLICY_FILE, Configuration, configuration_of, program, with_texts_of
from app.evidence.documents import DocumentError, differences
from app.evidence.span_lines import SpanLine, first_difference, read_lines
from app.kafka.records import DamagedError
from app.privacy.load import PrivacyConfigError
from app.replay import call_file, engine, event_search, replay_run
from app.replay.compare import check
from app.replay.compare.published import CopySource, PublishedSource
from app.replay.engine import RunResult, Work
from app.replay.manifest import Manifest, Origin, OutputPart
from app.replay.replay_run import CONFIGURATION_FOLDER, Request
from app.replay.source import ReplaySource
from app.replay.verdict import EventDifference, Verdict
from app.settings import Settings
from app.steps import PolicyHooksError
from app.symbols.checking import check_objects
from app.symbols.snapshot import SymbolStoreError
from app.symbols.store import SymbolStore

UNUSABLE: Final = (PrivacyConfigError, PolicyHooksError, OSError, ValueError)
"""What loading a configuration raises, besides SymbolStoreError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to verify: `open_source` finds the run's input again, `open_published` what was published for it.

    `open_written` finds what the run wrote to a topic, by its name. All raise DocumentError or DamagedError.
    """

    settings: Settings
    processes: int
    open_source: Callable[[Manifest], tuple[ReplaySource, Origin]]
    open_published: Callable[[ReplaySource], PublishedSource]
    open_written: Callable[[str], CopySource]
    public_key: Ed25519PublicKey | None = None
    batch_records: int = engine.BATCH_RECORDS
    report: Callable[[int], None] = lambda _records: None


def verify(path: Path, options: Options) -> Verdict:
    """Verify the run whose manifest is at `path`. Raises only for broken machinery."""
    verdict = Verdict()
    manifest = _read(path, options, verdict)
    if manifest is not None:
        _Verification(path, manifest, options, verdict).run()
    return verdict


def _read(path: Path, options: Options, verdict: Verdict) -> Manifest | None:
    """Read the manifest; one that was changed is read all the same where it can be, to find out where."""
    try:
        document = documents.read_unproved(path)
        manifest = Manifest.of_document(document, str(path))
    except DocumentError as error:
        verdict.find("manifest", error)
        return None
    if document.get(documents.DIGEST) != documents.sealed(document)[documents.DIGEST]:
        verdict.find("manifest", f"{path}: its content does not match its digest: it was changed")
    try:
        signer = signing.check(document, options.public_key)
    except signing.SignatureError as error:
        verdict.find("manifest", f"{path} {error}")
    else:
        verdict.facts["signed_by"] = signer
        if signer is not None and options.public_key is None:
            verdict.notes.append(f"says that it is signed with key {signer}; --public-key proves whose that is")
    verdict.facts["manifest"] = document.get(documents.DIGEST)
    return manifest


class _Verification:
    """One run being proved."""

    def __init__(self, path: Path, manifest: Manifest, options: Options, verdict: Verdict) -> None:
        self._folder = path.parent
        self._manifest = manifest
        self._options = options
        self._verdict = verdict
        self._texts = self._folder / CONFIGURATION_FOLDER
        self._settings = with_texts_of(options.settings, self._texts)
        if manifest.configuration.symbols is None:
            self._settings = replace(self._settings, symbol_store_dir=None)
        self._lines: dict[int, list[SpanLine]] = {}

    def run(self) -> None:
        """Look at everything."""
        for part in self._manifest.output:
            self._check_files(part)
        self._note_program()
        configuration = self._check_configuration()
        try:
            source, origin = self._options.open_source(self._manifest)
            published = None if self._manifest.published is None else self._options.open_published(source)
            topic = self._manifest.output_topic
            written = None if topic is None else self._options.open_written(topic)
        except (DocumentError, DamagedError) as error:
            self._verdict.find("input", error)
            return
        if origin != self._manifest.origin:
            self._compare("input.source", asdict(self._manifest.origin), asdict(origin))
        if configuration is not None:
            self._replay(source, origin, published, written)

    def _check_files(self, part: OutputPart) -> None:
        """Prove a partition's files, and remember its lines where they are as they were."""
        calls, refused, spans = call_file.paths(self._folder, part.partition)
        try:
            lines = read_lines(spans, part.spans)
            self._lines[part.partition] = lines
            if self._manifest.output_topic is None:
                call_file.check(calls, part.partition, lines)
        except DamagedError as error:
            self._verdict.find("output", error)
        try:
            with refused.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            self._verdict.find("output", f"{refused}: {error.strerror or error}")
        else:
            if digest != part.refused:
                self._verdict.find("output", f"{refused}, partition {part.partition}: was changed")

    def _note_program(self) -> None:
        now = program()
        self._verdict.facts["program"] = now
        for one in differences(dict(self._manifest.program), now):
            self._verdict.notes.append(f"program.{one}")

    def _check_configuration(self) -> Configuration | None:
        """Compare what decides; None where it cannot be had, and nothing can be replayed."""
        then = self._manifest.configuration
        try:
            now, texts = configuration_of(self._settings, then.symbols)
            for fault in _symbol_faults(self._settings, now):
                self._verdict.find("symbols", fault)
        except SymbolStoreError as error:
            self._verdict.find("symbols", error)
            return None
        except UNUSABLE as error:
            self._verdict.find(f"configuration, {self._texts}", error)
            return None
        for name, field in ((POLICY_FILE, "policy"), (HOOKS_FILE, "policy_hooks")):
            if name in texts.by_name and getattr(now, field) != getattr(then, field):
                self._verdict.find("configuration", f"{self._texts / name}: is not the text that the run was made with")
        self._compare("configuration", asdict(then), asdict(now))
        return now

    def _replay(
        self, source: ReplaySource, origin: Origin, published: PublishedSource | None, written: CopySource | None
    ) -> None:
        request = Request(
            source=source,
            origin=origin,
            settings=self._settings,
            symbols=self._manifest.configuration.symbols,
            processes=self._options.processes,
            batch_records=self._options.batch_records,
            published=published,
            written=written,
            report=self._options.report,
        )
        try:
            made = replay_run.nowhere(request)
        except DamagedError as error:
            self._verdict.find("input", error)
            return
        except SymbolStoreError as error:
            self._verdict.find("symbols", error)
            return
        now, ran = made.manifest, made.ran
        self._verdict.facts["books"] = dict(now.books)
        self._compare("input", _comparable_input(self._manifest), _comparable_input(now))
        self._compare("books", dict(self._manifest.books), dict(now.books))
        self._compare("output", _comparable_output(self._manifest), _comparable_output(now))
        self._find_event(ran.work, ran.result)
        if ran.compared is None:
            return
        if published is not None:
            self._compare("published", dict(self._manifest.published or {}), ran.compared.document())
        check.report(ran.compared, ran.configuration, self._verdict)
        for copies, place in ((ran.compared.copies, published), (ran.compared.written, written)):
            if self._verdict.first_event is None and place is not None:
                self._verdict.first_event = check.differing_event(copies, place, ran.work)

    def _find_event(self, work: Work, result: RunResult) -> None:
        """Name the first span that differs, and the first event in it."""
        for part in self._manifest.output:
            lines, again = self._lines.get(part.partition), result.lines(part.partition)
            pair = first_difference(lines, again) if lines is not None else None
            if pair is None:
                continue
            then, now = pair
            line = then or now
            assert line is not None
            self._verdict.find(call_file.place(part.partition, line), _what_differs(then, now))
            self._verdict.first_event = self._first_event(work, part.partition, line)
            return
        if self._manifest.output_topic is None:
            self._explain_damage(work)

    def _explain_damage(self, work: Work) -> None:
        """Where a file of calls was changed and still reads, show which event and field."""
        for part in self._manifest.output:
            path = call_file.paths(self._folder, part.partition)[0]
            with contextlib.suppress(DamagedError):  # that it cannot be read is a finding already
                for line in call_file.damaged(path, part.partition, self._lines.get(part.partition, ())):
                    self._verdict.first_event = self._first_event(work, part.partition, line)
                    if self._verdict.first_event is not None:
                        return

    def _first_event(self, work: Work, partition: int, line: SpanLine) -> EventDifference | None:
        path = call_file.paths(self._folder, partition)[0]
        try:
            then = event_search.in_file(path, partition, line)
        except DamagedError:
            return None
        now, _ = event_search.made_again(work, partition, line.first, line.last)
        return event_search.first_difference(partition, then, now)

    def _compare(self, place: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        for one in differences(then, now):
            self._verdict.find(f"{place}.{one.path}", f"{one.left} is now {one.right}")


def _symbol_faults(settings: Settings, configuration: Configuration) -> Iterator[str]:
    """What is damaged in the symbol store's snapshot, used by this run's events or not."""
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

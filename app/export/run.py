"""One export from beginning to end: where the data comes from, which writer takes it, and what the command reports.

If there is nothing to write, no file is written: consumers refuse empty files, and people notice a missing one.
"""

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final, assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.hot_symbols.reading.observations import CallObserver
from agents.hot_symbols.table.any_name import other_names
from agents.hot_symbols.table.query import Query
from app.export.call_stacks import CONTAINER_FIELDS, STACK_FIELDS, ContainerMeaning, StackMeaning, binary_reader
from app.export.call_tree import CallTree
from app.export.fact_files import FactFiles
from app.export.flame_graph.page import flame_graph_pieces
from app.export.folded import folded_lines
from app.export.openvex import openvex_document, unnamed
from app.export.output import output
from app.export.pprof import write_pprof
from app.export.repeats import repeats
from app.export.runtime_facts import ALL, FactOrder, fact_line
from app.export.speedscope import speedscope_text
from app.export.stack_frames import Demangle
from app.export.vex_file import VexFile
from app.export.vex_output import write_signed_vex, write_vex
from app.export.window import CallWindow, ExportBooks, OnRead
from app.export.window_images import ImageGatherer
from app.export.window_stacks import StackGatherer, wanted
from app.export.window_symbols import SymbolGatherer
from app.files.folders import make_folder
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import CallLayouts
from app.operators.times import time_text
from app.settings import Settings
from app.stages.hot_symbols.answers_reading import watched_answers
from app.stages.hot_symbols.doubled_hits import DoubledHits
from app.stages.hot_symbols.table_reading import published_rows
from app.symbols.known_files import names_in

EXPORTER: Final = f"callstream {version('callstream')}"

_AT_ONCE: Final = 1_000
"""Rows that are marked together as perhaps counted twice: if the table for that cannot be read, each try takes time."""


class StackFormat(StrEnum):
    """Formats of call stacks."""

    FOLDED = "folded"
    SPEEDSCOPE = "speedscope"
    PPROF = "pprof"
    HTML = "html"


@dataclass(slots=True, kw_only=True)
class ExportOutcome:
    """What an export did: `written` is the number of items (`what`: stacks, facts, statements); 0 means no file."""

    what: str
    written: int
    books: ExportBooks | None = None
    cut_events: int = 0
    base: ExportBooks | None = None
    """Of the window that a flame graph is compared with."""
    statuses: dict[str, int] | None = None
    """Statements by their status; None when no OpenVEX file was wanted."""
    refused: RefusedRecords = field(default_factory=RefusedRecords)
    """Records of the table or of the watches that could not be used."""
    unnamed: list[str] = field(default_factory=list)
    """Vulnerabilities that are watched for and that a VEX file does not name."""

    unmapped: int = 0
    """Functions that a symbol map does not have."""
    passed_over: int = 0
    """Nodes of a symbol map that are of no native code."""
    subjects: dict[str, tuple[Path, int]] = field(default_factory=dict)
    """Files of facts, with how many each has, by the digest that they are of."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that the window has is in the file."""
        return not any(self.warnings())

    def document(self) -> dict[str, Any]:
        """For a machine."""
        window = {} if self.books is None else {"window": self.books.document(), "cut_events": self.cut_events}
        window |= {} if self.base is None else {"base": self.base.document()}
        vex = {} if self.statuses is None else {"statuses": self.statuses, "unnamed": self.unnamed}
        unmapped: dict[str, Any] = {"unmapped": self.unmapped} if self.unmapped else {}
        unmapped |= {"nodes_passed_over": self.passed_over} if self.passed_over else {}
        if self.subjects:
            unmapped["subjects"] = [
                {"subject": one, "file": str(path), "facts": facts, "call": posted(path)}
                for one, (path, facts) in self.subjects.items()
            ]
        return {"written": self.written, "of": self.what, **window, **vex, **unmapped, **self.refused.document()}

    def lines(self) -> Iterator[str]:
        """For a person."""
        books = self.books
        if books is not None and books.calls:
            yield f"calls of {time_text(books.first_ns, 9)} to {time_text(books.last_ns, 9)}"
        yield from self.facts()
        yield from self.warnings()

    def facts(self) -> Iterator[str]:
        """What is in the file, and what was left out on purpose."""
        books = self.books
        yield f"{self.written:,} {self.what}" + (f" of {books.calls:,} calls" if books is not None else "")
        for status, number in (self.statuses or {}).items():
            yield f"{number:,} {status}"
        for vulnerability in self.unnamed:
            yield f"{vulnerability} is watched for, and the file says nothing of it: no statement"
        if self.unmapped:
            yield f"{self.unmapped:,} functions are not in the symbol map, so their facts have callstream's ids"
        if self.passed_over:
            yield f"{self.passed_over:,} nodes of the symbol map are of no native code"
        for subject, (path, facts) in self.subjects.items():
            yield f"{subject}: {facts:,} facts in {path}; hand them over with"
            yield f"  {posted(path)}"
        if books is None:
            return
        for number, said in (
            (books.without_stack, "calls without a stack or a probe's target, not in the export"),
            (books.not_asked_for, "calls of other namespaces or images, or of none that is known"),
            (books.repeated, "repeated records, counted once"),
        ):
            if number:
                yield f"{number:,} {said}"
        if self.base is not None:
            times = (
                f" of {time_text(self.base.first_ns, 9)} to {time_text(self.base.last_ns, 9)}"
                if self.base.calls
                else ""
            )
            yield f"compared with {self.base.calls:,} calls{times}"

    def warnings(self) -> Iterator[str]:
        """What is missing in the file."""
        if self.cut_events:
            yield f"{self.cut_events:,} calls whose stack is cut short: more different stacks than an export holds"
        for books in filter(None, (self.books, self.base)):
            for reason, number in sorted(books.unreadable.items()):
                first = books.first_unreadable[reason]
                yield f"{number:,} records are not calls ({reason}), not in the export; the first is {first}"
        yield from self.refused.lines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What every export has: where from, which places, how names are shown, and where to (None: standard output).

    `place` has conditions on namespace and image only.

    Every method raises what reading Kafka and the registry and writing a file raise.
    """

    settings: Settings
    place: Query
    demangle: Demangle
    to: Path | None
    on_read: OnRead

    def stacks(self, window: CallWindow, form: StackFormat, base: CallWindow | None = None) -> ExportOutcome:
        """Write the call stacks of a window; a flame graph may compare them with those of a base window."""
        gatherer = self._gathered(window)
        before = None if base is None else self._gathered(base)
        tree = gatherer.builder.tree()
        written = sum(1 for _ in tree.stacks())
        cut_events = gatherer.builder.cut_events + (0 if before is None else before.builder.cut_events)
        outcome = ExportOutcome(
            what="stacks",
            written=written,
            books=gatherer.books,
            cut_events=cut_events,
            base=None if before is None else before.books,
        )
        if written:
            with output(self.to) as sink:
                base_tree = None if before is None else before.builder.tree()
                _write_stacks(sink, form, tree, self.demangle, outcome, base=base_tree)
        return outcome

    def _gathered(self, window: CallWindow) -> StackGatherer:
        layouts = CallLayouts(self.settings, STACK_FIELDS)
        observe = CallObserver(layouts, StackMeaning())
        with repeats(self.settings, window.partitions) as repeating:
            gatherer = StackGatherer(observe, binary_reader(layouts), wanted(self.place), repeating)
            gatherer.books.ranges = window.ranges
            gatherer.gather(window.runs(self.on_read))
        return gatherer

    def window_facts(self, window: CallWindow, order: FactOrder = ALL, subject: str | None = None) -> ExportOutcome:
        """Write the runtime facts of a window; `subject` is what they are of. Raises TooManySymbolsError too."""
        observe = CallObserver(CallLayouts(self.settings, CONTAINER_FIELDS), ContainerMeaning())
        with repeats(self.settings, window.partitions) as repeating:
            gatherer = SymbolGatherer(observe, wanted(self.place), window.partitions, repeating)
            gatherer.books.ranges = window.ranges
            gatherer.gather(window.runs(self.on_read))
        written = _write_some(self.to, self._window_lines(gatherer, order))
        subjects = {} if subject is None or self.to is None or not written else {subject: (self.to, written)}
        return _facts_written(written, order, books=gatherer.books, subjects=subjects)

    def image_facts(self, window: CallWindow, folder: Path, order: FactOrder = ALL) -> ExportOutcome:
        """Write the runtime facts of a window, a file for each image. Raises TooManySymbolsError too."""
        observe = CallObserver(CallLayouts(self.settings, CONTAINER_FIELDS), ContainerMeaning())
        with repeats(self.settings, window.partitions) as repeating:
            gatherer = ImageGatherer(observe, wanted(self.place), window.partitions, repeating)
            gatherer.books.ranges = window.ranges
            gatherer.gather(window.runs(self.on_read))
        make_folder(folder)
        subjects: dict[str, tuple[Path, int]] = {}
        for digest, image in gatherer.images():
            path = folder / f"{digest.replace(':', '-')}.ndjson"
            if written := _write_some(path, self._window_lines(image, order)):
                subjects[digest] = path, written
        written = sum(facts for _, facts in subjects.values())
        return _facts_written(written, order, books=gatherer.books, subjects=subjects)

    def table_facts(self, order: FactOrder = ALL) -> ExportOutcome:
        """Write the runtime facts of the hot-symbol table."""
        refused = RefusedRecords()
        written = _write_some(self.to, self._table_lines(refused, order))
        return _facts_written(written, order, refused=refused)

    def _window_lines(self, gatherer: SymbolGatherer, order: FactOrder) -> Iterator[str | None]:
        names, files = names_in(self.settings.symbol_store_dir), FactFiles(self.settings.symbol_store_dir)
        for row, containers in gatherer.rows():
            others, file = other_names(row, names), files.file(row["build_id"])
            yield fact_line(row, self.demangle(row["symbol"]), containers, others, file=file, order=order)

    def openvex(self, file: VexFile, key: Ed25519PrivateKey | None = None) -> ExportOutcome:
        """Write OpenVEX statements from the answers to watches; with a key to a file, signed."""
        refused = RefusedRecords()
        answers = watched_answers(self.settings, refused)
        document = openvex_document(file, answers, EXPORTER)
        statuses = Counter(one["status"] for one in (document or {"statements": []})["statements"])
        if document is not None:
            if key is None or self.to is None:
                write_vex(self.to, document)
            else:
                write_signed_vex(self.to, document, key)
        return ExportOutcome(
            what="statements",
            written=statuses.total(),
            statuses=dict(sorted(statuses.items())),
            unnamed=unnamed(file, answers),
            refused=refused,
        )

    def _table_lines(self, refused: RefusedRecords, order: FactOrder) -> Iterator[str | None]:
        names, doubled = names_in(self.settings.symbol_store_dir), DoubledHits(self.settings)
        files = FactFiles(self.settings.symbol_store_dir)
        rows = filter(self.place.matches, published_rows(self.settings, refused))
        while some := list(islice(rows, _AT_ONCE)):
            for row in doubled.mark(some):
                others, file = other_names(row, names), files.file(row["build_id"])
                yield fact_line(row, self.demangle(row["symbol"]), None, others, file=file, order=order)
                self.on_read(1)


def posted(path: Path) -> str:
    """The call that hands a file of facts to their consumer; who calls it puts in the address and the ids there."""
    form = "Content-Type: application/x-ndjson"
    place = "$SIGNALS/signals/runtime-facts/ndjson?callgraphId=$CALLGRAPH_ID&scanId=$SCAN_ID"
    return f"curl --fail --header '{form}' --data-binary @{shlex.quote(str(path))} \"{place}\""


def _facts_written(written: int, order: FactOrder, **known: Any) -> ExportOutcome:
    symbols = order.symbols
    missed, passed_over = (0, 0) if symbols is None else (symbols.missed, symbols.passed_over)
    return ExportOutcome(what="runtime facts", written=written, unmapped=missed, passed_over=passed_over, **known)


def _write_stacks(
    sink: BinaryIO,
    form: StackFormat,
    tree: CallTree,
    demangle: Demangle,
    outcome: ExportOutcome,
    *,
    base: CallTree | None,
) -> None:
    books = outcome.books
    assert books is not None
    title = f"Calls of {time_text(books.first_ns, 9)} to {time_text(books.last_ns, 9)}"
    match form:
        case StackFormat.FOLDED:
            _write(sink, folded_lines(tree, demangle))
        case StackFormat.SPEEDSCOPE:
            _write(sink, speedscope_text(tree, demangle, title, EXPORTER))
        case StackFormat.PPROF:
            comments = [EXPORTER, *outcome.facts(), *outcome.warnings(), _offsets(books)]
            write_pprof(tree, demangle, sink, first_ns=books.first_ns, last_ns=books.last_ns, comments=comments)
        case StackFormat.HTML:
            facts = [(line, False) for line in (*outcome.facts(), _offsets(books))]
            facts += [(line, True) for line in outcome.warnings()]
            _write(sink, flame_graph_pieces(tree, demangle, title, facts, base=base))
        case _:
            assert_never(form)


def _offsets(books: ExportBooks) -> str:
    """The window as offsets, by which it can be exported again."""
    return "offsets " + ", ".join(f"{one.partition}:{one.first}-{one.next - 1}" for one in books.ranges)


def _write_some(to: Path | None, lines: Iterator[str | None]) -> int:
    """Write the lines that are not None, and return how many; without any, no file is written."""
    there = (line for line in lines if line is not None)
    first = next(there, None)
    if first is None:
        return 0
    with output(to) as sink:
        return _write(sink, chain([first], there))


def _write(sink: BinaryIO, pieces: Iterator[str]) -> int:
    """Write text, and return the number of its pieces."""
    written = 0
    for piece in pieces:
        sink.write(piece.encode())
        written += 1
    return written

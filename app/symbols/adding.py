"""`symbols add`: from paths to indexes in the store, and to the map that says which file is which.

Files of one build id are taken together: the best of several copies, and debug files with their binary
(`app/symbols/copies.py`). Every file ends in exactly one report.
"""

import os
import re
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from agents.symbols.index_format import SymbolOrigin
from agents.symbols.module_paths import ModuleKind, normalize_module
from app.symbols.copies import BadCopy, BuiltCopy, CopyBuilder, Found, best_copy, distinct
from app.symbols.debug_files import find_debug_file
from app.symbols.debuginfod import Debuginfod
from app.symbols.file_owners import Bill
from app.symbols.file_refusal import FileRefusalReason
from app.symbols.index_builder import Probe
from app.symbols.keeping_packages import PackageKeeper
from app.symbols.layouts import Layout
from app.symbols.limited_reader import FileRefusal, LimitedReader
from app.symbols.module_maps import ALWAYS_NS, MappedFile
from app.symbols.name_maps import NODE_SCOPE
from app.symbols.store_writer import Kept, StoreWriter

_ELF_MAGIC: Final = b"\x7fELF"
_LINKED_TYPES: Final = frozenset({b"\2\0", b"\3\0", b"\0\2", b"\0\3"})  # ET_EXEC and ET_DYN in both byte orders
_RESOLVE: Final = "say which is right: callstream symbols resolve BUILD_ID FILE"
_UNMAPPABLE: Final = re.compile("[\x00-\x1f\ud800-\udfff]")  # would break the lines of a map, or is not UTF-8


@dataclass(frozen=True, slots=True)
class AddOptions:
    """How files are added.

    `root` is the folder that plays the root of a container or of the node: paths in maps count from it, and debug files
    are looked for inside it. `scope` is where the map holds; no map is written without one. `since_ns` is from when on
    it does; if it is None, each file's own change time says it for a node, and an image was never without its files.
    """

    root: Path = Path("/")
    scope: str | None = None
    since_ns: int | None = None
    with_lines: bool = False
    replace: bool = False
    debug_folders: tuple[Path, ...] = ()
    debuginfod: Debuginfod | None = None
    bill: Bill | None = None
    note: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file whose index is in the store."""

    path: Path
    build_id: str
    kept: Kept
    functions: int
    lines: int
    origins: SymbolOrigin
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotIndexed:
    """A file that has no index, and why."""

    path: Path
    reason: FileRefusalReason
    detail: str = ""


FileReport = Indexed | NotIndexed


@dataclass(slots=True)
class _Copies:
    """Files of one build id."""

    binaries: list[Found] = field(default_factory=list)
    debug_files: list[Found] = field(default_factory=list)


def elf_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files at `paths`, and programs, libraries and debug files in folders below them, each file once.

    Folders are walked without following links: in a container's root they may lead out of it.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        found = _walked(path) if path.is_dir() else [path.resolve()]
        for file in found:
            try:
                status = file.stat()
            except OSError:
                yield file  # the reader says what is wrong with it
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield file


def add_files(
    paths: Iterable[Path],
    options: AddOptions,
    writer: StoreWriter,
    reader: LimitedReader,
    on_file: Callable[[Path], None] = lambda _: None,
) -> Iterator[FileReport]:
    """Index the files at `paths`; `on_file` is called with each file when it is looked at.

    Nothing is committed here. Raises SymbolStoreError if the store fails.
    """
    by_build_id: dict[str, _Copies] = defaultdict(_Copies)
    for path in paths:
        on_file(path)
        probe = reader.probe(path)
        if isinstance(probe, FileRefusal):
            yield NotIndexed(path, probe.reason, probe.detail)
            continue
        copies = by_build_id[probe.build_id]
        (copies.binaries if probe.has_code else copies.debug_files).append((path, probe))
    mapped: dict[str, set[MappedFile]] = defaultdict(set)
    indexed: dict[Path, str] = {}
    for build_id, copies in by_build_id.items():
        programs = dict(copies.binaries)
        for report in _Adding(options, writer, reader, build_id).add(copies):
            if isinstance(report, Indexed) and report.path in programs:
                indexed[report.path] = build_id
                file = MappedFile(build_id, programs[report.path].machine, _since_ns(report.path, options))
                for module in _modules(report.path, options.root):
                    mapped[module].add(file)
            yield report
    keeper = PackageKeeper(options.root, options.bill, options.note, replace_known=options.replace)
    keeper.keep(indexed, {path: _modules(path, options.root) for path in indexed}, writer, reader, options.scope)
    if options.scope is not None and mapped:
        writer.merge_modules(options.scope, _at_once(mapped), replace=options.replace)


class _Adding:
    """Adds the files of one build id."""

    def __init__(self, options: AddOptions, writer: StoreWriter, reader: LimitedReader, build_id: str) -> None:
        self._options = options
        self._writer = writer
        self._reader = reader
        self._build_id = build_id
        self._builder = CopyBuilder(reader, writer.scratch, with_lines=options.with_lines)

    def add(self, copies: _Copies) -> Iterator[FileReport]:
        """Index the best of all sound copies; the others share its index if they have the same code."""
        if not copies.binaries:
            yield from self._add_debug_files(copies.debug_files)
            return
        same = distinct(copies.binaries, self._reader)
        debug_paths = list(dict.fromkeys(distinct(copies.debug_files, self._reader).values()))
        results = {found[0]: self._built(found, debug_paths) for found in copies.binaries if same[found[0]] == found[0]}
        best = best_copy([result for result in results.values() if isinstance(result, BuiltCopy)])
        report = None if best is None else self._kept(best)
        for path, probe in copies.binaries:
            result = results[same[path]]
            if isinstance(result, BadCopy):
                yield NotIndexed(path, result.refusal.reason, result.refusal.detail)
            elif best is None or report is None or probe.code_digest != best.probe.code_digest:
                codes = [probe.code_digest, *([] if best is None else [best.probe.code_digest])]
                self._writer.note_codes(self._build_id, codes)
                yield NotIndexed(path, FileRefusalReason.CONFLICT, _RESOLVE)
            else:
                moved = None if probe.segments == best.probe.segments else probe.segments
                yield self._of_path(report, result, path, moved)

    def _of_path(self, report: FileReport, copy: BuiltCopy, path: Path, layout: Layout | None) -> FileReport:
        """The report of another copy of the same file; `layout` says where its code lies, if elsewhere."""
        if not isinstance(report, Indexed):
            return replace(report, path=path)
        moved = layout is not None and self._writer.note_layout(self._build_id, layout)
        if path == report.path:
            return report
        return replace(report, path=path, kept=Kept.MOVED if moved else Kept.UNCHANGED, notes=copy.notes)

    def _built(self, found: Found, debug_paths: Sequence[Path]) -> BuiltCopy | BadCopy:
        path, probe = found
        if debug_paths:
            return self._builder.build(found, debug_paths, ())
        debug_path, notes = self._debug_path(path, probe)
        return self._builder.build(found, [] if debug_path is None else [debug_path], notes)

    def _debug_path(self, path: Path, probe: Probe) -> tuple[Path | None, list[str]]:
        """The debug file of a program that lacks something, and what went wrong in looking for it."""
        if probe.has_symtab and probe.has_lines:
            return None, []
        found = find_debug_file(
            path,
            self._build_id,
            probe.debuglink,
            root=self._options.root,
            debug_folders=self._options.debug_folders,
        )
        is_enough = probe.has_symtab and not self._options.with_lines
        if found is not None or self._options.debuginfod is None or is_enough:
            return found, []
        fetched = self._writer.scratch / "debuginfo"
        problem = self._options.debuginfod.fetch(self._build_id, fetched)
        return (fetched, []) if problem is None else (None, [f"debuginfod: {problem}"])

    def _add_debug_files(self, debug_files: list[Found]) -> Iterator[FileReport]:
        """Debug files without their binary: they can make an index better that is there already."""
        for path, probe in debug_files:
            known = self._writer.known_index(self._build_id)
            if known is None:
                yield NotIndexed(path, FileRefusalReason.NO_CODE)
                continue
            output = self._writer.scratch / "extended"
            built = self._reader.extend(known, path, output, with_lines=self._options.with_lines)
            if isinstance(built, FileRefusal):
                yield NotIndexed(path, built.reason, built.detail)
            else:
                yield self._kept(BuiltCopy(path, probe, built, output, built.notes))

    def _kept(self, copy: BuiltCopy) -> FileReport:
        built = copy.built
        if built.build_id != self._build_id:
            return NotIndexed(copy.path, FileRefusalReason.UNREADABLE, "it changed while it was read")
        kept = self._writer.keep_index(copy.index, self._build_id, replace=self._options.replace)
        if kept is Kept.CONFLICT:
            return NotIndexed(copy.path, FileRefusalReason.CONFLICT, _RESOLVE)
        origins = SymbolOrigin(built.origins)
        return Indexed(copy.path, self._build_id, kept, built.functions, built.lines, origins, copy.notes)


def _since_ns(path: Path, options: AddOptions) -> int:
    """From when on a file lies at its path."""
    if options.since_ns is not None:
        return options.since_ns
    if options.scope is None or not options.scope.startswith(NODE_SCOPE):
        return ALWAYS_NS
    try:
        return path.lstat().st_ctime_ns  # a package manager sets the time of the content, not that of the entry
    except OSError:
        return time.time_ns()


def _at_once(mapped: Mapping[str, Collection[MappedFile]]) -> dict[str, list[MappedFile]]:
    """Several files of one module that lie there at the same time: none of them takes the place of another."""
    first = {module: min(one.since_ns for one in files) for module, files in mapped.items()}
    return {module: [one._replace(since_ns=first[module]) for one in files] for module, files in mapped.items()}


def _modules(path: Path, root: Path) -> list[str]:
    """The module that frames of a file have; none for files outside the root or with names that no map can hold."""
    resolved = root.resolve()
    if not path.is_relative_to(resolved):
        return []
    module = normalize_module("/" + str(path.relative_to(resolved)))
    if module.kind is not ModuleKind.FILE or module.is_deleted or _UNMAPPABLE.search(module.path) is not None:
        return []
    return [module.path]


def _walked(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder.resolve(), followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if _is_program(path):
                yield path


def _is_program(path: Path) -> bool:
    """Whether a file in a folder is worth reading: a program, a library or their debug file, not an object file."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as stream:
            start = stream.read(18)
    except OSError:
        return False
    return start[:4] == _ELF_MAGIC and start[16:18] in _LINKED_TYPES

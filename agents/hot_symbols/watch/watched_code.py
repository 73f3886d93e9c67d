"""Which code a watch means in the files of a symbol store: found once for each watch and snapshot, never for an event.

The files concerned are that of the watch's build id, or those that a map or a row has under its path or name. The code
is every code of every name that is the function (`agents/symbols/compiler_clones.py`). Rows of any name of such a code
answer the watch.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.hot_symbols.identity import SymbolIdentity
from agents.hot_symbols.watch import reasons
from agents.hot_symbols.watch.files import FileNames, KnownFiles, NamedCode, NoNames
from agents.hot_symbols.watch.older_names import (
    UNSAID,
    IndexesThen,
    NamedBy,
    NamesThen,
    in_rows,
    indexes_then,
    names_by_snapshot,
)
from agents.hot_symbols.watch.reasons import Reason, ReasonKind
from agents.hot_symbols.watch.watch import KERNEL, Bearing, Watch
from agents.symbols.compiler_clones import function_of, is_cold_part, symbols_by_function

MAX_FILES: Final = 256
"""Files that one watch looks into: as many builds of one library. Those beyond have no index for it."""

SymbolsOf = Callable[[FileNames, str], Collection[str]]
"""The names of a file that are a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeInFile:
    """The watched function in one file.

    `now` is what the index in use calls its code, `own` are the names of the function itself.
    """

    build_id: str
    own: frozenset[str]
    now: NamesThen
    others: tuple[str, ...]
    """Names that its code has besides."""
    doubts: tuple[Reason, ...]
    """Why it cannot be said that this code never ran, whatever is seen."""
    notes: tuple[Reason, ...]
    """What a hit of it may mean besides."""
    has_unknown_copies: bool
    entries: frozenset[int] = frozenset()
    """Where its code begins, in the file's own addresses: a hook is needed on each."""
    same: frozenset[str] = frozenset()
    """Snapshots whose index of the file is the one in use."""
    older: Mapping[str, NamesThen] = field(default_factory=dict)
    """What other indexes call its code, by snapshot."""

    @property
    def row_names(self) -> set[str]:
        """Names of all rows that are of its code or may be."""
        return {*self.own, *self.now.all, *(name for names in self.older.values() for name in names.all)}

    def names_then(self, snapshot: str) -> NamesThen | None:
        """What a snapshot's index called its code; None if that is gone, or was of other code."""
        return self.now if snapshot in self.same else self.older.get(snapshot)

    def is_unknown_code(self, symbol: str, named_by: NamedBy) -> bool:
        """Whether nobody can tell any more which code a name of a row means, that these snapshots gave.

        So it is if a snapshot is gone, or its index does not have the name. Calls of before do not say theirs; then the
        index in use counts.
        """
        names = [*map(self.names_then, named_by.snapshots)] or [self.now]
        return any(one is None or not one.has(symbol) for one in names)

    def bearing(self, symbol: str, named_by: NamedBy) -> Bearing:
        """What hits are under a name that these snapshots gave; an unknown one means what the index in use does.

        Each gave a hit, so one whose name is sure is enough.
        """
        found = self._bearings(symbol, named_by)
        return next((one for one in (Bearing.IS, Bearing.MAY_BE) if one in found), Bearing.NONE)

    def is_of_several(self, symbol: str, named_by: NamedBy) -> bool:
        """Whether some hits under a name are of this code for sure, and others may not be."""
        return len(self._bearings(symbol, named_by)) > 1

    def _bearings(self, symbol: str, named_by: NamedBy) -> set[Bearing]:
        now = _bearing(symbol, self.now)
        names = map(self.names_then, named_by.snapshots)
        found = {now if one is None else _bearing(symbol, one) for one in names} or {now}
        if found == {now} or not named_by.has_probes or not self.now.has(symbol):
            return found
        # the index of then may lack the name that a probe was set on, or have it for more code
        return found - {Bearing.IS, Bearing.NONE} | {Bearing.MAY_BE} | (found & {now})


def _bearing(symbol: str, names: NamesThen) -> Bearing:
    if symbol in names.sure:
        return Bearing.IS
    return Bearing.MAY_BE if symbol in names.unsure else Bearing.NONE


@dataclass(frozen=True, slots=True)
class WatchedCode:
    """The watched function in all files concerned."""

    function: str
    files: Mapping[str, CodeInFile]
    doubts: tuple[Reason, ...] = ()
    snapshot: str | None = None

    @property
    def functions(self) -> set[str]:
        """The function by all names that its code has, for rows of files that no index describes."""
        return {self.function, *(function_of(name) for file in self.files.values() for name in file.others)}

    @property
    def row_names(self) -> Iterable[tuple[str, str]]:
        """Build id and symbol of all rows that may answer."""
        return ((key, name) for key, file in self.files.items() for name in file.row_names)

    @property
    def shared(self) -> tuple[str, ...]:
        """Other names of its code."""
        return tuple(sorted({name for file in self.files.values() for name in file.others}))

    @property
    def notes(self) -> tuple[Reason, ...]:
        """What a hit may mean besides: other functions of the same code, or of the same name."""
        shared = (reasons.shared_code(self.shared),) if self.shared else ()
        return (*shared, *(note for _, file in sorted(self.files.items()) for note in file.notes))

    @property
    def all_doubts(self) -> tuple[Reason, ...]:
        """Those of the watch and of its files."""
        return (*self.doubts, *(doubt for _, file in sorted(self.files.items()) for doubt in file.doubts))

    @property
    def unknown_copies(self) -> tuple[Reason, ...]:
        """One reason for each file whose inlined copies are not known."""
        return tuple(reasons.unknown_copies(key) for key, file in sorted(self.files.items()) if file.has_unknown_copies)

    def bearing(self, watch: Watch, row: SymbolIdentity, path: str, named_by: NamedBy = UNSAID) -> Bearing:
        """What a row with this identity says; `path` is the one that its file was seen under, of several the first.

        `named_by` is what named its hits.
        """
        if not row.symbol:
            return Bearing.NONE
        file = self.files.get(row.build_id or "")
        if file is not None:
            return Bearing.MAY_BE if self.is_older(row, named_by) else file.bearing(row.symbol, named_by)
        function = function_of(row.symbol)
        near = watch.in_file(row, path) if function in self.functions else Bearing.NONE
        # The file may be another one than those that are known. In it, what shares code in them may be a function of
        # its own, and what they choose when they are loaded may be chosen, too.
        is_sure = function == self.function and not self.is_chosen
        return near if is_sure or near is Bearing.NONE else Bearing.MAY_BE

    @property
    def is_chosen(self) -> bool:
        """Whether a file chooses, when it is loaded, the code that runs under the name."""
        return any(doubt.kind is ReasonKind.CHOSEN_AT_RUN_TIME for doubt in self.all_doubts)

    def is_unknown_code(self, row: SymbolIdentity, named_by: NamedBy) -> bool:
        """Whether a row is of a file concerned, and nobody can tell any more which code its name means."""
        file = self.files.get(row.build_id or "")
        return file is not None and bool(row.symbol) and file.is_unknown_code(row.symbol or "", named_by)

    def has_others(self, row: SymbolIdentity, named_by: NamedBy) -> bool:
        """Whether a row that is this code may have hits of other code too, which an older index gave the same name."""
        file = self.files.get(row.build_id or "")
        return file is not None and file.is_of_several(row.symbol or "", named_by)

    def is_older(self, row: SymbolIdentity, named_by: NamedBy) -> bool:
        """Whether another index of its file gave a row its name, and the row may be of this code or of other code."""
        file = self.files.get(row.build_id or "")
        if file is None or not row.symbol:
            return False
        if file.is_unknown_code(row.symbol, named_by):
            is_near = function_of(row.symbol) == self.function or row.symbol in file.row_names
            return is_near and file.bearing(row.symbol, named_by) is not Bearing.IS
        is_older = any(file.names_then(one) != file.now for one in named_by.snapshots)
        return is_older and file.bearing(row.symbol, named_by) is Bearing.MAY_BE


def watched_codes(
    watches: Iterable[Watch],
    files: KnownFiles | None,
    seen: Mapping[str, Collection[str]],
    snapshots: Collection[str] = (),
) -> dict[str, WatchedCode]:
    """The code of each watch by its id. `seen` has build ids that rows have under a watched path or file name.

    `snapshots` are those that named rows.
    """
    watches = list(watches)
    if files is None:
        return {one.watch_id: WatchedCode(function_of(one.symbol), {}, (reasons.NO_STORE,)) for one in watches}
    placed = files.build_ids({one.module for one in watches if one.module is not None and one.build_id is None})
    symbols = _symbols_by_file(watches, files, placed, seen)
    concerned = {one.watch_id: _concerned(one, placed, seen) for one in watches}
    looked_into = {build_id for several in concerned.values() for build_id in several[:MAX_FILES]}
    then = indexes_then(files, sorted(looked_into), snapshots)
    return {one.watch_id: _watched_code(one, files, concerned[one.watch_id], symbols, then) for one in watches}


def _concerned(watch: Watch, placed: Mapping[str, Collection[str]], seen: Mapping[str, Collection[str]]) -> list[str]:
    """Build ids of the files concerned."""
    if watch.build_id is not None:
        return [watch.build_id]
    if watch.module is None:
        return []
    return sorted({*placed.get(watch.module, ()), *seen.get(watch.module, ())})


def _symbols_by_file(
    watches: Iterable[Watch],
    files: KnownFiles,
    placed: Mapping[str, Collection[str]],
    seen: Mapping[str, Collection[str]],
) -> Mapping[tuple[str, str], Collection[str]]:
    """The names that are a function, by build id and function; the names of a file are read once for all watches."""
    wanted: dict[str, set[str]] = {}
    for watch in watches:
        for build_id in _concerned(watch, placed, seen)[:MAX_FILES]:
            wanted.setdefault(build_id, set()).add(function_of(watch.symbol))
    found: dict[tuple[str, str], Collection[str]] = {}
    for build_id, functions in wanted.items():
        names = files.names(build_id)
        if not isinstance(names, NoNames):
            every = list(names.all_names())
            by_function = symbols_by_function(functions, every)
            found |= {(build_id, function): symbols for function, symbols in by_function.items()}
    return found


def _watched_code(
    watch: Watch,
    files: KnownFiles,
    concerned: Sequence[str],
    symbols: Mapping[tuple[str, str], Collection[str]],
    then: Mapping[str, IndexesThen],
) -> WatchedCode:
    function = function_of(watch.symbol)
    found: dict[str, CodeInFile] = {}
    doubts: list[Reason] = []
    for build_id in concerned[:MAX_FILES]:
        match files.names(build_id):
            case NoNames.NO_INDEX:
                doubts.append(reasons.no_index(build_id))
            case NoNames.AMBIGUOUS:
                doubts.append(reasons.ambiguous_build_id(build_id))
            case names:
                own = symbols[build_id, function]
                found[build_id] = code_in_file(watch.symbol, build_id, own, names, then[build_id])
    doubts += [reasons.no_index(build_id) for build_id in concerned[MAX_FILES:]]
    if watch.module is not None and (watch.module == KERNEL or watch.module.startswith(f"{KERNEL}:")):
        doubts.append(reasons.no_index_of_kernel(watch.module))
    elif watch.build_id is None and watch.module is None:
        doubts.append(reasons.NO_FILE_NAMED)
    elif not concerned:
        doubts.append(reasons.not_placed(watch.module or ""))
    return WatchedCode(function, found, tuple(doubts), files.digest)


def code_in_file(
    symbol: str,
    build_id: str,
    own: Collection[str],
    names: FileNames,
    then: IndexesThen = IndexesThen(),  # noqa: B008 - a value
) -> CodeInFile:
    """The function of a symbol in a file; `own` are those of the file's names that are the function.

    `then` are the indexes that the file had in each snapshot that named rows.
    """
    function = function_of(symbol)
    codes = {code.address: code for name in own for code in names.codes(name) if not code.is_resolver}
    chosen = sorted(name for name in own if any(code.is_resolver for code in names.codes(name)))
    among = sorted({one for name in chosen for one in names.implementations(name)})
    codes |= {code.address: code for name in among for code in names.codes(name)}
    copied = {name for name in own if names.copies(name)}
    hosts = {copy.host or "code without a name" for name in copied for copy in names.copies(name)}
    hosts = {host for host in hosts if function_of(host) != function}
    meant = len({code.address for code in names.codes(symbol) if not code.is_resolver})
    called = {name for code in codes.values() for name in _names(code)}
    sure = {name for name in called if all(code.address in codes for code in names.codes(name))}
    sure |= copied - set(chosen)  # where lines are known, a copy that runs has a frame of its own
    now = NamesThen(in_rows(sure), in_rows(called - sure), names)
    doubts: list[Reason] = []
    if chosen:
        doubts.append(reasons.chosen_at_run_time(build_id, among))
    elif not codes and not hosts:
        doubts.append(reasons.no_such_name(build_id, names.nearest(symbol)))
    if hosts:
        doubts.append(reasons.inlined_into(build_id, sorted(hosts)))
    return CodeInFile(
        build_id=build_id,
        own=frozenset(own),
        now=now,
        others=tuple(sorted(name for name in called if function_of(name) != function and name not in among)),
        doubts=tuple(doubts),
        notes=(reasons.several_codes(build_id, meant),) if meant > 1 else (),
        # of a function with a copy in itself, debug information does not say whether another one left no instruction
        has_unknown_copies=not names.inline_knowledge.is_whole
        or any(map(names.has_lost_copies, own))
        or (bool(copied) and not hosts),
        entries=frozenset(_entered(codes)) or frozenset(codes),
        same=then.same,
        older=names_by_snapshot(function, codes.values(), names, then.others),
    )


def _entered(codes: Mapping[int, NamedCode]) -> Iterable[int]:
    """Addresses of code that can be called."""
    return (address for address, code in codes.items() if not all(map(is_cold_part, code.names)))


def _names(code: NamedCode) -> Iterable[str]:
    """All names that rows of a code may have; a label inside another function is counted for that function."""
    return code.names if code.frame_symbol is None else (*code.names, code.frame_symbol)

"""Rows that bear on watches without being the watched symbol, and the files that they are of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from posixpath import basename
from typing import Final, NamedTuple

from agents.hot_symbols.identity import SymbolIdentity
from agents.hot_symbols.reading.citations import Citation
from agents.hot_symbols.watch.file_places import NOWHERE, FilePlaces
from agents.hot_symbols.watch.older_names import NamedBy
from agents.hot_symbols.watch.watch import Bearing, Watch
from agents.hot_symbols.watch.watched_code import MAX_FILES, WatchedCode
from agents.symbols.compiler_clones import function_of

ModuleOf = Callable[[bytes], str | None]
"""The module in such a record, at little cost; None where only decoding it would tell."""


MAX_SEEN: Final = MAX_FILES + 1
"""Build ids under one watched name: one more than a watch looks into, so that an answer says that there are more."""


MAX_SNAPSHOTS: Final = 64
"""That named rows and are looked into; what others named is code that nobody can tell."""


@dataclass(frozen=True, slots=True)
class WatchedRow:
    """What an answer needs of a row of the table."""

    symbol_id: str
    identity: SymbolIdentity
    module: str
    hits: int
    confirmed_hits: int
    first_seen_ns: int
    last_seen_ns: int
    images: tuple[tuple[str, str, int], ...] = ()
    """Id, name and time of the last hit."""
    images_more: int = 0
    events: tuple[Citation, ...] = ()
    probe_hits: int = 0
    snapshots: tuple[str, ...] = ()
    """Those that named its hits, as `NamedBy` has them."""

    @property
    def named_by(self) -> NamedBy:
        """What named its hits."""
        return NamedBy(self.snapshots, bool(self.probe_hits))

    @property
    def unsure_hits(self) -> int:
        """Hits that may be of another symbol of the file."""
        return self.hits - self.confirmed_hits if self.identity.symbol else self.hits

    @property
    def unsure_entries(self) -> int:
        """Of these, probes that fired at the entry of a function that nothing names."""
        return 0 if self.identity.symbol else self.probe_hits

    @property
    def is_of_unknown_file(self) -> bool:
        """Whether nothing says which build of the file at its path ran."""
        return self.identity.build_id is None and not self.identity.is_kernel_space


class UnsureHits(NamedTuple):
    """Hits that may be of a watched function and are counted for none or another.

    `entries` are those that probes at entries reported, `of_unknown_files` those of any function in files at the
    watched path whose build is not known, and `renamed` those under names of which nobody can tell what they meant.
    """

    hits: int = 0
    entries: int = 0
    of_unknown_files: int = 0
    renamed: int = 0


class WatchedFiles:
    """Decides for every published row whether it may be of a watched file, and notes which build ids those have."""

    def __init__(
        self,
        watches: Iterable[Watch],
        module_of: ModuleOf,
        before: "WatchedFiles | None" = None,
    ) -> None:
        """`before` has noted the rows that came before, for other watches."""
        self.module_of = module_of
        watches = list(watches)
        self._build_ids = {watch.build_id for watch in watches if watch.build_id is not None}
        self._modules = {watch.module for watch in watches if watch.module is not None}
        self._names = {basename(module) for module in self._modules}
        seen = {} if before is None else before.seen
        self._seen = {name: builds for name, builds in seen.items() if name in self._modules}
        self.snapshots: set[str] = set() if before is None else set(before.snapshots)
        """Those that named rows."""
        self.in_use: set[str] = set()
        """The one that says which code is watched, which need not be noted."""
        self.ran_at: dict[str, FilePlaces] = {} if before is None else before.ran_at
        """Where rows say that files ran, by build id."""
        self.has_new = False
        """Whether a build id or snapshot was seen that was not known of; whoever uses what was seen resets it."""

    @property
    def seen(self) -> Mapping[str, set[str]]:
        """Build ids by the watched path or file name that rows have them under."""
        return self._seen

    def note(self, row: WatchedRow) -> None:
        """Note the file of a row, and which snapshots named it."""
        if row.identity.build_id is None:
            return
        self._note_place(row.identity.build_id, row)
        for one in row.snapshots:
            if one and one not in self.snapshots and len(self.snapshots) < MAX_SNAPSHOTS:
                self.snapshots.add(one)
                self.has_new = self.has_new or one not in self.in_use
        for name in {row.module, basename(row.module)} & self._modules:
            known = self._seen.setdefault(name, set())
            if row.identity.build_id not in known and len(known) < MAX_SEEN:
                known.add(row.identity.build_id)
                self.has_new = True

    def _note_place(self, build_id: str, row: WatchedRow) -> None:
        """Where a file ran. One at very many paths counts as one that may be anywhere."""
        known = self.ran_at.get(build_id, NOWHERE)
        is_in_images = bool(row.images or row.images_more) or len(known.paths) >= MAX_SEEN
        if row.module not in known.paths or is_in_images > known.is_in_images:
            paths = known.paths if len(known.paths) >= MAX_SEEN else known.paths | {row.module}
            self.ran_at[build_id] = FilePlaces(paths, known.is_in_images or is_in_images)

    def may_hold(self, row: SymbolIdentity, value: bytes | None) -> bool:
        """Whether a row with a symbol is of a file that a watch names."""
        if row.is_kernel_space or value is None:
            return False  # the kernel's own symbols are sure
        if row.build_id in self._build_ids:
            return True
        if not self._names:
            return False
        module = row.module if row.build_id is None else self.module_of(value)
        return module is None or basename(module) in self._names


NO_UNSURE_HITS: Final = UnsureHits()


class UnsureRows:
    """Code whose function or file is unknown: it may be that of any symbol of its file, or of a watched file."""

    def __init__(self) -> None:
        self._rows: dict[str, WatchedRow] = {}
        self._grouped: dict[str, list[WatchedRow]] | None = None
        self._of_unknown_build = NO_UNSURE_HITS
        self._unknown_by_function: dict[str, list[WatchedRow]] = {}
        self._all = NO_UNSURE_HITS

    def has(self, text: str) -> bool:
        """Whether a row was unsure when it was last taken."""
        return text in self._rows

    def take(self, text: str, row: WatchedRow | None, *, is_renamed: bool) -> None:
        """Take the newest form of a row. `is_renamed`: nobody can tell what its name meant."""
        self._grouped = None
        if row is not None and (row.unsure_hits or row.is_of_unknown_file or is_renamed):
            self._rows[text] = row
        else:
            self._rows.pop(text, None)

    def hits_for(self, watch: Watch, code: WatchedCode) -> UnsureHits:
        """What may be of the watched symbol, without rows that bear on it by their name: those count by themselves."""
        if not self._rows:
            return NO_UNSURE_HITS
        in_files = (row for build_id in code.files for row in self._groups().get(build_id, ()))
        unknown = (row for row in in_files if code.is_unknown_code(row.identity, row.named_by))
        renamed = sum(
            row.confirmed_hits
            for row in unknown
            if code.bearing(watch, row.identity, row.module, row.named_by) is Bearing.NONE
        )
        return self._near_hits(watch, code)._replace(renamed=renamed)

    def _near_hits(self, watch: Watch, code: WatchedCode) -> UnsureHits:
        groups = self._groups()
        if watch.module is None and watch.build_id is None:
            return self._all
        names = {name for name in (watch.build_id, watch.module) if name is not None}
        names |= {basename(name) for name in names} | {name.removeprefix("kernel:") for name in names}
        if watch.module is None:
            modules = {basename(row.module) for row in groups.get(watch.build_id or "", [])}
            if not modules:
                return self._unknown_hits(watch, code)
            names |= modules
        near = {row.symbol_id: row for name in names for row in groups.get(name, [])}.values()
        here = [row for row in near if watch.in_file(row.identity, row.module) is not Bearing.NONE]
        others = [row for row in here if code.bearing(watch, row.identity, row.module, row.named_by) is Bearing.NONE]
        unknown = (row.hits for row in here if row.is_of_unknown_file and watch.build_id is None)
        return UnsureHits(
            sum(row.unsure_hits for row in others), sum(row.unsure_entries for row in others), sum(unknown)
        )

    def _unknown_hits(self, watch: Watch, code: WatchedCode) -> UnsureHits:
        """Those of all files whose build is not known. Only rows of the function's names can bear on it."""
        named = (row for function in code.functions for row in self._unknown_by_function.get(function, ()))
        bearing = _sum_of(
            row for row in named if code.bearing(watch, row.identity, row.module, row.named_by) is not Bearing.NONE
        )
        every = self._of_unknown_build
        return UnsureHits(every.hits - bearing.hits, every.entries - bearing.entries)

    def _groups(self) -> dict[str, list[WatchedRow]]:
        """Rows by build id, path and file name, so that a watch looks at few."""
        if self._grouped is None:
            rows = self._rows.values()
            self._grouped = {}
            self._all = _sum_of(row for row in rows if not row.identity.symbol)
            self._of_unknown_build = _sum_of(row for row in rows if row.is_of_unknown_file)
            self._unknown_by_function = {}
            for row in rows:
                if row.is_of_unknown_file and row.identity.symbol:
                    self._unknown_by_function.setdefault(function_of(row.identity.symbol), []).append(row)
                for name in {row.identity.build_id, row.module, basename(row.module)} - {None}:
                    self._grouped.setdefault(str(name), []).append(row)
        return self._grouped


def _sum_of(rows: Iterable[WatchedRow]) -> UnsureHits:
    found = [(row.unsure_hits, row.unsure_entries) for row in rows]
    return UnsureHits(sum(hits for hits, _ in found), sum(entries for _, entries in found))

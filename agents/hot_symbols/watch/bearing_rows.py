"""Rows that bear on watches without being the watched symbol, and the files that they are of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from posixpath import basename

from agents.hot_symbols.identity import SymbolIdentity
from agents.hot_symbols.reading.citations import Citation
from agents.hot_symbols.watch.watch import Bearing, Watch
from agents.hot_symbols.watch.watched_code import WatchedCode

ModuleOf = Callable[[bytes], str | None]
"""The module in such a record, at little cost; None where only decoding it would tell."""


MAX_SEEN = 256
"""Build ids under one watched name: as many builds of one library."""


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

    @property
    def unsure_hits(self) -> int:
        """Hits that may be of another symbol of the file."""
        return self.hits - self.confirmed_hits if self.identity.symbol else self.hits


class WatchedFiles:
    """Decides for every published row whether it may be of a watched file, and notes which build ids those have."""

    def __init__(
        self, watches: Iterable[Watch], module_of: ModuleOf, seen: Mapping[str, set[str]] | None = None
    ) -> None:
        """`seen` has what was noted before, for other watches."""
        self.module_of = module_of
        watches = list(watches)
        self._build_ids = {watch.build_id for watch in watches if watch.build_id is not None}
        self._modules = {watch.module for watch in watches if watch.module is not None}
        self._names = {basename(module) for module in self._modules}
        self._seen = {name: builds for name, builds in (seen or {}).items() if name in self._modules}
        self.has_new = False
        """Whether a build id was seen that was not known of; whoever uses `seen` resets it."""

    @property
    def seen(self) -> Mapping[str, set[str]]:
        """Build ids by the watched path or file name that rows have them under."""
        return self._seen

    def note(self, row: WatchedRow) -> None:
        """Note the file of a row."""
        if row.identity.build_id is None:
            return
        for name in {row.module, basename(row.module)} & self._modules:
            known = self._seen.setdefault(name, set())
            if row.identity.build_id not in known and len(known) < MAX_SEEN:
                known.add(row.identity.build_id)
                self.has_new = True

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


class UnsureRows:
    """Code whose function is unknown, or named by nothing but a hint: it may be that of any symbol of its file."""

    def __init__(self) -> None:
        self._rows: dict[str, WatchedRow] = {}
        self._grouped: dict[str, list[WatchedRow]] | None = None
        self._of_unknown_build = 0
        self._all = 0

    def has(self, text: str) -> bool:
        """Whether a row was unsure when it was last taken."""
        return text in self._rows

    def take(self, text: str, row: WatchedRow | None) -> None:
        """Take the newest form of a row."""
        self._grouped = None
        if row is not None and row.unsure_hits:
            self._rows[text] = row
        else:
            self._rows.pop(text, None)

    def hits_for(self, watch: Watch, code: WatchedCode) -> int:
        """Hits that may be of the watched symbol and are counted for none or another."""
        groups = self._groups()
        if watch.module is None and watch.build_id is None:
            return self._all
        names = {name for name in (watch.build_id, watch.module) if name is not None}
        names |= {basename(name) for name in names} | {name.removeprefix("kernel:") for name in names}
        if watch.module is None:
            modules = {basename(row.module) for row in groups.get(watch.build_id or "", [])}
            if not modules:
                return self._of_unknown_build
            names |= modules
        near = {row.symbol_id: row for name in names for row in groups.get(name, [])}.values()
        return sum(
            row.unsure_hits
            for row in near
            if code.bearing(watch, row.identity, row.module) is Bearing.NONE
            and watch.in_file(row.identity, row.module) is not Bearing.NONE
        )

    def _groups(self) -> dict[str, list[WatchedRow]]:
        """Rows by build id, path and file name, so that a watch looks at few."""
        if self._grouped is None:
            self._grouped, self._of_unknown_build, self._all = {}, 0, 0
            for row in self._rows.values():
                self._all += 0 if row.identity.symbol else row.hits
                if row.identity.build_id is None and not row.identity.is_kernel_space:
                    self._of_unknown_build += row.unsure_hits
                for name in {row.identity.build_id, row.module, basename(row.module)} - {None}:
                    self._grouped.setdefault(str(name), []).append(row)
        return self._grouped

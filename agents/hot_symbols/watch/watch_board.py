"""Answers to watches, from the published rows and the nodes' coverage.

An answer depends on the watch, the newest rows, the coverage and the refused events, and not on the order in which they
came. Rows that no watch asks for are not kept, so a new watch needs the rows to be read again
(`needs_rows`). Never hit is said only where no row is the symbol or may be it, no code of the file ran whose function
is unknown or only hinted at, no stage refused an event, and coverage is without a gap from the beginning of the watch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from posixpath import basename
from typing import Any, Final

from agents.coverage.completeness import Completeness, MissingInterval, completeness
from agents.coverage.interval import Interval
from agents.coverage.node_coverage import NodeCoverage
from agents.hot_symbols.identity import SymbolIdentity, SymbolIdError, parse_symbol_id
from agents.hot_symbols.watch.refused_minutes import RefusedMinutes
from agents.hot_symbols.watch.watch import Bearing, Watch, whole_function
from schemas.node import NodeId

MAX_WATCHES: Final = 10_000
"""Each is some 2 kB here and a record a minute; the oldest are kept. A vulnerability database has fewer functions."""

MAX_SYMBOLS: Final = 16
"""That an answer lists, with most hits first, at some 150 bytes each."""

MAX_LISTED_BYTES: Final = 256 << 10
"""Of all symbols that an answer lists, so that it fits into a record whatever their names are; the rest is counted."""

DecodeRow = Callable[[bytes], Mapping[str, Any] | None]
"""Reads a record of runtime.hot-symbols; None where the bytes are something else."""

ModuleOf = Callable[[bytes], str | None]
"""The module in such a record, at little cost; None where only decoding it would tell."""


@dataclass(frozen=True, slots=True)
class _Row:
    symbol_id: str
    identity: SymbolIdentity
    module: str
    hits: int
    confirmed_hits: int
    first_seen_ns: int
    last_seen_ns: int

    @property
    def unsure_hits(self) -> int:
        """Hits that may be of another symbol of the file."""
        return self.hits - self.confirmed_hits if self.identity.symbol else self.hits


class WatchBoard:
    """Watches by id, and what is known about them."""

    def __init__(self, decode_row: DecodeRow, module_of: ModuleOf, row_age_ns: int | None) -> None:
        """`row_age_ns`: how long after their last hit rows that nobody watches are kept; None if they never expire."""
        self._decode_row = decode_row
        self._row_age_ns = row_age_ns
        self._watches: dict[str, Watch] = {}
        self._by_function: dict[str, list[str]] = {}
        self._files = _WatchedFiles((), module_of)
        self._unread: dict[str, bytes | None] = {}
        self._named: dict[str, dict[str, _Row]] = {}
        self._unsure = _UnsureRows()
        self._refused = RefusedMinutes()
        self.nodes: Mapping[NodeId, NodeCoverage] = {}
        self.unreadable: Sequence[Interval] = ()
        """When any node may have lost events, because a record that may have said so cannot be read."""
        self.needs_rows = False
        """Whether a watch is new, so that the rows must be read again; the caller who reads them resets it."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        """The watches by id."""
        return self._watches

    def set_watches(self, watches: Mapping[str, Watch]) -> list[str]:
        """Replace the watches; returns the ids of those that are new or changed."""
        kept = sorted(watches.items(), key=lambda entry: (entry[1].since_ns, entry[0]))[:MAX_WATCHES]
        changed = [watch_id for watch_id, watch in kept if self._watches.get(watch_id) != watch]
        self.needs_rows = self.needs_rows or bool(changed)
        self._watches = dict(kept)
        self._by_function = {}
        for watch_id, watch in kept:
            self._by_function.setdefault(watch.symbol, []).append(watch_id)
        self._files = _WatchedFiles(self._watches.values(), self._files.module_of)
        for gone in self._named.keys() - self._by_function.keys():
            del self._named[gone]
        return changed

    def take(self, key: bytes, value: bytes | None) -> list[str]:
        """Take a record of runtime.hot-symbols; returns the ids of the watches that ask for it by name."""
        if not self._watches:
            return []
        try:
            text = key.decode()
            identity = parse_symbol_id(text)
        except (UnicodeDecodeError, SymbolIdError):
            return []
        if identity.symbol is None:
            return []
        asking = self._by_function.get(whole_function(identity.symbol), [])
        if asking or not identity.symbol or self._unsure.has(text) or self._files.may_hold(identity, value):
            self._unread[text] = value
        return asking

    def refuse(self, received_ms: int) -> bool:
        """Note that an event could not be processed, by the time of its receipt; returns whether that is news."""
        return self._refused.note(received_ms)

    def keeps(self, key: bytes) -> bool:
        """Whether a row is needed for an answer, and so must not expire."""
        if not self._watches:
            return False
        text = key.decode()
        return (
            text in self._unread
            or self._unsure.has(text)
            or whole_function(text.partition("!")[2]) in self._by_function
        )

    def answer(self, watch_id: str, now_ns: int, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What is known of a watch: fields of schemas/avro/watched_symbol.avsc; `before` is the answer before."""
        self._read()
        watch = self._watches[watch_id]
        kept_since_ns = watch.added_ns if before is None else min(watch.added_ns, before["kept_since_ns"])
        forgotten_ns = None if self._row_age_ns is None else kept_since_ns - self._row_age_ns
        rows: list[_Row] = []
        ambiguous = self._unsure.hits_for(watch)
        for row in self._named.get(watch.symbol, {}).values():
            bearing = watch.bearing(row.identity, row.module)
            if bearing is Bearing.IS:
                rows.append(row)
            elif bearing is Bearing.MAY_BE:
                ambiguous += row.hits
        covered = completeness(
            self.nodes,
            watch.since_ns,
            now_ns,
            forgotten_ns=forgotten_ns,
            refused=self._refused.intervals(),
            unreadable=self.unreadable,
        )
        return _answer(watch, rows, ambiguous, covered) | {"kept_since_ns": kept_since_ns}

    def _read(self) -> None:
        """Decode what came since the last answer: of rows that change each second only the newest."""
        unread, self._unread = self._unread, {}
        for text, value in unread.items():
            identity = parse_symbol_id(text)
            row = None if value is None else self._row(text, identity, value)
            self._unsure.take(text, row)
            function = whole_function(identity.symbol or "")
            if function in self._by_function:
                rows = self._named.setdefault(function, {})
                rows.pop(text, None)
                if row is not None:
                    rows[text] = row

    def _row(self, text: str, identity: SymbolIdentity, value: bytes) -> _Row | None:
        found = self._decode_row(value)
        if found is None or not found["hits"]:
            return None
        return _Row(
            text,
            identity,
            found["module"],
            found["hits"],
            found["confirmed_hits"],
            found["first_seen_ns"],
            found["last_seen_ns"],
        )


class _WatchedFiles:
    """Decides for every published row whether it may be of a watched file."""

    def __init__(self, watches: Iterable[Watch], module_of: ModuleOf) -> None:
        self.module_of = module_of
        watches = list(watches)
        self._build_ids = {watch.build_id for watch in watches if watch.build_id is not None}
        self._names = {basename(watch.module) for watch in watches if watch.module is not None}

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


class _UnsureRows:
    """Code whose function is unknown, or named by nothing but a hint: it may be that of any symbol of its file."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._grouped: dict[str, list[_Row]] | None = None
        self._of_unknown_build = 0
        self._all = 0

    def has(self, text: str) -> bool:
        """Whether a row was unsure when it was last taken."""
        return text in self._rows

    def take(self, text: str, row: _Row | None) -> None:
        """Take the newest form of a row."""
        self._grouped = None
        if row is not None and row.unsure_hits:
            self._rows[text] = row
        else:
            self._rows.pop(text, None)

    def hits_for(self, watch: Watch) -> int:
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
            if whole_function(row.identity.symbol or "") != watch.symbol
            and watch.in_file(row.identity, row.module) is not Bearing.NONE
        )

    def _groups(self) -> dict[str, list[_Row]]:
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


def _answer(watch: Watch, rows: Iterable[_Row], ambiguous: int, covered: Completeness) -> dict[str, Any]:
    ranked = sorted(rows, key=lambda row: (-row.hits, row.symbol_id))
    listed = _listed(ranked)
    is_whole = covered.until_ns > 0 and not covered.gaps
    never = "NeverHit" if is_whole and not ambiguous else "NotSeen"
    return {
        "watch_id": watch.watch_id,
        "symbol": watch.symbol,
        "module": watch.module,
        "build_id": watch.build_id,
        "vulnerability": watch.vulnerability,
        "since_ns": watch.since_ns,
        "answer": "Hit" if ranked else never,
        "hits": sum(row.hits for row in ranked),
        "hits_may_be_doubled": covered.is_vouched_twice,
        "confirmed_hits": sum(row.confirmed_hits for row in ranked),
        "first_seen_ns": min((row.first_seen_ns for row in ranked), default=0),
        "last_seen_ns": max((row.last_seen_ns for row in ranked), default=0),
        "symbols": [
            {"symbol_id": row.symbol_id, "module": row.module, "hits": row.hits, "last_seen_ns": row.last_seen_ns}
            for row in listed
        ],
        "symbols_more": len(ranked) - len(listed),
        "ambiguous_hits": ambiguous,
        "complete_ns": covered.complete_ns,
        "complete_until_ns": covered.until_ns,
        "nodes": covered.nodes,
        "gaps": list(map(_gap_of, covered.gaps)),
        "gaps_more": covered.gaps_more,
    }


def _gap_of(gap: MissingInterval) -> dict[str, Any]:
    node = gap.node or NodeId("", "")
    return {
        "node": node.name,
        "cluster": node.cluster,
        "from_ns": gap.from_ns,
        "to_ns": gap.to_ns,
        "cause": gap.cause,
    }


def _listed(ranked: Sequence[_Row]) -> Sequence[_Row]:
    """The rows that an answer lists."""
    first = ranked[:MAX_SYMBOLS]
    sizes = accumulate(4 * (len(row.symbol_id) + len(row.module)) for row in first)
    return first[: sum(size <= MAX_LISTED_BYTES for size in sizes)]


MOVING: Final = ("complete_ns", "complete_until_ns", "ambiguous_hits", "nodes")
"""Fields of an answer that change all the time; a change in these alone is not news."""


def is_news(before: Mapping[str, Any] | None, answer: Mapping[str, Any]) -> bool:
    """Whether an answer says more than the one before, besides that time has passed."""
    return before is None or any(before[name] != value for name, value in answer.items() if name not in MOVING)

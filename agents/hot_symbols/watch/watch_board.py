"""Answers to watches, from the published rows and the nodes' coverage.

An answer depends on the watch, its code in the files of the symbol store, the newest rows, the coverage and the refused
events, and not on the order in which they came. Rows that no watch asks for are not kept, so a new watch needs the rows
to be read again (`needs_rows`). `agents/hot_symbols/watch/deciding.py` has the decision.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Final

from agents.coverage.completeness import Completeness, FleetAccount, known_until, lives_of
from agents.coverage.missing import MissingInterval
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.refused_minutes import RefusedMinutes
from agents.coverage.share import NodeTime
from agents.coverage.sightings import NO_SIGHTINGS, Sightings
from agents.hot_symbols.identity import SymbolIdentity, SymbolIdError, parse_symbol_id
from agents.hot_symbols.reading.citations import Citation, cited
from agents.hot_symbols.watch.bearing_rows import ModuleOf, UnsureRows, WatchedFiles, WatchedRow
from agents.hot_symbols.watch.deciding import HitsFound, HooksKnown, decided
from agents.hot_symbols.watch.known_hooks import NO_KNOWN_HOOKS, FleetAnswers, KnownHooks
from agents.hot_symbols.watch.reasons import MAX_REASONS
from agents.hot_symbols.watch.watch import Bearing, Watch
from agents.hot_symbols.watch.watched_code import CodeInFile, WatchedCode
from agents.symbols.compiler_clones import function_of
from schemas.node import NodeId

MAX_WATCHES: Final = 10_000
"""Each is some 2 kB here and a record a minute; the oldest are kept. A vulnerability database has fewer functions."""

MAX_SYMBOLS: Final = 16
"""That an answer lists, with most hits first, at some 150 bytes each."""

MAX_IMAGES: Final = 16
"""That an answer lists, those of the last hits, at some 150 bytes each; names have at most 512 characters."""

MAX_LISTED_BYTES: Final = 256 << 10
"""Of all symbols that an answer lists, so that it fits into a record whatever their names are; the rest is counted."""

_DIGEST_CHARS: Final = 64

MAX_NAMED_BY: Final = 16
"""Snapshots that an answer lists, at 64 characters each."""

DecodeRow = Callable[[bytes], Mapping[str, Any] | None]
"""Reads a record of runtime.hot-symbols; None where the bytes are something else."""


class WatchBoard:
    """Watches by id, and what is known about them."""

    def __init__(self, decode_row: DecodeRow, module_of: ModuleOf, row_age_ns: int | None) -> None:
        """`row_age_ns`: how long after their last hit rows that nobody watches are kept; None if they never expire."""
        self._decode_row = decode_row
        self._row_age_ns = row_age_ns
        self._watches: dict[str, Watch] = {}
        self._codes: dict[str, WatchedCode] = {}
        self._by_function: dict[str, list[str]] = {}
        self._by_row: dict[tuple[str, str], list[str]] = {}
        self._known: dict[str, CodeInFile] = {}
        self.files = WatchedFiles((), module_of)
        self._unread: dict[str, bytes | None] = {}
        self._rows: dict[str, dict[str, WatchedRow]] = {}
        self._unsure = UnsureRows()
        self._refused = RefusedMinutes()
        self._nodes: Mapping[NodeId, NodeCoverage] = {}
        self._of_all: Sequence[GapInterval] = ()
        self._sightings = NO_SIGHTINGS
        self._hooks = NO_KNOWN_HOOKS
        self._fleet: FleetAnswers | None = None
        """Made when an answer needs it, for all answers until something of it changes."""
        self.needs_rows = False
        """Whether a watch is new, so that the rows must be read again; the caller who reads them resets it."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        """The watches by id."""
        return self._watches

    @property
    def build_ids(self) -> list[str]:
        """Those of the files that have watched code."""
        return sorted(self._known)

    def set_watches(self, watches: Mapping[str, Watch], codes: Mapping[str, WatchedCode]) -> list[str]:
        """Replace the watches and the code of each by id; returns the ids of those that are new or changed."""
        kept = sorted(watches.items(), key=lambda entry: (entry[1].since_ns, entry[0]))[:MAX_WATCHES]
        changed = [watch_id for watch_id, watch in kept if self._watches.get(watch_id) != watch]
        self.needs_rows = self.needs_rows or bool(changed)
        self._watches = dict(kept)
        self.files = WatchedFiles(self._watches.values(), self.files.module_of, self.files)
        return sorted({*changed, *self.set_codes({watch_id: codes[watch_id] for watch_id in self._watches})})

    def set_codes(self, codes: Mapping[str, WatchedCode]) -> list[str]:
        """Replace the code of each watch, after the files that are known changed; returns the ids of changed ones."""
        changed = [watch_id for watch_id, code in codes.items() if self._codes.get(watch_id) != code]
        self.needs_rows = self.needs_rows or bool(changed)
        self._codes = dict(codes)
        self.files.in_use = {code.snapshot for code in codes.values() if code.snapshot is not None}
        self._by_function, self._by_row, self._known = {}, {}, {}
        for watch_id, code in codes.items():
            self._known |= code.files
            for function in code.functions:
                self._by_function.setdefault(function, []).append(watch_id)
            for key in set(code.row_names):
                self._by_row.setdefault(key, []).append(watch_id)
        kept = codes.keys() - set(changed)
        self._rows = {watch_id: rows for watch_id, rows in self._rows.items() if watch_id in kept}
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
        asking = self._asking(identity)
        may_bear = not identity.symbol or identity.build_id in self._known or self.files.may_hold(identity, value)
        if asking or may_bear or self._unsure.has(text):
            self._unread[text] = value
        return asking

    def _is_unknown_code(self, row: WatchedRow) -> bool:
        """Whether nobody can tell which code of a file concerned a row's name means."""
        file, symbol = self._known.get(row.identity.build_id or ""), row.identity.symbol
        return file is not None and bool(symbol) and file.is_unknown_code(symbol or "", row.named_by)

    def _asking(self, row: SymbolIdentity) -> list[str]:
        """The watches that a row may answer, by its name."""
        if not row.symbol:
            return []
        by_row = self._by_row.get((row.build_id or "", row.symbol), ())
        by_function = self._by_function.get(function_of(row.symbol), ())
        return list(dict.fromkeys((*by_row, *by_function)))

    def refuse(self, received_ms: int) -> bool:
        """Note that an event could not be processed, by the time of its receipt; returns whether that is news."""
        is_news = self._refused.note(received_ms)
        if is_news:
            self._fleet = None
        return is_news

    def cover(
        self,
        nodes: Mapping[NodeId, NodeCoverage],
        of_all: Sequence[GapInterval] = (),
        sightings: Sightings = NO_SIGHTINGS,
        hooks: KnownHooks = NO_KNOWN_HOOKS,
    ) -> None:
        """Take what is known of the nodes' coverage, on which of them which files were seen, and of their hooks.

        `of_all` is when any node may have lost events: nobody read what was received then, or a record that may have
        said so.
        """
        self._nodes, self._of_all, self._sightings, self._fleet = nodes, of_all, sightings, None
        self._hooks = hooks

    def keeps(self, key: bytes) -> bool:
        """Whether a row is needed for an answer, and so must not expire."""
        if not self._watches:
            return False
        text = key.decode()
        return text in self._unread or self._unsure.has(text) or bool(self._asking(parse_symbol_id(text)))

    def answer(self, watch_id: str, now_ns: int, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What is known of a watch: fields of schemas/avro/watched_symbol.avsc; `before` is the answer before."""
        self._read()
        watch, code = self._watches[watch_id], self._codes[watch_id]
        kept_since_ns = watch.added_ns if before is None else min(watch.added_ns, before["kept_since_ns"])
        forgotten_ns = self._forgotten_ns(kept_since_ns)
        rows: list[WatchedRow] = []
        may_be = older = 0
        for row in self._rows.get(watch_id, {}).values():
            bearing = code.bearing(watch, row.identity, row.module, row.named_by)
            if bearing is Bearing.IS:
                rows.append(row)
            elif code.is_older(row.identity, row.named_by):
                older += row.hits
            elif bearing is Bearing.MAY_BE:
                may_be += row.hits
        found = HitsFound(
            hits=sum(row.hits for row in rows),
            confirmed=sum(row.confirmed_hits for row in rows),
            has_others=any(code.has_others(row.identity, row.named_by) for row in rows),
            may_be=may_be,
            older=older,
            unsure=self._unsure.hits_for(watch, code),
        )
        fleet = self._fleet = self._fleet or self._fleet_answers(now_ns)
        covered, hooks = fleet.of_watch(watch, code, self.files.ran_at, forgotten_ns)
        return _answer(watch, code, rows, found, covered=covered, hooks=hooks) | {"kept_since_ns": kept_since_ns}

    def _forgotten_ns(self, kept_since_ns: int) -> int | None:
        """Before when a row that answers a watch may have expired."""
        return None if self._row_age_ns is None else kept_since_ns - self._row_age_ns

    def _fleet_answers(self, now_ns: int) -> FleetAnswers:
        """For all watches, which are all answered after a change in the fleet."""
        lives = lives_of(self._nodes)
        account = partial(
            FleetAccount,
            self._nodes,
            now_ns,
            refused=self._refused.intervals(),
            of_all=self._of_all,
            sightings=self._sightings,
            lives=lives,
        )
        until_ns = known_until(self._nodes, now_ns, lives)
        fleet = FleetAnswers(lambda until_ns: account(until_ns=until_ns), until_ns, self._hooks)
        for watch in self._watches.values():
            fleet.expect(watch, self._forgotten_ns(watch.added_ns))
        return fleet

    def _read(self) -> None:
        """Decode what came since the last answer: of rows that change each second only the newest."""
        unread, self._unread = self._unread, {}
        for text, value in unread.items():
            identity = parse_symbol_id(text)
            row = None if value is None else self._row(text, identity, value)
            self._unsure.take(text, row, is_renamed=row is not None and self._is_unknown_code(row))
            if row is not None:
                self.files.note(row)
            for watch_id in self._asking(identity):
                rows = self._rows.setdefault(watch_id, {})
                if row is None:
                    rows.pop(text, None)
                else:
                    rows[text] = row

    def _row(self, text: str, identity: SymbolIdentity, value: bytes) -> WatchedRow | None:
        found = self._decode_row(value)
        if found is None or not found["hits"]:
            return None
        return WatchedRow(
            text,
            identity,
            found["module"],
            found["hits"],
            found["confirmed_hits"],
            found["first_seen_ns"],
            found["last_seen_ns"],
            tuple((one["image_id"], one["image_name"], one["last_seen_ns"]) for one in found["images"]),
            found["images_more"],
            tuple(
                Citation(one["time_ns"], one["event_id"], one["partition"], one["offset"]) for one in found["events"]
            ),
            found["probe_hits"],
            _snapshots(found),
        )


def _answer(
    watch: Watch,
    code: WatchedCode,
    rows: Iterable[WatchedRow],
    found: HitsFound,
    *,
    covered: Completeness,
    hooks: HooksKnown,
) -> dict[str, Any]:
    ranked = sorted(rows, key=lambda row: (-row.hits, row.symbol_id))
    listed = _listed(ranked)
    answer, why = decided(watch, code, found, covered, hooks)
    return {
        "watch_id": watch.watch_id,
        "symbol": watch.symbol,
        "module": watch.module,
        "build_id": watch.build_id,
        "vulnerability": watch.vulnerabilities[0] if watch.vulnerabilities else None,
        "vulnerabilities": list(watch.vulnerabilities),
        "every_call_probed": watch.every_call_probed,
        "since_ns": watch.since_ns,
        "answer": answer.value,
        "reasons": [reason.as_record() for reason in why[:MAX_REASONS]],
        "reasons_more": len(why[MAX_REASONS:]),
        "snapshot": code.snapshot,
        "hits": found.hits,
        "hits_may_be_doubled": covered.is_vouched_twice,
        "confirmed_hits": found.confirmed,
        "first_seen_ns": min((row.first_seen_ns for row in ranked), default=0),
        "last_seen_ns": max((row.last_seen_ns for row in ranked), default=0),
        "symbols": [
            {"symbol_id": row.symbol_id, "module": row.module, "hits": row.hits, "last_seen_ns": row.last_seen_ns}
            for row in listed
        ],
        "symbols_more": len(ranked) - len(listed),
        "ambiguous_hits": found.may_be + found.older + found.unsure.hits + found.unsure.renamed,
        "complete_ns": covered.complete_ns,
        "complete_until_ns": covered.until_ns,
        "nodes": covered.share.nodes,
        "watched_ms": covered.share.watched_ms,
        "missing_ms": covered.share.missing_ms,
        "placed_nodes": covered.share.nodes,
        "placed_watched_ms": covered.share.watched_ms,
        "placed_missing_ms": covered.share.missing_ms,
        **_sighted(covered.sighted),
        "events_lost": covered.share.events_lost,
        "every_node_known": covered.is_every_node_known,
        "retired": [{"said_by": by, "nodes": nodes} for by, nodes in covered.retired],
        "gaps": list(map(_gap_of, covered.gaps)),
        "gaps_more": covered.share.gaps_more,
        **_images(ranked),
        "events": [one.as_record() for one in cited([event for row in ranked for event in row.events])],
        "named_by": sorted({one for row in ranked for one in row.snapshots if one})[:MAX_NAMED_BY],
    }


def _sighted(found: NodeTime | None) -> dict[str, int | None]:
    """Of the nodes on which the watched file was seen."""
    numbers = (None, None, None) if found is None else (found.nodes, found.watched_ms, found.missing_ms)
    return dict(zip(SIGHTED, numbers, strict=True))


def _snapshots(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that named a row's hits, as `NamedBy` has them; a longer text than a digest is none."""
    named = [one["snapshot"] if len(one["snapshot"]) <= _DIGEST_CHARS else "" for one in row["snapshots"]]
    return tuple(dict.fromkeys([*named, *([""] if row["snapshots_more"] else [])]))


def _gap_of(gap: MissingInterval) -> dict[str, Any]:
    node = gap.node or NodeId("", "")
    return {
        "node": node.name,
        "cluster": node.cluster,
        "from_ns": gap.from_ns,
        "to_ns": gap.to_ns,
        "cause": gap.cause,
        "events_lost": gap.events_lost,
    }


def _images(rows: Sequence[WatchedRow]) -> dict[str, Any]:
    """The images that rows were hit in, and whether for sure: the images of a row with other hits may be of those."""
    last: dict[tuple[str, str], int] = {}
    sure: set[tuple[str, str]] = set()
    for row in rows:
        for image_id, name, when_ns in row.images:
            last[image_id, name] = max(when_ns, last.get((image_id, name), when_ns))
        if not row.unsure_hits:
            sure |= {(image_id, name) for image_id, name, _ in row.images}
    newest = sorted(last.items(), key=lambda entry: (-entry[1], entry[0]))
    return {
        "images": [
            {"image_id": image[0], "image_name": image[1], "last_seen_ns": when_ns, "confirmed": image in sure}
            for image, when_ns in newest[:MAX_IMAGES]
        ],
        "images_more": len(newest[MAX_IMAGES:]) + max((row.images_more for row in rows), default=0),
    }


def _listed(ranked: Sequence[WatchedRow]) -> Sequence[WatchedRow]:
    """The rows that an answer lists."""
    first = ranked[:MAX_SYMBOLS]
    sizes = accumulate(4 * (len(row.symbol_id) + len(row.module)) for row in first)
    return first[: sum(size <= MAX_LISTED_BYTES for size in sizes)]


SIGHTED: Final = ("sighted_nodes", "sighted_watched_ms", "sighted_missing_ms")
MOVING: Final = frozenset(
    {
        "complete_ns",
        "complete_until_ns",
        "ambiguous_hits",
        "nodes",
        "watched_ms",
        "missing_ms",
        "placed_nodes",
        "placed_watched_ms",
        "placed_missing_ms",
        *SIGHTED,
        "reasons",
        "gaps",
    }
)
"""Fields of an answer that change all the time; a change in these alone is not news, but for other reasons or gaps."""


def is_news(before: Mapping[str, Any] | None, answer: Mapping[str, Any]) -> bool:
    """Whether an answer says more than the one before, besides that time has passed.

    That coverage is known at all is news: a worker that has just begun answers before it has read it.
    """
    if before is None or (answer["nodes"] and not before["nodes"]):
        return True
    return _without_lengths(before) != _without_lengths(answer)


def _without_lengths(answer: Mapping[str, Any]) -> tuple[object, ...]:
    """What does not grow by itself as time passes: a node that is silent is a gap that does."""
    gaps = [(gap["cluster"], gap["node"], gap["from_ns"], gap["cause"]) for gap in answer["gaps"]]
    reasons = [(reason["reason"], reason["about"]) for reason in answer["reasons"]]
    return gaps, reasons, {name: value for name, value in answer.items() if name not in MOVING}

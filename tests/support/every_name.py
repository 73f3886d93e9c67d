"""Proves for a file that no name of it gets a wrong answer: what runs is never "never", and what is not there neither.

The names come from readelf, the answers from the stages' own steps: index, frames, privacy filter, counts, rows and
watches. Two ways:

- Code of a random half of the functions runs. A watch on any of their names must be `Hit`, or `NotSeen` for a reason;
  one on another name must not be `Hit`.
- Nothing runs, all events are complete and every call is probed. A watch on any name must be `NeverHit` or
  `NeverEntered`, or `NotSeen` for a reason that another reader of the file confirms.
"""

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from agents.contract import OutRecord
from agents.coverage.node_coverage import NodeCoverage
from agents.coverage.vouching import VouchedInterval
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import MAX_WATCHES
from agents.hot_symbols.watch.watched_code import WatchedCode, watched_codes
from agents.symbols.compiler_clones import function_of
from agents.symbols.function_names import FunctionNames
from agents.symbols.kernel_symbols import canonical_symbol
from app.symbols.adding import AddOptions, Indexed, add_files
from app.symbols.known_files import StoreFiles
from app.symbols.limited_reader import LimitedReader
from app.symbols.name_maps import node_scope
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.named_functions import NamedFunctions, emptied_at, inlined_at, named_functions
from tests.support.stage_rows import EventSteps, empty_board, rows_of
from tests.support.symbol_maps import put_modules

NODE: Final = "n"
SECOND: Final = 1_000_000_000
NOW_NS: Final = 2_000_000_000 * SECOND
_MAX_CONFIRMED: Final = 100
_MAX_COPIES: Final = 3
_NEAR_BYTES: Final = 96
"""Inlined names of a file that addr2line is asked about, chosen by the seed, copies of each, and how far behind the
place in the index a copy may begin: Go's inline tree has the place of the call."""

NEVER: Final = {"NeverHit", "NeverEntered"}


class Way(enum.Enum):
    """How it is seen that a function runs; values are for tables."""

    FRAME = "a frame inside its code"
    PROBE_BY_OFFSET = "a probe at its entry, by offset"
    PROBE_BY_NAME = "a probe at its entry, by name"
    NOTHING = "nothing runs"
    NO_SUCH_NAME = "a name that the file does not have"


@dataclass(slots=True)
class Proof:
    """What came out for a file: answers with their reasons, counted by way, and exceptions in words."""

    names: int
    answers: dict[Way, Counter[str]] = field(default_factory=dict)
    exceptions: list[str] = field(default_factory=list)
    confirmed_copies: int = 0
    """Inlined names for which another reader finds a copy where ours says one is."""

    def count(self, way: Way, answer: str) -> None:
        """Count an answer."""
        self.answers.setdefault(way, Counter())[answer] += 1

    def object(self, way: Way, name: str, answer: str, why: str) -> None:
        """Note an exception."""
        self.exceptions.append(f"{way.value}: {name}: {answer}, {why}")


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file in a store of its own, and what readelf says of it."""

    path: Path
    build_id: str
    store: SymbolStore
    truth: NamedFunctions


@dataclass(frozen=True, slots=True)
class Watched:
    """Watches by name, and the code of each by its id: found once, whatever runs."""

    watches: Mapping[str, Watch]
    codes: Mapping[str, WatchedCode]

    @classmethod
    def of(cls, known: IndexedFile, names: Iterable[str]) -> "Watched":
        """Watches on these names, every call of which is probed."""
        watches = {
            name: Watch(symbol=canonical_symbol(name), build_id=known.build_id, every_call_probed=True)
            for name in names
        }
        return cls(watches, watched_codes(watches.values(), StoreFiles(known.store), {}))

    def only(self, names: Iterable[str]) -> "Watched":
        """Those on these names."""
        return Watched({name: self.watches[name] for name in names}, self.codes)


def prove(file: Path, folder: Path, seed: int) -> Proof:
    """All of it for one file; the store is made in `folder`. Raises RuntimeError if the file cannot be indexed."""
    known = _indexed(file, folder)
    rng = Random(seed)
    watched = Watched.of(known, sorted(known.truth.addresses))
    proof = Proof(len(watched.watches))
    for way in (Way.FRAME, Way.PROBE_BY_OFFSET):
        half = {address for address in sorted(known.truth.sizes) if rng.random() < 0.5}
        _judge_runs(proof, way, known, watched, half, [_event(known, way, address, "") for address in sorted(half)])
    fired = [name for name in watched.watches if rng.random() < 0.5]
    _judge_probes_by_name(proof, known, watched, fired)
    _judge_nothing(proof, known, watched, rng)
    _judge_other_names(proof, known, rng)
    return proof


def _indexed(file: Path, folder: Path) -> IndexedFile:
    with StoreWriter(folder) as writer, LimitedReader() as reader:
        reports = list(add_files([file], AddOptions(), writer, reader))
        indexed = [report for report in reports if isinstance(report, Indexed)]
        if len(indexed) != 1:
            raise RuntimeError(f"{file} is not indexed: {reports}")
        put_modules(writer, node_scope(NODE), {str(file): indexed[0].build_id})
        writer.commit()
    return IndexedFile(file, indexed[0].build_id, SymbolStore.open(folder), named_functions(file))


def _event(known: IndexedFile, way: Way, address: int, name: str) -> bytes:
    """A raw event in which the code at an address, or the function of a name, runs."""
    event = GetEventsResponse(node_name=NODE)
    event.time.FromNanoseconds(NOW_NS - 100 * SECOND)
    match way:
        case Way.FRAME:
            process = event.process_kprobe.process
            event.process_kprobe.function_name = "tcp_connect"
            inside = known.truth.file_offset(address) + known.truth.sizes[address] // 2
            event.process_kprobe.user_stack_trace.add(module=str(known.path), offset=inside)
        case _:
            process = event.process_uprobe.process
            event.process_uprobe.path, event.process_uprobe.symbol = str(known.path), name
            event.process_uprobe.offset = 0 if name else known.truth.file_offset(address)
    process.exec_id, process.pid.value, process.binary = "n:1:2", 7, "/usr/bin/server"
    process.ns.mnt.is_host = True
    return event.SerializeToString()


def _rows(store: SymbolStore, events: Sequence[bytes]) -> list[OutRecord]:
    """The rows that the stages publish for raw events."""
    canonical, calls = EventSteps(store)(0, events, NOW_NS // 1_000_000)
    if len(calls.outputs) != len(events):
        raise RuntimeError(f"{len(events)} events became {len(calls.outputs)} calls: {canonical}")
    return rows_of({0: calls.outputs})


def _answers(watched: Watched, rows: Sequence[OutRecord]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Each name with its answer and the kinds of its reasons, for complete events of one node."""
    names = list(watched.watches)
    for first in range(0, len(names), MAX_WATCHES):
        some = {name: watched.watches[name] for name in names[first : first + MAX_WATCHES]}
        watches = {watch.watch_id: watch for watch in some.values()}
        board = empty_board()
        board.set_watches(watches, watched.codes)
        board.cover({NodeId("", NODE): NodeCoverage([VouchedInterval(0, NOW_NS, "s")])})
        for row in rows:
            assert row.key is not None
            board.take(row.key, row.value)
        for name, watch in some.items():
            answer = board.answer(watch.watch_id, NOW_NS)
            yield name, answer["answer"], tuple(sorted({reason["reason"] for reason in answer["reasons"]}))


def _words(answer: str, reasons: Iterable[str]) -> str:
    """An answer with what else there is to say of it."""
    said = sorted(set(reasons) - {ReasonKind.AUTHORS_WORD.value})
    return f"{answer} ({', '.join(said)})" if said else answer


def _families(names: Iterable[str]) -> dict[str, set[str]]:
    """Names by the function that compilers made them of."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(function_of(canonical_symbol(name)), set()).add(name)
    return found


def _judge_runs(  # noqa: PLR0917 - the two sides of one comparison
    proof: Proof,
    way: Way,
    known: IndexedFile,
    watched: Watched,
    ran: set[int],
    events: Sequence[bytes],
) -> None:
    truth, families = known.truth, _families(watched.watches)
    for name, answer, reasons in _answers(watched, _rows(known.store, events)):
        words = _words(answer, reasons)
        if truth.addresses[name] & ran:
            proof.count(way, words)
            if answer in NEVER or not (answer == "Hit" or reasons):
                proof.object(way, name, words, "and it ran")
        elif answer == "Hit":
            family = {at for one in families[function_of(canonical_symbol(name))] for at in truth.addresses[one]}
            hosts = {host for at in family for host in truth.covering(at)}
            if not (family | hosts) & ran and not _is_chosen(truth, families, name):
                proof.object(way, name, words, "and it did not run")


def _is_chosen(truth: NamedFunctions, families: Mapping[str, set[str]], name: str) -> bool:
    """Whether the code of a name is chosen when the file is loaded: what runs under it has other names."""
    return bool(families[function_of(canonical_symbol(name))] & truth.ifuncs)


def _judge_probes_by_name(proof: Proof, known: IndexedFile, watched: Watched, fired: Sequence[str]) -> None:
    way = Way.PROBE_BY_NAME
    rows = _rows(known.store, [_event(known, way, 0, name) for name in fired])
    for name, answer, reasons in _answers(watched.only(fired), rows):
        words = _words(answer, reasons)
        proof.count(way, words)
        if answer in NEVER or not (answer == "Hit" or reasons):
            proof.object(way, name, words, "and it ran")


def _judge_nothing(proof: Proof, known: IndexedFile, watched: Watched, rng: Random) -> None:
    way, truth, families = Way.NOTHING, known.truth, _families(watched.watches)
    inlined: list[str] = []
    for name, answer, reasons in _answers(watched, []):
        words = _words(answer, reasons)
        proof.count(way, words)
        if answer in NEVER:
            continue
        if answer == "NotSeen" and ReasonKind.CHOSEN_AT_RUN_TIME.value in reasons:
            if not _is_chosen(truth, families, name):
                proof.object(way, name, words, "and readelf shows no IFUNC")
        elif answer == "NotSeen" and ReasonKind.INLINED_INTO.value in reasons:
            inlined.append(name)
        else:
            proof.object(way, name, words, "and nothing ran")
    _confirm_copies(proof, known, rng.sample(inlined, min(len(inlined), _MAX_CONFIRMED)))


def _confirm_copies(proof: Proof, known: IndexedFile, names: Sequence[str]) -> None:
    """Look with addr2line for a copy of each name where the index says that one is."""
    files = StoreFiles(known.store).names(known.build_id)
    assert isinstance(files, FunctionNames)
    families = _families(files.all_names())
    places = {
        name: [
            copy.address + near
            for other in sorted(families[function_of(canonical_symbol(name))])
            for copy in files.copies(other)[:_MAX_COPIES]
            for near in range(_NEAR_BYTES)
        ]
        for name in names
    }
    standing = inlined_at(known.path, sorted({place for found in places.values() for place in found}))
    left = {
        name
        for name, found in places.items()
        if not any(_bare(name) == _bare(one) for place in found for one in standing.get(place, ()))
    }
    emptied = emptied_at(known.path, {place for name in left for place in places[name]})
    for name, found in places.items():
        if name not in left or emptied.intersection(found):
            proof.confirmed_copies += 1
        else:
            proof.object(Way.NOTHING, name, "InlinedInto", "and no other reader finds a copy")


def _bare(name: str) -> str:
    return function_of(canonical_symbol(name)).rpartition("::")[2]


def _judge_other_names(proof: Proof, known: IndexedFile, rng: Random) -> None:
    """Names that are misspelled, and those of no file at all."""
    way, families = Way.NO_SUCH_NAME, _families(known.truth.addresses)
    some = rng.sample(sorted(known.truth.addresses), min(200, proof.names))
    asked = [f"{name}x" for name in some] + [name[1:] + "q" for name in some]
    asked = [name for name in asked if name not in known.truth.addresses and function_of(name) not in families]
    watched = Watched.of(known, dict.fromkeys(asked))
    every = [_event(known, Way.FRAME, address, "") for address in sorted(known.truth.sizes)[:2_000]]
    for rows in ([], _rows(known.store, every)):
        for name, answer, reasons in _answers(watched, rows):
            words = _words(answer, reasons)
            proof.count(way, words)
            if answer != "NotSeen" or not {"NoSuchName", "InlinedInto"} & set(reasons):
                proof.object(way, name, words, "and the file does not have it")

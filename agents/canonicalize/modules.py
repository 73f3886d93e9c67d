"""What is known of the modules that an event's process has mapped, and what an event at an offset may see of it.

Tetragon sends no build id with a frame. A loader event (`ProcessLoader{path, buildid}`) says which build a process has
mapped under a path; all events of a process are in one partition, in order, so an event's modules are those of the
loader events before it.

Rules: what an event sees depends on the loader events at lower offsets of its partition, never on what was read later,
so a batch that comes a second time sees what it saw the first time. Rows hold digests of paths, because a path may name
a person and state is kept outside of the restricted topics. This module refuses to know symbols, and who keeps rows.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agents.canonicalize.frames import Resolved, Unresolved
from agents.canonicalize.identity import digest
from agents.canonicalize.module_identity import SymbolSource, loaded_module

MAX_PROCESSES: Final = 65_536
"""Processes with loader events that are remembered for each partition; beyond it the longest unheard of is forgotten.
A node runs some thousands; an entry with 20 modules has about 2 kB."""

MAX_MODULES: Final = 1_024
"""Mapped files that are remembered for one process; the largest programs map some hundreds."""

_PATH_DOMAIN: Final = b"callstream.module\x00"

MAX_CONTEXTS: Final = 16_384
"""Distinct sets of loaded files on distinct images that are numbered at a time; a fleet has some thousands."""

NO_CONTEXT: Final = 0
"""Context of an event of which nothing is known: no loader event, and no symbol source to ask."""


class Loaded(NamedTuple):
    """One loader event: `offset` is its raw record's."""

    offset: int
    path_digest: str
    build_id: str


class Scope(NamedTuple):
    """Where a process runs, as far as symbol sources tell modules apart by it; empty texts where it is not known."""

    image_id: str
    node_name: str
    is_contained: bool


@dataclass(slots=True)
class _Process:
    loaded: tuple[Loaded, ...] = ()
    latest: int = -1
    contexts: dict[Scope, int] = field(default_factory=dict)
    """Contexts that see all of `loaded`, by scope: a process has one or two."""


@dataclass(frozen=True, slots=True)
class ContextResolver:
    """A symbol source as the events of one context see it; a `FrameResolver`."""

    source: SymbolSource | None
    loaded: Mapping[str, str]
    scope: Scope

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """As the source answers."""
        if self.source is None:
            return Unresolved.NO_INDEX
        return self.source.lookup(build_id, file_offset, innermost=innermost)

    def build_id(self, module: str) -> str | None:
        """By loader events of the process, then by the maps of its image or node."""
        if self.loaded and (known := self.loaded.get(path_digest(module))) is not None:
            return known
        image_id, node_name, is_contained = self.scope
        # A container whose image Tetragon did not name must not be taken for a process of its node.
        if self.source is None or (is_contained and not image_id):
            return None
        return self.source.mapped_build_id(image_id, node_name, module)

    def kernel_module(self, symbol: str) -> str | None:
        """By the node's kallsyms."""
        return None if self.source is None else self.source.kernel_module_on(self.scope.node_name, symbol)


class ModuleIndex:
    """Loader events by partition and process, and numbered contexts for caches to key on.

    A context is a distinct view of modules and symbols; many processes share one. Numbers mean nothing outside of this
    object and are never used twice, so a cache keyed on a number that was forgotten is merely never asked again.
    """

    def __init__(self, source: SymbolSource | None = None) -> None:
        self._source = source
        self._partitions: dict[int, OrderedDict[str, _Process]] = {}
        self._changed: dict[int, set[str]] = {}
        self._numbers: OrderedDict[tuple[frozenset[tuple[str, str]], Scope], int] = OrderedDict()
        self._resolvers = {NO_CONTEXT: ContextResolver(source, {}, _NOWHERE)}
        self._next_number = NO_CONTEXT + 1

    def observe(self, partition: int, offset: int, process_id: str, path: str, build_id: bytes) -> None:
        """Remember a loader event. Seen again, it changes nothing; nor does one without a file or a build id."""
        module = loaded_module(path, build_id)
        if module is None:
            return
        processes = self._partitions.setdefault(partition, OrderedDict())
        process = processes.setdefault(process_id, _Process())
        loaded = Loaded(offset, path_digest(module[0]), module[1])
        if loaded in process.loaded or len(process.loaded) >= MAX_MODULES:
            return
        process.loaded = tuple(sorted((*process.loaded, loaded)))
        process.latest = process.loaded[-1].offset
        process.contexts = {}
        processes.move_to_end(process_id)
        changed = self._changed.setdefault(partition, set())
        changed.add(process_id)
        if len(processes) > MAX_PROCESSES:
            forgotten, _ = processes.popitem(last=False)
            changed.add(forgotten)

    def context(self, partition: int, offset: int, process_id: str, scope: Scope) -> int:
        """Number of the context that the event at `offset` sees."""
        processes = self._partitions.get(partition)
        process = processes.get(process_id) if processes else None
        if process is None and self._source is None:
            return NO_CONTEXT
        if process is None:
            return self._number({}, scope)
        if self._source is None:
            scope = _NOWHERE
        if process.latest >= offset:
            return self._number(_known(loaded for loaded in process.loaded if loaded.offset < offset), scope)
        number = process.contexts.get(scope)
        if number is None or number not in self._resolvers:
            number = process.contexts[scope] = self._number(_known(process.loaded), scope)
        return number

    def resolver(self, context: int) -> ContextResolver:
        """The resolver of a context; ask right after `context`, before it can be forgotten."""
        return self._resolvers[context]

    def _number(self, loaded: dict[str, str], scope: Scope) -> int:
        key = (frozenset(loaded.items()), scope)
        number = self._numbers.get(key)
        if number is None:
            number = self._next_number
            self._next_number += 1
            self._numbers[key] = number
            self._resolvers[number] = ContextResolver(self._source, loaded, scope)
            if len(self._numbers) > MAX_CONTEXTS:
                _, forgotten = self._numbers.popitem(last=False)
                del self._resolvers[forgotten]
        return number

    def take_changes(self, partition: int) -> dict[bytes, bytes | None]:
        """Rows that differ since this was last asked, by process id; None for a process that was forgotten."""
        processes = self._partitions.get(partition, OrderedDict())
        changed = sorted(self._changed.pop(partition, ()))
        return {
            process_id.encode(): _row(processes[process_id]) if process_id in processes else None
            for process_id in changed
        }

    def restore(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Replace what is known of a partition by rows that `take_changes` gave."""
        read = [(key.decode(), _process(value)) for key, value in rows]
        read.sort(key=lambda item: (item[1].latest, item[0]))
        self._partitions[partition] = OrderedDict(read)
        self._changed.pop(partition, None)


def _known(loaded: Iterable[Loaded]) -> dict[str, str]:
    """Build id by path digest. Of two builds under one path the later one holds: the file was replaced."""
    return {one.path_digest: one.build_id for one in loaded}


_NOWHERE: Final = Scope("", "", is_contained=False)


def path_digest(path: str) -> str:
    """What stands for a path in rows: 16 lower hex digits."""
    return digest(_PATH_DOMAIN + path.encode())[:8].hex()


def _row(process: _Process) -> bytes:
    return json.dumps([list(loaded) for loaded in process.loaded], separators=(",", ":")).encode()


def _process(row: bytes) -> _Process:
    loaded = tuple(Loaded(*entry) for entry in json.loads(row))
    return _Process(loaded, loaded[-1].offset if loaded else -1)


def rows_before(rows: Iterable[tuple[bytes, bytes]], offset: int) -> Iterable[tuple[bytes, bytes]]:
    """What rows that `take_changes` gave say of loader events before a raw offset; rows with no other are left out."""
    for key, value in rows:
        kept = tuple(loaded for loaded in _process(value).loaded if loaded.offset < offset)
        if kept:
            yield key, _row(_Process(kept))

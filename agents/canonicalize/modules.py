"""Which processes are remembered with the files that they have mapped, and what an event at an offset may see of them.

Tetragon sends no build id with a frame. A loader event (`ProcessLoader{path, buildid}`) says which build a process has
mapped under a path; all events of a process are in one partition, in order, so an event's modules are those of the
loader events before it.

What an event sees follows from the loader and exit events at lower offsets of its partition and from nothing else, so a
batch that comes a second time, after whatever crash, sees what it saw the first time. Forgetting follows from offsets
too: the record that makes too many processes ends the entries of one of them. These entries stay until it is sure that
no record before it comes again (`release`).
"""

import re
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.canonicalize.contexts import NO_MODULES, ContextResolver, Contexts
from agents.canonicalize.module_identity import loaded_module
from agents.canonicalize.process_modules import (
    ANOTHER,
    Loaded,
    ProcessModules,
    decode_row,
    decode_row_key,
    deleted,
    encode_row,
    encode_row_key,
    path_digest,
)
from agents.memo import Memo
from agents.symbols.lookup import Scope, ScopeFields, SymbolSource, TimedMaps
from schemas.node import NodeId

MAX_PROCESSES: Final = 65_536
"""Running processes that are remembered for each partition; beyond it the one whose latest loader event is the oldest
is forgotten. A node runs some hundreds to thousands; one with 20 modules takes 3 kB here and 2 kB in its row."""

MAX_ENDED: Final = 4_096
"""Processes that ended and are remembered for each partition: the agent's buffers may hold an event back for seconds,
and a busy node ends some hundreds of processes a second."""

MAX_MODULES: Final = 1_024
"""Mapped files that are remembered for one process; the largest programs map some hundreds."""

_SYSTEM_CALL: Final = re.compile(rb"__(x64|ia32|arm64|riscv|s390x?)_(?:compat_)?sys_")
_ARCHITECTURES: Final = {
    b"x64": "amd64",
    b"ia32": "amd64",
    b"arm64": "arm64",
    b"riscv": "riscv64",
    b"s390": "s390x",
    b"s390x": "s390x",
}
"""How kernels name their entries of system calls (ARCH_HAS_SYSCALL_WRAPPER), and what architecture that is."""

_CACHED_MODULES: Final = 8_192
_CACHED_SCOPES: Final = 16_384
"""Distinct loader events' contents, and images on nodes, that are at hand; two generations of each."""


ProcessKey = tuple[NodeId, str]
"""A node and the id of a process there. Nodes of two clusters may give one exec_id to two processes."""


@dataclass(slots=True)
class _PartitionProcesses:
    """Known processes; `running` by their latest loader event, `ended` by their exit; what was ended, and by which."""

    processes: dict[ProcessKey, ProcessModules] = field(default_factory=dict)
    running: OrderedDict[ProcessKey, None] = field(default_factory=OrderedDict)
    ended: list[tuple[int, ProcessKey]] = field(default_factory=list)
    releasable: deque[tuple[int, ProcessKey]] = field(default_factory=deque)
    changed: set[ProcessKey] = field(default_factory=set)


class ModuleIndex:
    """Loader events by partition and process, as the events of each offset see them."""

    def __init__(
        self,
        source: SymbolSource | None = None,
        *,
        max_processes: int = MAX_PROCESSES,
        max_ended: int = MAX_ENDED,
        max_modules: int = MAX_MODULES,
    ) -> None:
        self._contexts = Contexts(source)
        self._has_maps = source is not None
        self._partitions: dict[int, _PartitionProcesses] = {}
        self._max_processes, self._max_ended, self._max_modules = max_processes, max_ended, max_modules
        self._modules: Memo[tuple[str, bytes], tuple[str, str] | None] = Memo(_digested, _CACHED_MODULES)
        self._maps: Memo[ScopeFields, TimedMaps | None] = Memo(
            lambda scope: None if source is None else source.maps(Scope(*scope)), _CACHED_SCOPES
        )

    def observe(self, partition: int, offset: int, key: ProcessKey, path: str, build_id: bytes) -> None:
        """Remember a loader event. Seen again, it changes nothing; nor does one without a file or a build id."""
        module = self._modules[path, build_id]
        if module is None:
            return
        part = self._partitions.setdefault(partition, _PartitionProcesses())
        process = part.processes.get(key) or ProcessModules()
        known = process.seen_at(offset)
        before = known.get(module[0])
        if (before or "").removesuffix(ANOTHER) == module[1] or (before is None and len(known) >= self._max_modules):
            return
        if process.has(offset):
            return
        part.processes[key] = process
        process.add(Loaded(offset, *module))
        part.changed.add(key)
        if before is not None:
            part.releasable.append((offset, key))
        self._remember(part, offset, key, process)

    def end(self, partition: int, offset: int, key: ProcessKey) -> None:
        """Note a process's exit event: ended processes are forgotten before running ones."""
        part = self._partitions.get(partition)
        process = part.processes.get(key) if part else None
        if part is None or process is None or process.ended is not None or not process.seen_at(offset):
            return
        process.ended = offset
        part.changed.add(key)
        part.running.pop(key, None)
        self._remember(part, offset, key, process)

    def _remember(self, part: _PartitionProcesses, offset: int, key: ProcessKey, process: ProcessModules) -> None:
        """File a process as running or ended, and forget another one if there are too many."""
        forgotten = None
        if process.ended is None:
            part.running[key] = None
            part.running.move_to_end(key)
            if len(part.running) > self._max_processes:
                forgotten, _ = part.running.popitem(last=False)
        else:
            place = (process.ended, key)
            at = bisect_left(part.ended, place)
            if part.ended[at : at + 1] != [place]:
                part.ended.insert(at, place)
            if len(part.ended) > self._max_ended:
                _, forgotten = part.ended.pop(0)
        if forgotten is not None:
            part.processes[forgotten].forget(offset)
            part.changed.add(forgotten)
            part.releasable.append((offset, forgotten))

    def context(self, partition: int, offset: int, process_id: str, scope: ScopeFields, time_ns: int) -> int:
        """Number of the context that the event at `offset` sees, which happened at `time_ns`."""
        part = self._partitions.get(partition)
        process = part.processes.get((scope[2], process_id)) if part else None
        maps = None
        if self._has_maps and (timed := self._maps[scope]) is not None:
            maps = timed.at(time_ns)
        if process is None:
            return self._contexts.number(NO_MODULES, maps)
        if offset <= process.changed:
            return self._contexts.number(self._contexts.module_set(process.seen_at(offset)), maps)
        if process.latest is None:
            process.latest = self._contexts.module_set(process.seen_at(offset))
        return self._contexts.number(process.latest, maps)

    def context_of_kernel(self, context: int, function_name: str, kernel_stack: Sequence[bytes]) -> int:
        """The context of an event whose kernel's own names say what architecture it is; the same if they do not.

        Ask right after `context`. One image may be of several architectures, and not every node says which it has.
        """
        if not self._has_maps:
            return context
        found = _SYSTEM_CALL.search(function_name.encode()) or _SYSTEM_CALL.search(b"\n".join(kernel_stack))
        return context if found is None else self._contexts.on(context, _ARCHITECTURES[found[1]])

    def context_of_probe(self, context: int, scope: ScopeFields, since_ns: int | None) -> int:
        """The context of an event of a user probe, whose process may have mapped its files from `since_ns` on.

        Ask right after `context`. None: nobody knows since when.
        """
        timed = self._maps[scope] if self._has_maps else None
        return context if timed is None else self._contexts.before(context, timed.at(since_ns or 0))

    def resolver(self, context: int) -> ContextResolver:
        """The resolver of a context; ask right after `context`, before it can be forgotten."""
        return self._contexts.resolver(context)

    def release(self, partition: int, position: int) -> None:
        """Forget what only records before `position` can see; none of them comes again."""
        part = self._partitions.get(partition)
        while part is not None and part.releasable and part.releasable[0][0] < position:
            _, key = part.releasable.popleft()
            process = part.processes.get(key)
            if process is None:
                continue
            process.drop_ended_before(position)
            part.changed.add(key)
            if not process.loaded:
                del part.processes[key]

    def take_changes(self, partition: int) -> dict[bytes, bytes | None]:
        """Rows that changed since the last call, by process; None for a process that was forgotten."""
        part = self._partitions.get(partition)
        if part is None or not part.changed:
            return {}
        changed, part.changed = sorted(part.changed), set()
        processes = part.processes
        return {encode_row_key(*key): encode_row(processes[key]) if key in processes else None for key in changed}

    def restore(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Replace what is known of a partition by rows that `take_changes` gave."""
        part = self._partitions[partition] = _PartitionProcesses()
        running: list[tuple[int, ProcessKey]] = []
        releasable: set[tuple[int, ProcessKey]] = set()
        for row_key, row in rows:
            key, process = decode_row_key(row_key), decode_row(row)
            part.processes[key] = process
            open_offsets = [entry.offset for entry in process.loaded if entry.until is None]
            if open_offsets and process.ended is not None:
                part.ended.append((process.ended, key))
            elif open_offsets:
                running.append((max(open_offsets), key))
            releasable |= {(entry.until, key) for entry in process.loaded if entry.until is not None}
        part.ended.sort()
        part.running = OrderedDict.fromkeys(key for _, key in sorted(running))
        part.releasable = deque(sorted(releasable))


def _digested(sent: tuple[str, bytes]) -> tuple[str, str] | None:
    """(name of the file, build id) of a loader event; None where it does not name a file or has no build id."""
    found = loaded_module(*sent)
    if found is None:
        return None
    module, build_id = found
    name = path_digest(module.path)
    return deleted(name) if module.is_deleted else name, build_id

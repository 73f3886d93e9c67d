"""When each entry of a function had a hook that reports every call, on each node.

A hook counts for the one file whose build id its policy names, at the one path that it was set on: a copy of the file
under another path has no hook. It counts while the agent says that it is loaded, by the window of its policy. A symbol
counts for a file only where it names one entry there, because an agent sets the hook on one of several.

Nothing else is a hook that reports every call, so whoever asks gets too few hooks, never one too many.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from agents.coverage.interval import Interval, join, overlap
from agents.probes.policy_file import CallLimit, Hook, HookSection, TracingPolicy
from agents.probes.probe_table import NO_WINDOWS, UNTOLD, AgentTold, PackedWindows, ProbeTable, SeenAs, packed, unpacked
from schemas.node import NodeId
from schemas.probes import SeenHookState

HOST_ROOT: Final = "/procRoot/1/root"
"""The host's files, as an agent in a container sees them."""


class FileEntries(Protocol):
    """Where the functions of one file begin, in the file's own addresses."""

    def entries(self, symbol: str) -> Collection[int]:
        """The addresses of all functions that have this name; empty where none has."""

    def address_of(self, file_offset: int) -> int | None:
        """The address of a place in the file; None where no code is there."""


NeededHooks = frozenset[frozenset[int]]
"""Of each set one at least: numbers of `ProbeTable.seen`."""


class HookedEntry(NamedTuple):
    """A function's entry in a file at a path."""

    build_id: str
    path: str
    address: int


@dataclass(frozen=True, slots=True)
class WantedEntries:
    """All entries of a function in one file, and all paths under which the file is known to be on nodes."""

    build_id: str
    addresses: frozenset[int]
    paths: frozenset[str]


def hooked_entries(seen: SeenAs, policy: TracingPolicy, files: Mapping[str, FileEntries]) -> Iterator[HookedEntry]:
    """Entries whose every call is reported while the policy is seen like this. `files` are those known, by build id."""
    if not _is_numbered_as_here(seen, policy):
        return
    for hook in policy.hooks:
        if hook.section is HookSection.UPROBES and hook.reports_every_call and _is_loaded(hook, seen):
            yield from _entries(hook, files)


def _is_numbered_as_here(seen: SeenAs, policy: TracingPolicy) -> bool:
    """Whether the agent numbers uprobes as the file does: its places are those of the file's entries, and no others."""
    places = {
        place
        for one in seen.hooks
        if one.section == HookSection.UPROBES.value
        for place in (one.first, one.first + one.count - 1)
    }
    entries = sum(hook.section is HookSection.UPROBES for hook in policy.hooks)
    return all(0 <= place < entries for place in places)


def _is_loaded(hook: Hook, seen: SeenAs) -> bool:
    """Whether the agent says so, and says nothing else of the same hook."""
    states = {
        one.state
        for one in seen.hooks
        if one.section == hook.section.value and one.first <= hook.index < one.first + one.count
    }
    return states == {SeenHookState.LOADED}


def _entries(hook: Hook, files: Mapping[str, FileEntries]) -> Iterator[HookedEntry]:
    """Of a hook that is loaded. With digests of several files nobody knows which of them lies at the path."""
    if len(hook.build_ids) != 1 or hook.has_other_digests or not hook.path:
        return
    [build_id] = hook.build_ids
    file = files.get(build_id)
    if file is None:
        return
    path = hook.path.removeprefix(HOST_ROOT) if hook.path.startswith(f"{HOST_ROOT}/") else hook.path
    for symbol in hook.symbols:
        named = set(file.entries(symbol))
        if len(named) == 1:
            yield HookedEntry(build_id, path, named.pop())
    for offset in hook.offsets:
        address = file.address_of(offset)
        if address is not None:
            yield HookedEntry(build_id, path, address)


class HookFinder:
    """Entries that have hooks where policies are seen in some way, each found once."""

    def __init__(self, policies: Mapping[str, TracingPolicy], files: Mapping[str, FileEntries]) -> None:
        """`policies` are by the digest of their spec, `files` those known, by build id."""
        self._policies, self._files = policies, files
        self._found: dict[SeenAs, tuple[HookedEntry, ...]] = {}

    def entries(self, seen: SeenAs) -> tuple[HookedEntry, ...]:
        """The entries, each once; none of a policy that nobody supplied."""
        found = self._found.get(seen)
        if found is None:
            policy = self._policies.get(seen.spec_digest)
            every = () if policy is None else hooked_entries(seen, policy, self._files)
            found = self._found[seen] = tuple(dict.fromkeys(every))
        return found

    def is_brief(self, seen: SeenAs) -> bool:
        """Whether a call may make no event because one shortly before it did."""
        policy = self._policies.get(seen.spec_digest)
        return policy is not None and any(CallLimit.BRIEF_RATE in hook.limits for hook in policy.hooks)


class HookWindows:
    """When entries had hooks, by node: what agents told, read with the policies that operators supply."""

    def __init__(self, table: ProbeTable, finder: HookFinder) -> None:
        """Windows that the table takes later count too, but not those of what was not seen before."""
        self._table = table
        self._seen_with: dict[HookedEntry, list[int]] = {}
        self._brief = frozenset(number for number, seen in enumerate(table.seen) if finder.is_brief(seen))
        for number, seen in enumerate(table.seen):
            for entry in finder.entries(seen):
                self._seen_with.setdefault(entry, []).append(number)

    def __bool__(self) -> bool:
        """Whether any agent tells of its policies."""
        return bool(self._table.told)

    @property
    def has_hooks(self) -> bool:
        """Whether any entry ever had a hook somewhere."""
        return bool(self._seen_with)

    def told_until(self, silence_ns: int, nodes: Iterable[NodeId]) -> int:
        """Up to when the agents of all these nodes have told that are not behind the latest by more than a time.

        0 where none has.
        """
        told = self._table.told
        told_ns = [told[node].at_ns for node in nodes if node in told]
        latest = max(told_ns, default=0)
        return min((told for told in told_ns if told >= latest - silence_ns), default=0)

    def needed(self, wanted: WantedEntries) -> NeededHooks | None:
        """What must be loaded for all entries to have a hook at all paths; None where nothing can be said to be that.

        Functions that the same policies have hooks on need the same, so that whoever asks for many asks once.
        """
        found = frozenset(
            frozenset(self._seen_with.get(HookedEntry(wanted.build_id, path, address), ()))
            for path in wanted.paths
            for address in wanted.addresses
        )
        return found if found and frozenset() not in found else None

    def told_of(self, node: NodeId) -> AgentTold:
        """What a node's agent told of itself last."""
        return self._table.told.get(node, UNTOLD)

    def are_brief(self, needed: NeededHooks | None) -> bool:
        """Whether a call may make no event because one up to `MAX_BRIEF_S` before it did."""
        return needed is not None and any(several & self._brief for several in needed)

    @property
    def are_some_brief(self) -> bool:
        """Whether that can be so of any function."""
        return bool(self._brief)

    @property
    def numbers(self) -> Mapping[NodeId, int]:
        """The number of each node of which an agent told."""
        return self._table.nodes

    def hooked_on(self, needed: NeededHooks, among: Collection[int]) -> Mapping[int, PackedWindows]:
        """When they were all there, by the number of each node on which they may have been; on others they never were.

        In order and without overlaps. Of nodes that are not `among` the wanted ones nothing need be there.
        """
        if len(needed) == 1 and len(next(iter(needed))) == 1:  # nearly always
            [[number]] = needed
            return self._table.windows[number]
        some = min(([self._table.windows[number] for number in several] for several in needed), key=_entries_of)
        nodes = among if len(among) <= _entries_of(some) else {node for windows in some for node in windows}
        found = {node: packed(self._hooked(node, needed)) for node in nodes}
        return {node: windows for node, windows in found.items() if windows}

    def _hooked(self, node: int, needed: NeededHooks) -> Sequence[Interval]:
        found: Sequence[Interval] | None = None
        for several in needed:
            one = self._any_of(node, several)
            found = one if found is None else overlap(found, one)
            if not found:
                return ()
        return found or ()

    def _any_of(self, node: int, several: frozenset[int]) -> Sequence[Interval]:
        found = [unpacked(self._table.windows[number].get(node, NO_WINDOWS)) for number in several]
        return found[0] if len(found) == 1 else join(one for windows in found for one in windows)


def _entries_of(several: Collection[Mapping[int, PackedWindows]]) -> int:
    return sum(map(len, several))


NO_HOOK_WINDOWS: Final = HookWindows(ProbeTable(), HookFinder({}, {}))

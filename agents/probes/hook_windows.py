"""When each entry of a function had a hook that reports every call, on each node.

A hook counts for the one file whose build id its policy names, at the one path that it was set on: a copy of the file
under another path has no hook. It counts while the agent says that it is loaded, by the window of its policy. A symbol
counts for a file only where it names one entry there, because an agent sets the hook on one of several.

Nothing else is a hook that reports every call, so whoever asks gets too few hooks, never one too many.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from agents.coverage.interval import Interval, join, overlap
from agents.probes.policy_file import Hook, HookSection, TracingPolicy
from agents.probes.policy_seen import PolicySeen
from agents.probes.policy_tracker import PolicyWindow
from schemas.node import NodeId
from schemas.probes import PolicyState, SeenHookState

HOST_ROOT: Final = "/procRoot/1/root"
"""The host's files, as an agent in a container sees them."""


class FileEntries(Protocol):
    """Where the functions of one file begin, in the file's own addresses."""

    def entries(self, symbol: str) -> Collection[int]:
        """The addresses of all functions that have this name; empty where none has."""

    def address_of(self, file_offset: int) -> int | None:
        """The address of a place in the file; None where no code is there."""


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


def hooked_entries(seen: PolicySeen, policy: TracingPolicy, files: Mapping[str, FileEntries]) -> Iterator[HookedEntry]:
    """Entries whose every call is reported while the policy is seen like this. `files` are those known, by build id."""
    if seen.spec_digest != policy.digest or seen.state not in {PolicyState.ENABLED, PolicyState.PARTIALLY_ENABLED}:
        return
    if not _is_numbered_as_here(seen, policy):
        return
    for hook in policy.hooks:
        if hook.section is HookSection.UPROBES and hook.reports_every_call and _is_loaded(hook, seen):
            yield from _entries(hook, files)


def _is_numbered_as_here(seen: PolicySeen, policy: TracingPolicy) -> bool:
    """Whether the agent numbers uprobes as the file does: its places are those of the file's entries, and no others."""
    places = {
        place
        for one in seen.hooks
        if one.section == HookSection.UPROBES.value
        for place in (one.first, one.first + one.count - 1)
    }
    entries = sum(hook.section is HookSection.UPROBES for hook in policy.hooks)
    return all(0 <= place < entries for place in places)


def _is_loaded(hook: Hook, seen: PolicySeen) -> bool:
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


class HookWindows:
    """When entries had hooks, by node. What goes in may repeat, and come in any order."""

    def __init__(self) -> None:
        self._hooked: dict[NodeId, dict[HookedEntry, list[Interval]]] = {}
        self._told_ns: dict[NodeId, int] = {}

    def add(
        self, node: NodeId, window: PolicyWindow, policy: TracingPolicy | None, files: Mapping[str, FileEntries]
    ) -> None:
        """Take a window of a policy; one whose file nobody supplied says nothing."""
        self._told_ns[node] = max(window.to_ns, self._told_ns.get(node, window.to_ns))
        if policy is None or window.from_ns >= window.to_ns:
            return
        for entry in hooked_entries(window.policy, policy, files):
            found = self._hooked.setdefault(node, {}).setdefault(entry, [])
            found[:] = join([*found, Interval(window.from_ns, window.to_ns)])

    def __bool__(self) -> bool:
        """Whether any agent tells of its policies."""
        return bool(self._told_ns)

    def told_until(self, silence_ns: int) -> int:
        """Up to when all agents have told that are not behind the latest by more than a time; 0 where none has."""
        latest = max(self._told_ns.values(), default=0)
        return min((told for told in self._told_ns.values() if told >= latest - silence_ns), default=0)

    def hooked(self, node: NodeId, wanted: WantedEntries) -> list[Interval]:
        """When all entries had a hook at all paths, in order and without overlaps; never where none is known."""
        of_node = self._hooked.get(node, {})
        return _in_all(
            of_node.get(HookedEntry(wanted.build_id, path, address), ())
            for path in sorted(wanted.paths)
            for address in sorted(wanted.addresses)
        )

    def hooked_in_all(self, node: NodeId, wanted: Iterable[WantedEntries]) -> list[Interval]:
        """When the entries of all files had a hook; a watch of several files needs that."""
        return _in_all(self.hooked(node, one) for one in wanted)


def _in_all(several: Iterable[Iterable[Interval]]) -> list[Interval]:
    found: list[Interval] | None = None
    for one in several:
        found = list(one) if found is None else overlap(found, list(one))
        if not found:
            return []
    return found or []

"""Tracing policies of a fleet that lives, by seed: loaded, reloaded and taken away, and what agents told of them.

Each stream of a node's ingest asks every 30 s, by the real `PolicyTracker`. Only the questions around something that
happens are asked here: all others get the answer of the one before. Records go to `ProbeTable`, as in a worker.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from agents.coverage.interval import Interval
from agents.probes.hook_windows import FileEntries, HookFinder, HookWindows
from agents.probes.policy_file import Hook, HookSection, TracingPolicy
from agents.probes.policy_seen import PolicySeen
from agents.probes.policy_tracker import PolicyTracker
from agents.probes.probe_table import ProbeTable
from agents.probes.window_records import window_record
from schemas import probes
from schemas.node import NodeId
from schemas.probes import PolicyState, SeenHooks, SeenHookState
from tests.support.fleet_simulation import DAY, Fleet, NodeTruth

_SECOND: Final = 10**9
POLL: Final = 30 * _SECOND
_NEVER: Final = 1 << 62
RELOAD_DAYS: Final = 10.0


@dataclass
class HookTruth:
    """When each policy was loaded on a node, by its name."""

    loaded: dict[str, list[Interval]] = field(default_factory=dict)


class ListedEntries:
    """`FileEntries` of functions by name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._addresses = {name: [address] for address, name in enumerate(names)}

    def entries(self, symbol: str) -> list[int]:
        """The place in the list."""
        return self._addresses.get(symbol, [])

    def address_of(self, file_offset: int) -> int | None:
        """The same number."""
        return file_offset


def policy_of(name: str, build_id: str, path: str, symbols: Sequence[str]) -> TracingPolicy:
    """A policy with hooks on functions of one file."""
    hook = Hook(
        section=HookSection.UPROBES, index=0, path=path, symbols=tuple(symbols), build_ids=frozenset({build_id})
    )
    return TracingPolicy(name=name, namespace="", digest=f"digest-{name}", hooks=(hook,))


class FleetHooks:
    """The policies of all nodes, and what a worker knows. With `is_perfect` they are there from boot to halt."""

    def __init__(self, fleet: Fleet, policies: Sequence[TracingPolicy], seed: int, *, is_perfect: bool) -> None:
        self._rng = Random(seed)
        self._policies, self._is_perfect = policies, is_perfect
        self.table = ProbeTable()
        self.records = 0
        self.truth: dict[NodeId, HookTruth] = {}
        for node, truth in fleet.truth.items():
            self.truth[node] = self._history(truth)
            for number, watched in enumerate(truth.watched):
                self._ask(node, f"s{number}", watched)

    def windows(self, files: dict[str, FileEntries]) -> HookWindows:
        """As the worker reads them, with the policies' files."""
        return HookWindows(self.table, HookFinder({one.digest: one for one in self._policies}, files))

    def _history(self, truth: NodeTruth) -> HookTruth:
        """The agent loads all policies after each boot, and operators load them again now and then."""
        found = HookTruth()
        rng = self._rng
        for policy in self._policies:
            loaded = found.loaded.setdefault(policy.name, [])
            for ran in truth.ran:
                if self._is_perfect:
                    loaded.append(ran)
                    continue
                begin = ran.from_ns + rng.randrange(200 * _SECOND)
                while begin < ran.to_ns:
                    end = min(ran.to_ns, begin + int(rng.expovariate(1 / (RELOAD_DAYS * DAY)) * _SECOND) + 1)
                    loaded.append(Interval(begin, end))
                    begin = end + rng.choice((0, rng.randrange(5 * _SECOND), rng.randrange(DAY * _SECOND)))
        return found

    def _ask(self, node: NodeId, session: str, watched: Interval) -> None:
        """One stream: the questions around each change."""
        tracker = PolicyTracker(_NEVER)
        loaded = self.truth[node].loaded
        for at in self._moments(watched, loaded.values()):
            seen = [
                _seen(policy, number)
                for policy in self._policies
                for number, one in enumerate(loaded[policy.name])
                if one.from_ns <= at < one.to_ns or (self._is_perfect and at == watched.to_ns == one.to_ns)
            ]
            self._publish(tracker, node, session, at, seen)

    def _publish(self, tracker: PolicyTracker, node: NodeId, session: str, at: int, seen: Iterable[PolicySeen]) -> None:
        for window in tracker.answered(at, at, seen):
            record = window_record(window, node, session, "v1.8.0", str)
            self.records += 1
            self.table.take(probes.decode(probes.encode(record, 1)) if self._rng.random() < 0.01 else record)

    def _moments(self, watched: Interval, loaded: Iterable[Sequence[Interval]]) -> list[int]:
        """When the agent is asked: first and last, and on both sides of each change."""
        if self._is_perfect:
            return [watched.from_ns, watched.to_ns]
        first = watched.from_ns + self._rng.randrange(2 * _SECOND)
        found = {*_around(first, watched, watched.to_ns - 1), first}
        for several in loaded:
            for one in several:
                for change in one:
                    found |= set(_around(first, watched, change))
        return sorted(at for at in found if watched.from_ns <= at < watched.to_ns)


def calls_at_hooks(truth: NodeTruth, hooks: HookTruth, rng: Random, count: int) -> Iterator[tuple[int, bool]]:
    """Moments at which code ran on a node, near each change of a policy and by chance; and whether each had a hook."""
    loaded = hooks.loaded.values()
    edges = [edge + rng.randrange(-_SECOND, _SECOND) for several in loaded for one in several for edge in one]
    chances = (rng.choice(truth.ran) for _ in range(count if truth.ran else 0))
    for at in (*edges, *(rng.randrange(one.from_ns, one.to_ns) for one in chances)):
        if any(one.from_ns <= at < one.to_ns for one in truth.ran):
            yield at, all(any(one.from_ns <= at < one.to_ns for one in several) for several in loaded)


def _around(first: int, watched: Interval, moment: int) -> Iterator[int]:
    """The questions before and after a moment of the stream."""
    if watched.from_ns <= moment <= watched.to_ns:
        before = first + (moment - first) // POLL * POLL
        yield from (at for at in (before, before + POLL) if at >= first)


def _seen(policy: TracingPolicy, loading: int) -> PolicySeen:
    return PolicySeen(
        name=policy.name,
        policy_id=loading + 1,
        state=PolicyState.ENABLED,
        hooks=(SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),),
        spec_digest=policy.digest,
    )

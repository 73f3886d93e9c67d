"""When all entries of a watched function had a hook."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.coverage.interval import Interval
from agents.probes.hook_windows import HookedEntry, HookFinder, HookWindows, WantedEntries, hooked_entries
from agents.probes.policy_file import CallLimit, Hook, HookSection, TracingPolicy
from agents.probes.probe_table import NO_WINDOWS, ProbeTable, SeenAs, unpacked
from schemas.node import NodeId
from schemas.probes import AgentAnswer, PolicyState, ProbeWindow, SeenHooks, SeenHookState

BUILD_ID: Final = "ab" * 20
PATH: Final = "/usr/lib/libssl.so.3"
NODE: Final = NodeId("c", "n")
WHOLE = {CallLimit.OPTIONAL, CallLimit.BRIEF_RATE}
"""Limits of a hook that still tells of each function that was called."""
HOOK: Final = Hook(
    section=HookSection.UPROBES, index=0, path=PATH, symbols=("SSL_read",), build_ids=frozenset({BUILD_ID})
)
POLICY: Final = TracingPolicy(name="tls", namespace="", digest="d", hooks=(HOOK,))
LOADED: Final = SeenHooks("uprobes", 0, 1, SeenHookState.LOADED)
SEEN: Final = SeenAs("d", (LOADED,))
WINDOW: Final = ProbeWindow(
    node=NODE.name,
    cluster=NODE.cluster,
    from_ns=10,
    to_ns=20,
    policy="tls",
    state=PolicyState.ENABLED,
    hooks=(LOADED,),
    spec_digest="d",
)


@dataclass(frozen=True)
class Entries:
    """A file with functions at these addresses; its code lies 0x1000 behind its place in the file."""

    named: Mapping[str, Collection[int]] = field(default_factory=dict)

    def entries(self, symbol: str) -> Collection[int]:
        """Those of the name."""
        return self.named.get(symbol, ())

    def address_of(self, file_offset: int) -> int | None:
        """Code ends at 0x3000 of the file."""
        return file_offset + 0x1000 if file_offset < 0x3000 else None


FILES: Final = {BUILD_ID: Entries({"SSL_read": [0x2000], "SSL_write": [0x2100], "twice": [0x2200, 0x2300]})}
WANTED: Final = WantedEntries(BUILD_ID, frozenset({0x2000}), frozenset({PATH}))


def hook_windows(*windows: ProbeWindow, policies: Iterable[TracingPolicy] = (POLICY,)) -> HookWindows:
    """What records say, with these policies."""
    table = ProbeTable()
    for window in windows:
        table.take(window)
    return HookWindows(table, HookFinder({policy.digest: policy for policy in policies}, FILES))


def hooked(windows: HookWindows, wanted: WantedEntries, node: NodeId = NODE) -> list[Interval]:
    """When the entries had hooks on a node."""
    needed = windows.needed(wanted)
    if needed is None:
        return []
    return unpacked(windows.hooked_on(needed, windows.numbers.values()).get(windows.numbers.get(node, -1), NO_WINDOWS))


def entries(seen: SeenAs = SEEN, hook: Hook = HOOK) -> set[int]:
    """Addresses that the policy has hooks on, with this hook alone."""
    found = list(hooked_entries(seen, replace(POLICY, hooks=(hook,)), FILES))
    assert all(entry == HookedEntry(BUILD_ID, PATH, entry.address) for entry in found)
    return {entry.address for entry in found}


def test_a_loaded_hook_is_on_the_entries_of_its_symbols_and_offsets() -> None:
    """Offsets are places in the file."""
    assert entries() == {0x2000}
    assert entries(hook=replace(HOOK, symbols=("SSL_read", "SSL_write"), offsets=(0x1300,))) == {0x2000, 0x2100, 0x2300}
    assert entries(hook=replace(HOOK, path=f"/procRoot/1/root{HOOK.path}")) == {0x2000}


@pytest.mark.parametrize(
    "hook",
    [
        replace(HOOK, build_ids=frozenset()),
        replace(HOOK, build_ids=frozenset({BUILD_ID, "cd" * 20})),
        replace(HOOK, has_other_digests=True),
        replace(HOOK, build_ids=frozenset({"cd" * 20})),
        replace(HOOK, path=""),
        replace(HOOK, symbols=("twice",)),
        replace(HOOK, symbols=("nothing",)),
        replace(HOOK, symbols=(), offsets=(0x3000,)),
        replace(HOOK, symbols=(), addresses=(0x2000,)),
        replace(HOOK, section=HookSection.USDTS),
        *(replace(HOOK, limits=frozenset({limit})) for limit in CallLimit if limit not in WHOLE),
    ],
)
def test_what_may_be_on_other_code_or_leave_calls_out_is_no_hook(hook: Hook) -> None:
    """Another file, another function, some calls only, or a place that nobody can tell."""
    assert entries(hook=hook) == set()


@pytest.mark.parametrize(
    "seen",
    [
        *((replace(LOADED, state=state),) for state in SeenHookState if state != LOADED.state),
        (),
        (LOADED, replace(LOADED, state=SeenHookState.DIGEST_REJECTED)),
        (replace(LOADED, first=1),),
        (replace(LOADED, count=2),),
        (replace(LOADED, section="kprobes"),),
    ],
)
def test_what_the_agent_does_not_call_loaded_is_no_hook(seen: tuple[SeenHooks, ...]) -> None:
    """A state that an old agent does not give is none."""
    assert entries(SeenAs("d", seen)) == set()


def test_a_hook_that_may_be_left_out_counts_where_it_is_loaded() -> None:
    """The agent says of each hook whether it is."""
    assert entries(hook=replace(HOOK, limits=frozenset({CallLimit.OPTIONAL}))) == {0x2000}


def test_a_function_is_hooked_while_all_its_entries_are() -> None:
    """At all paths of its file; two policies may share the work, and windows that touch are one."""
    other = replace(POLICY, digest="e", hooks=(replace(HOOK, symbols=("SSL_write",)),))
    both = WantedEntries(BUILD_ID, frozenset({0x2000, 0x2100}), frozenset({PATH}))
    told = [("d", 10, 50), ("d", 50, 90), ("e", 20, 60), ("e", 70, 200), ("d", 95, 95), ("unknown", 0, 1000)]
    windows = hook_windows(
        *(replace(WINDOW, spec_digest=digest, from_ns=begin, to_ns=end) for digest, begin, end in told),
        policies=[POLICY, other],
    )

    assert hooked(windows, WANTED) == [Interval(10, 90)]
    assert hooked(windows, both) == [Interval(20, 60), Interval(70, 90)]
    assert hooked(windows, replace(WANTED, paths=frozenset({PATH, "/elsewhere"}))) == []
    assert hooked(windows, replace(WANTED, paths=frozenset())) == []
    assert hooked(windows, replace(WANTED, addresses=frozenset())) == []
    assert hooked(windows, WANTED, NodeId("c", "other")) == []


@pytest.mark.parametrize(
    "window",
    [
        *(replace(WINDOW, state=state) for state in PolicyState if "Enabled" not in state.value),
        replace(WINDOW, spec_digest=None),
        replace(WINDOW, spec_digest="e"),
        replace(WINDOW, namespace="shop"),
        replace(WINDOW, policy="", answer=AgentAnswer.ANSWERED),
        replace(WINDOW, to_ns=WINDOW.from_ns),
    ],
)
def test_a_policy_that_is_not_loaded_everywhere_as_its_file_says_hooks_nothing(window: ProbeWindow) -> None:
    """Nor does the agent's own window, which only tells that it was asked."""
    assert hooked(hook_windows(window), WANTED) == []
    assert hook_windows(window).told_until(0, [NODE]) == window.to_ns


def test_a_policy_that_is_loaded_in_part_hooks_what_the_agent_calls_loaded() -> None:
    """Others of its hooks may be missing."""
    assert hooked(hook_windows(replace(WINDOW, state=PolicyState.PARTIALLY_ENABLED)), WANTED) == [Interval(10, 20)]


def test_an_agent_that_tells_no_more_does_not_hold_the_others_up() -> None:
    """A policy that nobody supplied a file for tells as well that the agent was asked."""
    assert not hook_windows()
    assert hook_windows().told_until(10, [NODE]) == 0
    told = [replace(WINDOW, node=name, to_ns=end) for name, end in (("a", 100), ("b", 95), ("gone", 80))]
    windows = hook_windows(*told, policies=[])

    assert windows
    nodes = [NodeId(NODE.cluster, name) for name in ("a", "b", "gone", "other")]
    assert (windows.told_until(10, nodes), windows.told_until(20, nodes)) == (95, 80)
    assert windows.told_until(20, nodes[:2]) == 95


BOTH: Final = ("SSL_read", "SSL_write")
_TIMES = st.integers(min_value=0, max_value=12)


@given(st.lists(st.tuples(st.sampled_from(BOTH), _TIMES, _TIMES), max_size=8), st.randoms())
def test_each_moment_is_hooked_if_each_entry_has_a_hook_then(
    loaded: list[tuple[str, int, int]], random: Random
) -> None:
    """Against a look at each moment, in any order of the windows."""
    shuffled = list(loaded)
    random.shuffle(shuffled)
    windows = hook_windows(
        *(replace(WINDOW, spec_digest=symbol, from_ns=begin, to_ns=end) for symbol, begin, end in shuffled),
        policies=[replace(POLICY, digest=one, hooks=(replace(HOOK, symbols=(one,)),)) for one in BOTH],
    )
    found = hooked(windows, WantedEntries(BUILD_ID, frozenset({0x2000, 0x2100}), frozenset({PATH})))

    def is_hooked(at: int) -> bool:
        return all(any(symbol == name and begin <= at < end for symbol, begin, end in loaded) for name in BOTH)

    assert [at for at in range(13) if any(one.from_ns <= at < one.to_ns for one in found)] == [
        at for at in range(13) if is_hooked(at)
    ]

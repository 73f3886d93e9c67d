"""When all entries of a watched function had a hook."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.coverage.interval import Interval
from agents.probes.hook_windows import HookedEntry, HookWindows, WantedEntries, hooked_entries
from agents.probes.policy_file import CallLimit, Hook, HookSection, TracingPolicy
from agents.probes.policy_seen import PolicySeen
from agents.probes.policy_tracker import PolicyWindow
from schemas.node import NodeId
from schemas.probes import PolicyState, SeenHooks, SeenHookState

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
SEEN: Final = PolicySeen(name="tls", policy_id=1, state=PolicyState.ENABLED, hooks=(LOADED,), spec_digest="d")


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


def entries(seen: PolicySeen = SEEN, hook: Hook = HOOK) -> set[int]:
    """Addresses that the policy has hooks on, with this hook alone."""
    found = list(hooked_entries(seen, replace(POLICY, hooks=(hook,)), FILES))
    assert all(entry == HookedEntry(BUILD_ID, PATH, entry.address) for entry in found)
    return {entry.address for entry in found}


def test_a_loaded_hook_is_on_the_entries_of_its_symbols_and_offsets() -> None:
    """Offsets are places in the file."""
    assert entries() == {0x2000}
    assert entries(hook=replace(HOOK, symbols=("SSL_read", "SSL_write"), offsets=(0x1300,))) == {0x2000, 0x2100, 0x2300}
    assert entries(replace(SEEN, state=PolicyState.PARTIALLY_ENABLED)) == {0x2000}
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
        *(replace(SEEN, hooks=(replace(LOADED, state=state),)) for state in SeenHookState if state != LOADED.state),
        replace(SEEN, hooks=()),
        replace(SEEN, hooks=(LOADED, replace(LOADED, state=SeenHookState.DIGEST_REJECTED))),
        replace(SEEN, hooks=(replace(LOADED, first=1),)),
        replace(SEEN, hooks=(replace(LOADED, count=2),)),
        replace(SEEN, hooks=(replace(LOADED, section="kprobes"),)),
        replace(SEEN, spec_digest=None),
        replace(SEEN, spec_digest="e"),
        *(
            replace(SEEN, state=state)
            for state in PolicyState
            if state not in {PolicyState.ENABLED, PolicyState.PARTIALLY_ENABLED}
        ),
    ],
)
def test_what_the_agent_does_not_call_loaded_is_no_hook(seen: PolicySeen) -> None:
    """A state that an old agent does not give is none, and so is that of a policy whose file is another one."""
    assert entries(seen) == set()


def test_a_hook_that_may_be_left_out_counts_where_it_is_loaded() -> None:
    """The agent says of each hook whether it is."""
    assert entries(hook=replace(HOOK, limits=frozenset({CallLimit.OPTIONAL}))) == {0x2000}


def test_a_function_is_hooked_while_all_its_entries_are() -> None:
    """At all paths of its file; two policies may share the work, and windows that touch are one."""
    windows = HookWindows()
    other = replace(HOOK, symbols=("SSL_write",))
    first, second = replace(POLICY, hooks=(HOOK,)), replace(POLICY, hooks=(other,))
    both = WantedEntries(BUILD_ID, frozenset({0x2000, 0x2100}), frozenset({PATH}))
    for policy, begin, end in [(first, 10, 50), (first, 50, 90), (second, 20, 60), (second, 70, 200)]:
        windows.add(NODE, PolicyWindow(SEEN, begin, end), policy, FILES)
    windows.add(NODE, PolicyWindow(SEEN, 95, 95), first, FILES)
    windows.add(NODE, PolicyWindow(SEEN, 0, 1000), None, FILES)

    assert windows.hooked(NODE, WANTED) == [Interval(10, 90)]
    assert windows.hooked(NODE, both) == [Interval(20, 60), Interval(70, 90)]
    assert windows.hooked_in_all(NODE, [WANTED, both]) == [Interval(20, 60), Interval(70, 90)]
    assert windows.hooked(NODE, replace(WANTED, paths=frozenset({PATH, "/elsewhere"}))) == []
    assert windows.hooked(NODE, replace(WANTED, paths=frozenset())) == []
    assert windows.hooked(NODE, replace(WANTED, addresses=frozenset())) == []
    assert windows.hooked(NodeId("c", "other"), WANTED) == []
    assert windows.hooked_in_all(NODE, []) == []


def test_an_agent_that_tells_no_more_does_not_hold_the_others_up() -> None:
    """A policy that nobody supplied a file for tells as well that the agent was asked."""
    windows = HookWindows()
    assert not windows
    assert windows.told_until(10) == 0
    for name, told in (("a", 100), ("b", 95), ("gone", 80)):
        windows.add(NodeId("c", name), PolicyWindow(SEEN, 0, told), None, FILES)

    assert windows
    assert (windows.told_until(10), windows.told_until(20)) == (95, 80)


_TIMES = st.integers(min_value=0, max_value=12)


@given(st.lists(st.tuples(st.sampled_from(["SSL_read", "SSL_write"]), _TIMES, _TIMES), max_size=8), st.randoms())
def test_each_moment_is_hooked_if_each_entry_has_a_hook_then(
    loaded: list[tuple[str, int, int]], random: Random
) -> None:
    """Against a look at each moment, in any order of the windows."""
    shuffled = list(loaded)
    random.shuffle(shuffled)
    windows = HookWindows()
    for symbol, begin, end in shuffled:
        policy = replace(POLICY, hooks=(replace(HOOK, symbols=(symbol,)),))
        windows.add(NODE, PolicyWindow(SEEN, begin, end), policy, FILES)
    found = windows.hooked(NODE, WantedEntries(BUILD_ID, frozenset({0x2000, 0x2100}), frozenset({PATH})))

    def is_hooked(at: int) -> bool:
        return all(
            any(symbol == name and begin <= at < end for symbol, begin, end in loaded)
            for name in ("SSL_read", "SSL_write")
        )

    assert [at for at in range(13) if any(one.from_ns <= at < one.to_ns for one in found)] == [
        at for at in range(13) if is_hooked(at)
    ]

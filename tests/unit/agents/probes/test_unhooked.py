"""On which nodes no hook was at some time, against a look at each moment of each node."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from agents.coverage.interval import Interval, join
from agents.probes.hook_windows import HookFinder, HookWindows, WantedEntries
from agents.probes.policy_file import Hook, HookSection, TracingPolicy
from agents.probes.policy_seen import PolicySeen
from agents.probes.policy_tracker import PolicyTracker
from agents.probes.probe_table import ProbeTable
from agents.probes.unhooked import ALL_HOOKED, OwedNodes, Unhooked, UnhookedNodes
from agents.probes.window_records import window_record
from schemas.node import NodeId
from schemas.probes import PolicyState, SeenHooks, SeenHookState
from tests.unit.agents.probes.test_hook_windows import BUILD_ID, FILES, PATH, hooked

NODES: Final = (NodeId("c", "a"), NodeId("c", "b"))
WANTED: Final = WantedEntries(BUILD_ID, frozenset({0x2000, 0x2100}), frozenset({PATH}))
POLICIES: Final = {
    symbol: TracingPolicy(
        name=symbol,
        namespace="",
        digest=symbol,
        hooks=(
            Hook(section=HookSection.UPROBES, index=0, path=PATH, symbols=(symbol,), build_ids=frozenset({BUILD_ID})),
        ),
    )
    for symbol in ("SSL_read", "SSL_write")
}
END: Final = 40
"""Moments of the small world; the agent is asked every third one."""
EVERY: Final = 3

_LOADINGS = st.lists(
    st.tuples(st.sampled_from(NODES), st.sampled_from([*POLICIES]), st.integers(0, END), st.integers(0, END))
)
_OWED = st.dictionaries(
    st.sampled_from(NODES), st.lists(st.tuples(st.integers(0, END), st.integers(0, END)), max_size=3)
)


def seen(symbol: str, loading: int) -> PolicySeen:
    """A policy, as an agent tells of it in its n-th loading."""
    hooks = (SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),)
    return PolicySeen(name=symbol, policy_id=loading, state=PolicyState.ENABLED, hooks=hooks, spec_digest=symbol)


def told_by(loaded: Iterable[tuple[NodeId, str, int, int]]) -> HookWindows:
    """What answers now and then say of policies that were loaded on nodes from one moment to another."""
    table = ProbeTable()
    loaded = list(loaded)
    for node in NODES:
        tracker = PolicyTracker(10 * EVERY)
        for at in range(0, END, EVERY):
            here = {
                symbol: number
                for number, (of, symbol, first, behind) in enumerate(loaded)
                if of == node and first <= at < behind
            }
            for window in tracker.answered(at, at, [seen(*one) for one in here.items()]):
                table.take(window_record(window, node, "s", "", str))
    return HookWindows(table, HookFinder(POLICIES, FILES))


def unhooked(hooks: HookWindows, owed: dict[NodeId, list[Interval]], wanted: WantedEntries = WANTED) -> UnhookedNodes:
    """What is asked for each watch."""
    return UnhookedNodes(OwedNodes(owed, hooks), hooks.needed(wanted))


def test_a_watch_whose_code_has_no_hook_anywhere_is_never_hooked() -> None:
    """Nobody knows then what a hook would have to be on; an example is the node without it last, by name."""
    owed = {
        NODES[1]: [Interval(2, 5)],
        NODES[0]: [Interval(0, 3), Interval(4, 5)],
        NodeId("c", "gone"): [Interval(0, 1)],
    }
    found = unhooked(HookWindows(ProbeTable(), HookFinder({}, {})), owed)

    assert found.since(0) == Unhooked(3, NODES[0])
    assert found.since(1) == found.since(4) == Unhooked(2, NODES[0])
    assert found.since(5) == ALL_HOOKED


@given(_LOADINGS, _OWED, st.integers(0, END))
def test_no_moment_without_a_hook_is_taken_for_hooked(
    loadings: list[tuple[NodeId, str, int, int]], owed_by: dict[NodeId, list[tuple[int, int]]], since: int
) -> None:
    """The truth is which policies were loaded at each moment; what is known of it comes from answers now and then."""
    owed = {node: join([Interval(*one) for one in several if one[0] < one[1]]) for node, several in owed_by.items()}
    owed = {node: several for node, several in owed.items() if several}
    hooks = told_by(loadings)
    found = unhooked(hooks, owed).since(since)

    def is_hooked(node: NodeId, at: int) -> bool:
        return all(any(n == node and s == symbol and b <= at < e for n, s, b, e in loadings) for symbol in POLICIES)

    def is_told(node: NodeId, at: int) -> bool:
        return any(one.from_ns <= at < one.to_ns for one in hooked(hooks, WANTED, node))

    moments = {
        node: [at for one in several for at in range(max(one.from_ns, since), one.to_ns)]
        for node, several in owed.items()
    }
    truly = {node for node, several in moments.items() if not all(is_hooked(node, at) for at in several)}
    by_word = {node for node, several in moments.items() if not all(is_told(node, at) for at in several)}
    assert found.nodes == len(by_word)
    assert truly <= by_word
    assert found.example in by_word if by_word else found == ALL_HOOKED


def test_hooks_that_were_there_all_the_time_leave_nothing_open() -> None:
    """From the first answer to the last."""
    hooks = told_by((NODES[0], symbol, 0, END) for symbol in POLICIES)

    assert unhooked(hooks, {NODES[0]: [Interval(0, 39)]}).since(0) == ALL_HOOKED
    assert unhooked(hooks, {NODES[0]: [Interval(5, 39)]}).since(-1) == ALL_HOOKED
    assert unhooked(hooks, {NODES[0]: [Interval(0, END)]}).since(0) == Unhooked(1, NODES[0])
    other = replace(WANTED, build_id="cd" * 20)
    assert unhooked(hooks, {NODES[0]: [Interval(0, 39)]}, other).since(0) == Unhooked(1, NODES[0])

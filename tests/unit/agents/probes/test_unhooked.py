"""Where no hook was, against a look at each moment of each node."""

from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from agents.coverage.interval import Interval, join
from agents.probes.hook_windows import HookWindows, WantedEntries
from agents.probes.policy_file import Hook, HookSection, TracingPolicy
from agents.probes.policy_seen import PolicySeen
from agents.probes.policy_tracker import PolicyTracker
from agents.probes.unhooked import Unhooked, unhooked
from schemas.node import NodeId
from schemas.probes import PolicyState, SeenHooks, SeenHookState
from tests.unit.agents.probes.test_hook_windows import BUILD_ID, FILES, PATH

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


def test_a_watch_without_code_is_never_hooked() -> None:
    """Nobody knows then what a hook would have to be on."""
    found = list(unhooked(HookWindows(), [], {NODES[0]: [Interval(2, 5), Interval(5, 5)]}, Interval(0, 4)))

    assert found == [Unhooked(2, 4, NODES[0])]


@given(_LOADINGS, _OWED, st.integers(0, END), st.integers(0, END))
def test_no_moment_without_a_hook_is_taken_for_hooked(
    loadings: list[tuple[NodeId, str, int, int]], owed_by: dict[NodeId, list[tuple[int, int]]], begin: int, end: int
) -> None:
    """The truth is which policies were loaded at each moment; what is known of it comes from answers now and then.

    Whoever has hooks all the time is hooked from his first answer to his last.
    """
    hooks = HookWindows()
    for node in NODES:
        tracker = PolicyTracker(10 * EVERY)
        for at in range(0, END, EVERY):
            loaded = {
                symbol: number
                for number, (of, symbol, first, behind) in enumerate(loadings)
                if of == node and first <= at < behind
            }
            for window in tracker.answered(at, at, [seen(*one) for one in loaded.items()]):
                hooks.add(node, window, POLICIES[window.policy.name], FILES)
    owed = {node: join([Interval(*one) for one in several if one[0] < one[1]]) for node, several in owed_by.items()}
    missing = list(unhooked(hooks, [WANTED], owed, Interval(begin, end)))

    def is_hooked(node: NodeId, at: int) -> bool:
        return all(any(n == node and s == symbol and b <= at < e for n, s, b, e in loadings) for symbol in POLICIES)

    for node, stretches in owed.items():
        for at in range(begin, end):
            if any(one.from_ns <= at < one.to_ns for one in stretches) and not is_hooked(node, at):
                assert any(one.node == node and one.from_ns <= at < one.to_ns for one in missing)
    for one in missing:
        assert begin <= one.from_ns < one.to_ns <= end


def test_hooks_that_were_there_all_the_time_leave_nothing_open() -> None:
    """From the first answer to the last."""
    hooks = HookWindows()
    tracker = PolicyTracker(10)
    for at in range(0, END, EVERY):
        for window in tracker.answered(at, at, [seen("SSL_read", 1), seen("SSL_write", 2)]):
            hooks.add(NODES[0], window, POLICIES[window.policy.name], FILES)
    owed = {NODES[0]: [Interval(0, END)]}

    assert list(unhooked(hooks, [WANTED], owed, Interval(0, 39))) == []
    assert list(unhooked(hooks, [WANTED], owed, Interval(0, END))) == [Unhooked(39, 40, NODES[0])]
    other = replace(WANTED, build_id="cd" * 20)
    assert list(unhooked(hooks, [WANTED, other], owed, Interval(0, 39))) == [Unhooked(0, 39, NODES[0])]

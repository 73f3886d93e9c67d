"""Whether a watch may say "never": by what agents told of hooks on each entry of the function."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.vouching import VouchedInterval
from agents.hot_symbols.identity import SymbolIdentity, symbol_id
from agents.hot_symbols.watch.file_places import FilePlaces
from agents.hot_symbols.watch.known_hooks import KnownHooks
from agents.probes.hook_windows import HookFinder, HookWindows
from agents.probes.policy_file import MAX_BRIEF_S, CallLimit, Hook, HookSection, TracingPolicy
from agents.probes.probe_table import ProbeTable
from schemas.node import NodeId
from schemas.probes import AgentAnswer, PolicyState, ProbeWindow, SeenHooks, SeenHookState
from tests.support.library_board import (
    BUILD,
    DAY,
    LIB,
    NAMES,
    NOT_PROBED,
    SECOND,
    asked,
    board,
    value,
)

ON_NODES = FilePlaces(frozenset({LIB}))


def told(begin: int, end: int, **others: Any) -> ProbeWindow:
    """What the agent of the node told from one day to another."""
    return ProbeWindow(node="n", cluster="east", from_ns=begin * DAY, to_ns=end * DAY, **others)


@dataclass(frozen=True)
class Entries:
    """The file of the watches, whose code lies in it as at its addresses."""

    def entries(self, symbol: str) -> list[int]:
        """Where functions of the name begin."""
        return [code.address for code in NAMES.codes(symbol)]

    def address_of(self, file_offset: int) -> int | None:
        """The same number."""
        return file_offset


def hooks(
    *loaded: tuple[str, int, int],
    places: FilePlaces = ON_NODES,
    tells: tuple[ProbeWindow, ...] = (),
    limits: frozenset[CallLimit] = frozenset(),
) -> KnownHooks:
    """Hooks on a symbol from one day to another, as the agent of the node tells."""
    table = ProbeTable()
    policies = {}
    for symbol, begin, end in loaded:
        hook = Hook(
            section=HookSection.UPROBES,
            index=0,
            path=LIB,
            symbols=(symbol,),
            build_ids=frozenset({BUILD}),
            limits=limits,
        )
        policies[symbol] = TracingPolicy(name=symbol, namespace="", digest=symbol, hooks=(hook,))
        states = (SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),)
        window = told(begin, end, policy=symbol, state=PolicyState.ENABLED, hooks=states, spec_digest=symbol)
        table.take(window)
    for one in tells:
        table.take(one)
    return KnownHooks(HookWindows(table, HookFinder(policies, {BUILD: Entries()})), {BUILD: places})


ALL_THE_TIME = (("inflate", 1, 16), ("inflate.part.0", 1, 16))


@pytest.mark.parametrize(
    ("known", "answer", "reason"),
    [
        (hooks(*ALL_THE_TIME), "NeverHit", "HooksLoaded"),
        (hooks(("inflate", 1, 5), ("inflate", 5, 16), ("inflate.part.0", 0, 20)), "NeverHit", "HooksLoaded"),
        (hooks(("inflate", 1, 5), ("inflate", 6, 16), ("inflate.part.0", 0, 20)), "NotSeen", "Unhooked"),
        (hooks(("inflate", 2, 16), ("inflate.part.0", 1, 16)), "NotSeen", "Unhooked"),
        (hooks(("inflate", 1, 16), ("deflate", 1, 16)), "NotSeen", "Unhooked"),
        (hooks(*ALL_THE_TIME, places=FilePlaces(frozenset({LIB, "/opt/libz.so.1"}))), "NotSeen", "Unhooked"),
        (hooks(*ALL_THE_TIME, places=FilePlaces(frozenset({LIB}), is_in_images=True)), "NotSeen", "NotHooked"),
        (hooks(*ALL_THE_TIME, places=FilePlaces()), "NotSeen", "NotHooked"),
        (hooks(), "NotSeen", "NotHooked"),
    ],
)
def test_never_needs_a_hook_on_each_entry_all_the_time(known: KnownHooks, answer: str, reason: str) -> None:
    """By the word of the agents, where the author of the watch says nothing."""
    made = board(NOT_PROBED)
    made.cover({NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=known)
    found = asked(made, NOT_PROBED)

    assert (found["answer"], found["reasons"][0]["reason"]) == (answer, reason)


def test_an_answer_ends_where_agents_have_told_last() -> None:
    """What they had later they will tell; a node whose agent was never asked has no hooks."""
    made = board(NOT_PROBED)
    known = hooks(("inflate", 1, 12), ("inflate.part.0", 1, 12))
    nodes = {NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}
    made.cover(nodes, hooks=known)
    found = asked(made, NOT_PROBED)
    assert (found["answer"], found["complete_until_ns"]) == ("NeverHit", 12 * DAY)

    made.cover(nodes | {NodeId("east", "m"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=known)
    found = asked(made, NOT_PROBED)
    assert (found["answer"], found["reasons"][0]["about"]) == ("NotSeen", ["east/m"])


@pytest.mark.parametrize(
    ("tells", "words"),
    [
        ((), "nobody asked the agent of east/n for"),
        ((told(1, 16, answer=AgentAnswer.UNIMPLEMENTED, agent_version="v1.3.0"),), "east/n (v1.3.0) is too old to"),
        ((told(1, 16, answer=AgentAnswer.REFUSED),), "the agent of east/n refuses to tell"),
        ((told(1, 16, agent_version="v1.6.1"),), "east/n (v1.6.1) told of no hook; one before 1.8 cannot"),
        ((told(1, 16, policy="p", hooks=(SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),)),), "did not tell all the"),
    ],
)
def test_the_reason_says_what_the_agent_answers(tells: tuple[ProbeWindow, ...], words: str) -> None:
    """One that is too old is not one that refuses, and neither is one that nobody asked."""
    other = replace(told(1, 16), node="other")
    made = board(NOT_PROBED)
    made.cover(
        {NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=hooks(tells=(other, *tells))
    )
    [reason] = asked(made, NOT_PROBED)["reasons"]

    assert reason["reason"] == "Unhooked"
    assert words in reason["words"]


@pytest.mark.parametrize(
    ("others", "reason"),
    [({}, "HooksLoaded"), ({"module": "/opt/libz.so.1"}, "Unhooked"), ({"image": "i"}, "NotHooked")],
)
def test_a_file_that_ran_where_no_hook_can_be_is_not_hooked(others: dict[str, str], reason: str) -> None:
    """Rows of its other functions tell where it ran: under another path, or in an image."""
    made = board(NOT_PROBED)
    made.cover({NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")])}, hooks=hooks(*ALL_THE_TIME))
    row = symbol_id(SymbolIdentity(BUILD, None, "deflate"))
    made.take(row.encode(), value(row, 3, module=others.get("module", LIB), image=others.get("image")))

    assert asked(made, NOT_PROBED)["reasons"][0]["reason"] == reason


@pytest.mark.parametrize(("ended_before_s", "answer"), [(MAX_BRIEF_S - 1, "NotSeen"), (MAX_BRIEF_S + 1, "NeverHit")])
def test_a_gap_just_before_the_beginning_may_hold_the_event_that_hides_a_call(ended_before_s: int, answer: str) -> None:
    """A probe that posts once a minute posts nothing for a second call, whether or not the first event was lost."""
    until = DAY - ended_before_s * SECOND
    gap = GapInterval(until - SECOND, until, "Reconnect")
    nodes = {NodeId("east", "n"): NodeCoverage([VouchedInterval(0, 15 * DAY, "s")], [gap])}
    for limits, expected in ((frozenset({CallLimit.BRIEF_RATE}), answer), (frozenset[CallLimit](), "NeverHit")):
        made = board(NOT_PROBED)
        made.cover(nodes, hooks=hooks(("inflate", 0, 16), ("inflate.part.0", 0, 16), limits=limits))
        found = asked(made, NOT_PROBED)

        assert found["answer"] == expected
        assert ("its probes post one event" in found["reasons"][0]["words"]) is (expected == "NotSeen")

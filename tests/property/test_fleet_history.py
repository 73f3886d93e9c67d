"""Fleets that live, by a fresh seed: nothing that ran unseen is "never", and the share that is missing is right."""

from collections.abc import Callable
from random import Random

import pytest

from agents.coverage.completeness import SILENCE_NS, FleetAccount, known_until
from agents.coverage.interval import Interval
from agents.probes.hook_windows import WantedEntries
from agents.probes.unhooked import OwedNodes, UnhookedNodes
from tests.support.fleet_hooks import FleetHooks, ListedEntries, calls_at_hooks, policy_of
from tests.support.fleet_simulation import DAY, START_NS, Fleet, FleetPlan, missing_by_truth, ns, unseen_moments

NODES = 40
FLEETS = 4
"""In `make test`; ten times as many in `make prove`."""


@pytest.mark.proof
@pytest.mark.slow(reason="histories of fleets over weeks")
@pytest.mark.parametrize("has_authority", [True, False])
def test_no_call_that_nobody_saw_is_in_a_complete_time(
    seed: int, size: int, has_authority: bool, record_property: Callable[[str, object], None]
) -> None:
    """Calls in gaps, before the first heartbeat, after a farewell, on nodes without ingest: none in complete time."""
    rng = Random(f"{seed}-{has_authority}")
    planted = 0
    for _ in range(FLEETS * size):
        plan = FleetPlan(NODES, 30, has_authority=has_authority)
        fleet = Fleet(plan, rng.randrange(1 << 60))
        coverage = fleet.covered()
        account = FleetAccount(coverage.nodes(), ns(fleet.end_s), of_all=coverage.of_all())
        for node, truth in fleet.truth.items():
            for at in unseen_moments(truth, rng, 60):
                if at >= account.until_ns or (not has_authority and not truth.watched):
                    continue  # nobody can know of a node that never reported, and the answer says so
                planted += 1
                found = account.since(max(START_NS, at - rng.randrange(DAY) * 10**9))
                if found.until_ns:
                    assert found.gaps, f"{node} at {at}: {truth}"
        for day in (0, 1, 7, 20):
            window = Interval(ns(day * DAY), account.until_ns)
            sums = [missing_by_truth(truth, window) for truth in fleet.truth.values()]
            owed, missing = sum(one for one, _ in sums), sum(one for _, one in sums)
            share = account.since(window.from_ns).share
            told = share.missing_ms / (share.watched_ms + share.missing_ms)
            assert told == pytest.approx(missing / owed, abs=1e-6), f"since day {day}"
            assert account.since(window.from_ns).is_every_node_known is has_authority
    assert planted > FLEETS
    record_property("unseen calls", planted)


def test_a_fleet_that_lost_nothing_has_nothing_missing_however_its_nodes_come_and_go(seed: int) -> None:
    """Upgrades, reboots and a week of life: every beginning is complete up to the end."""
    fleet = Fleet(FleetPlan(NODES, 30, is_perfect=True), seed)
    account = FleetAccount(fleet.covered().nodes(), ns(fleet.end_s))
    assert len(fleet.truth) > 2 * NODES
    for day in range(30):
        found = account.since(ns(day * DAY))
        assert (found.until_ns, found.gaps, found.share.missing_ms) == (ns(fleet.end_s), (), 0)
        assert found.complete_ns == (fleet.end_s - day * DAY) * 10**9


FILE, PATH, FUNCTIONS = "ab" * 20, "/usr/lib/libz.so.1", ("inflate", "inflate_fast")
POLICIES = [policy_of("one", FILE, PATH, FUNCTIONS[:1]), policy_of("two", FILE, PATH, FUNCTIONS[1:])]
WANTED = WantedEntries(FILE, frozenset({0, 1}), frozenset({PATH}))


@pytest.mark.proof
@pytest.mark.slow(reason="histories of fleets over weeks")
@pytest.mark.parametrize("is_complete", [True, False])
def test_no_call_without_a_hook_is_in_a_time_that_was_hooked(
    seed: int, size: int, is_complete: bool, record_property: Callable[[str, object], None]
) -> None:
    """Policies loaded late, reloaded within and between questions, and away for hours: whatever coverage says.

    Of each node alone too, so that one that was never reloaded has an answer that could be wrong.
    """
    rng = Random(f"{seed}-{is_complete}")
    planted = firm = 0
    for _ in range(FLEETS * size):
        fleet = Fleet(FleetPlan(NODES // 2, 30, is_perfect=is_complete), rng.randrange(1 << 60))
        coverage = fleet.covered().nodes()
        hooks = FleetHooks(fleet, POLICIES, rng.randrange(1 << 60), is_perfect=False)
        windows = hooks.windows({FILE: ListedEntries(FUNCTIONS)})
        until_ns = min(known_until(coverage, ns(fleet.end_s)), windows.told_until(SILENCE_NS, coverage))
        account = FleetAccount(coverage, ns(fleet.end_s), until_ns=until_ns)
        owed = account.owed
        needed = windows.needed(WANTED)
        of_all = UnhookedNodes(OwedNodes(owed, windows), needed)
        for node, truth in fleet.truth.items():
            of_node = UnhookedNodes(OwedNodes({node: owed[node]} if node in owed else {}, windows), needed)
            for at, is_hooked in calls_at_hooks(truth, hooks.truth[node], rng, 20):
                is_owed = any(one.from_ns <= at < one.to_ns for one in owed.get(node, ()))
                if not is_owed or not ns(0) <= at < until_ns:
                    continue
                firm += not of_node.since(at).nodes
                if is_hooked:
                    continue
                planted += 1
                assert of_node.since(at).nodes == 1, f"{node} at {at}"
                assert of_all.since(at - rng.randrange(DAY) * 10**9).nodes
    assert planted > FLEETS
    assert firm > FLEETS
    record_property("calls without a hook", planted)
    record_property("moments from which a node had hooks up to the end", firm)


def test_hooks_that_are_loaded_from_boot_to_halt_leave_nothing_open(seed: int) -> None:
    """A fleet that lost nothing is hooked all the time, however its nodes come and go."""
    fleet = Fleet(FleetPlan(NODES, 30, is_perfect=True), seed)
    windows = FleetHooks(fleet, POLICIES, seed, is_perfect=True).windows({FILE: ListedEntries(FUNCTIONS)})
    account = FleetAccount(fleet.covered().nodes(), ns(fleet.end_s))
    owed = account.owed
    owing = [node for node, stretches in owed.items() if stretches[-1].to_ns >= account.until_ns]
    assert windows.told_until(SILENCE_NS, owing) >= account.until_ns
    found = UnhookedNodes(OwedNodes(owed, windows), windows.needed(WANTED))
    for day in range(30):
        assert found.since(ns(day * DAY)).nodes == 0

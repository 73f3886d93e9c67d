"""Fleets that live, by a fresh seed: nothing that ran unseen is "never", and the share that is missing is right."""

from collections.abc import Callable
from random import Random

import pytest

from agents.coverage.completeness import FleetAccount
from agents.coverage.interval import Interval
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
            share = account.since(window.from_ns).all_nodes
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
        assert (found.until_ns, found.gaps, found.all_nodes.missing_ms) == (ns(fleet.end_s), (), 0)
        assert found.complete_ns == (fleet.end_s - day * DAY) * 10**9

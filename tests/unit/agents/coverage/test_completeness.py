"""For how long the events of all nodes are complete: nothing is claimed that nobody vouched for."""

import pytest

from agents.coverage.completeness import SILENCE_NS, Completeness, completeness, silent_nodes
from agents.coverage.missing import UNVOUCHED, MissingInterval
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.vouching import VOUCHED_TWICE, VouchedInterval
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId

HOUR = 3_600_000_000_000
NOW = 100 * HOUR


def node(*windows: tuple[int, int], gaps: tuple[GapInterval, ...] = (), known_from: int | None = None) -> NodeCoverage:
    """A node that was vouched for in these hours."""
    return NodeCoverage([VouchedInterval(a * HOUR, b * HOUR, "s") for a, b in windows], gaps, known_from)


def named(nodes: dict[str, NodeCoverage]) -> dict[NodeId, NodeCoverage]:
    """The nodes of one cluster."""
    return {NodeId("east", name): known for name, known in nodes.items()}


def test_nobody_vouches() -> None:
    """Without a node, or with nodes that were silent before the beginning, nothing is said."""
    assert completeness({}, HOUR, NOW) == Completeness()
    assert completeness(named({"gone": node((0, 9))}), 10 * HOUR, NOW) == Completeness()


def test_the_last_node_to_report_bounds_what_is_complete() -> None:
    """Nodes vouch at different moments."""
    nodes = {"a": node((0, 50)), "b": NodeCoverage([VouchedInterval(0, 50 * HOUR - SILENCE_NS, "s")])}
    found = completeness(named(nodes), 10 * HOUR, NOW)

    assert (found.until_ns, found.complete_ns) == (50 * HOUR - SILENCE_NS, 40 * HOUR - SILENCE_NS)
    assert (found.share.nodes, found.gaps) == (2, ())


@pytest.mark.parametrize(
    ("nodes", "complete_hours", "missing"),
    [
        ({"a": node((0, 20), (22, 50))}, 38, [(20, 22, "a", UNVOUCHED)]),
        ({"a": node((0, 50)), "silent": node((0, 30))}, 20, [(30, 50, "silent", UNVOUCHED)]),
        ({"a": node((0, 50)), "joined": node((30, 50))}, 40, []),
        ({"a": node((15, 50))}, 35, [(10, 15, "", UNVOUCHED)]),
        ({"a": node((0, 50), gaps=(GapInterval(5 * HOUR, 12 * HOUR, "Overflow"),))}, 38, [(10, 12, "a", "Overflow")]),
        ({"a": node((0, 50), gaps=(GapInterval(12 * HOUR, 12 * HOUR, "Overflow"),))}, 40, [(12, 12, "a", "Overflow")]),
        ({"a": node((0, 50), gaps=(GapInterval(5 * HOUR, 10 * HOUR, "Overflow"),))}, 40, []),
        ({"a": node((20, 50), known_from=20 * HOUR)}, 30, [(10, 20, "a", UNVOUCHED)]),
        (
            {"a": node((0, 20), (22, 50)), "b": node((0, 21), (25, 50))},
            35,
            [(21, 25, "b", UNVOUCHED), (20, 22, "a", UNVOUCHED)],
        ),
        (
            {"a": node((0, 20), (22, 50), gaps=(GapInterval(20 * HOUR, 22 * HOUR, "Reconnect"),))},
            38,
            [(20, 22, "a", "Reconnect")],
        ),
    ],
)
def test_what_is_missing_is_named_and_does_not_count(
    nodes: dict[str, NodeCoverage], complete_hours: int, missing: list[tuple[int, int, str, str]]
) -> None:
    """Gaps, breaks, silence and a late beginning, the longest first; a node that joins later is none.

    A break that a gap explains is not listed twice.
    """
    found = completeness(named(nodes), 10 * HOUR, NOW)

    assert found.until_ns == 50 * HOUR
    assert found.complete_ns == complete_hours * HOUR
    assert list(found.gaps) == [
        MissingInterval(a * HOUR, b * HOUR, NodeId("east", name) if name else None, cause)
        for a, b, name, cause in missing
    ]


def test_a_clock_that_runs_ahead_makes_no_other_node_silent() -> None:
    """What is vouched for in the future counts up to now."""
    found = completeness(named({"ahead": node((0, 1000)), "a": node((0, 100))}), 10 * HOUR, NOW)

    assert (found.until_ns, found.gaps) == (NOW, ())


def test_two_clusters_nodes_of_one_name_are_two_nodes() -> None:
    """The silence of one is not hidden by the heartbeats of the other."""
    silent, alive = NodeId("east", "worker-0"), NodeId("west", "worker-0")
    found = completeness({silent: node((0, 30)), alive: node((0, 50))}, 10 * HOUR, NOW)

    assert found.share.nodes == 2
    assert found.gaps == (MissingInterval(30 * HOUR, 50 * HOUR, silent, UNVOUCHED),)


def test_two_sessions_that_vouch_for_one_time_are_no_proof() -> None:
    """Two agents of one name, or one agent read twice: nobody can tell, so it is a reason, and hits may be doubled."""
    only = NodeId("", "localhost.localdomain")
    vouched = [VouchedInterval(0, 30 * HOUR, "a"), VouchedInterval(20 * HOUR, 50 * HOUR, "b")]
    found = completeness({only: NodeCoverage(vouched)}, 10 * HOUR, NOW)

    assert found.gaps == (MissingInterval(20 * HOUR, 30 * HOUR, only, VOUCHED_TWICE),)
    assert found.is_vouched_twice
    assert not completeness({only: NodeCoverage(vouched)}, 40 * HOUR, NOW).is_vouched_twice


def test_a_node_that_was_only_ever_seen_to_lose_events_counts() -> None:
    """It lived too short to be vouched for; what it lost may have been anything, and it owes until it is retired."""
    short = NodeCoverage([], [GapInterval(20 * HOUR, 21 * HOUR, "Reconnect")])
    found = completeness(named({"a": node((0, 50)), "short": short}), 10 * HOUR, NOW)

    assert found.share.nodes == 2
    assert [(gap.from_ns // HOUR, gap.to_ns // HOUR, gap.cause) for gap in found.gaps] == [
        (21, 50, UNVOUCHED),
        (20, 21, "Reconnect"),
    ]


def test_a_node_that_only_an_unreadable_record_names_is_missing_for_its_hour() -> None:
    """It may be there, and nobody can read what it says; it owes for no other time."""
    unread = NodeCoverage([], [GapInterval(20 * HOUR, 21 * HOUR, "Unknown")])
    found = completeness(named({"a": node((0, 50)), "unread": unread}), 10 * HOUR, NOW)
    assert found.gaps == (MissingInterval(20 * HOUR, 21 * HOUR, NodeId("east", "unread"), "Unknown"),)
    assert found.share.missing_ms == 3_600_000


def test_a_node_is_silent_that_owes_on_far_behind_the_others() -> None:
    """Also one that never reported, by its authority's word; not one that is gone."""
    gone, named_only = node((0, 30)), NodeCoverage()
    gone.add([CoverageGap(node="gone", from_ns=31 * HOUR, to_ns=40 * HOUR, cause=GapCause.RETIRED)])
    named_only.add([CoverageGap(node="new", from_ns=31 * HOUR, to_ns=31 * HOUR, cause=GapCause.CREATED)])
    nodes = named({"a": node((0, 50)), "gone": gone, "new": named_only, "silent": node((0, 30))})
    assert silent_nodes(nodes, NOW) == [NodeId("east", "new"), NodeId("east", "silent")]


def test_a_loss_that_nobody_counted_has_no_number() -> None:
    """What is counted adds up over all gaps since the beginning; an uncounted loss makes the number unknown."""
    counted = GapInterval(20 * HOUR, 20 * HOUR, "Overflow", 700), GapInterval(5 * HOUR, 6 * HOUR, "AgentLoss", 1)
    nodes = named({"a": node((0, 50), gaps=counted), "b": node((0, 50), gaps=(GapInterval(30, 31, "Throttle"),))})
    assert [completeness(nodes, hour * HOUR, NOW).share.events_lost for hour in (0, 10, 21)] == [701, 700, 0]
    nodes |= named({"c": node((0, 50), gaps=(GapInterval(30 * HOUR, 30 * HOUR, "SpillLoss"),))})
    assert [completeness(nodes, hour * HOUR, NOW).share.events_lost for hour in (10, 30, 31)] == [None, None, 0]


def test_what_no_stage_read_is_missing_of_every_node() -> None:
    """With its cause; an unreadable record of coverage is one of another cause."""
    of_all = [
        GapInterval(0, 20 * HOUR, "Skipped"),
        GapInterval(30 * HOUR, 40 * HOUR, "Unknown"),
        GapInterval(60 * HOUR, 70 * HOUR, "Skipped"),
    ]
    found = completeness(named({"a": node((0, 50)), "b": node((0, 50))}), 10 * HOUR, NOW, of_all=of_all)

    assert [(gap.from_ns, gap.to_ns, gap.node, gap.cause) for gap in found.gaps] == [
        (30 * HOUR, 40 * HOUR, None, "Unreadable"),
        (10 * HOUR, 20 * HOUR, None, "Skipped"),
    ]
    assert found.complete_ns == 20 * HOUR
    assert (found.share.missing_ms, found.share.watched_ms) == (2 * 20 * 3_600_000, 2 * 20 * 3_600_000)


@pytest.mark.parametrize("cause", [GapCause.FILTERED, GapCause.LOSSES_UNREAD])
def test_heartbeat_that_keeps_something_back_is_no_completeness(cause: GapCause) -> None:
    """The node counts, for it was looked at; but what a filter hid, or nobody read, was not watched."""
    held = NodeCoverage()
    held.add(
        CoverageGap(node="a", cluster="east", session="s", from_ns=h * HOUR, to_ns=(h + 1) * HOUR, cause=cause)
        for h in range(50)
    )

    found = completeness(named({"a": NodeCoverage.from_bytes(held.to_bytes()), "b": node((0, 50))}), 10 * HOUR, NOW)

    assert (found.share.nodes, found.complete_ns) == (2, 0)
    assert [(gap.from_ns // HOUR, gap.to_ns // HOUR, gap.cause) for gap in found.gaps] == [(10, 50, cause.value)]

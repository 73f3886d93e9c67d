"""Nodes over time, as the console draws them."""

from agents.coverage.interval import Interval
from agents.coverage.node_coverage import NodeCoverage
from app.console.node_lanes import NodeLanes
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

HOUR = 3_600 * NS_PER_SECOND
START = 1_767_787_200 * NS_PER_SECOND
NOW = START + 10 * HOUR


def _known(name: str, *records: tuple[int, int, GapCause]) -> tuple[NodeId, NodeCoverage]:
    """A node with these records, in hours since the start."""
    found = NodeCoverage()
    found.add(
        CoverageGap(
            node=name, cluster="east", from_ns=START + begin * HOUR, to_ns=START + end * HOUR, cause=cause, session="s"
        )
        for begin, end, cause in records
    )
    return NodeId("east", name), found


NODES = dict(
    [
        _known("whole", (0, 10, GapCause.HEARTBEAT)),
        _known("gapped", (0, 10, GapCause.HEARTBEAT), (4, 5, GapCause.OVERFLOW)),
        _known("silent", (0, 6, GapCause.HEARTBEAT)),
        _known("retired", (0, 3, GapCause.HEARTBEAT), (3, 3, GapCause.RETIRED)),
    ]
)


def _ms(hours: int) -> int:
    return (START + hours * HOUR) // 1_000_000


def test_a_lane_has_what_was_vouched_what_is_missing_and_when_the_node_was_gone() -> None:
    """Within the window, in milliseconds, the node that misses most first."""
    found = NodeLanes().look(NODES, Interval(START, NOW), "", 0, 10)
    lanes = {row["node"]: row["lane"] for row in found["lanes"]}
    assert [row["node"] for row in found["lanes"]][:2] == ["silent", "gapped"]
    assert found["nodes"] == 4
    assert found["missing_nodes"] == 2
    assert lanes["whole"] == {"vouched": [(_ms(0), _ms(10))], "missing": [], "gone": []}
    assert lanes["gapped"]["missing"] == [[_ms(4), _ms(5), "Overflow"]]
    assert lanes["silent"]["missing"] == [[_ms(6), _ms(10), "Unvouched"]]
    assert lanes["retired"]["gone"] == [(_ms(3), _ms(10))]


def test_a_window_shows_what_lies_in_it() -> None:
    """What was before is cut off, and so is the time before a node was there."""
    found = NodeLanes().look(NODES, Interval(START - 2 * HOUR, START + 5 * HOUR), "WHOLE", 0, 10)
    ((lane,),) = [[row["lane"] for row in found["lanes"]]]
    assert lane["gone"] == [(_ms(-2), _ms(0))]
    assert lane["vouched"] == [(_ms(0), _ms(5))]


def test_a_node_that_comes_is_seen_at_once_and_what_it_says_within_seconds() -> None:
    """An account of all nodes serves for a while, but never hides a node."""
    lanes, window = NodeLanes(), Interval(START, NOW)
    assert lanes.look({}, window, "", 0, 10)["lanes"] == []
    assert lanes.look(NODES, window, "", 0, 10)["nodes"] == 4
    gapped = dict([_known("whole", (0, 10, GapCause.HEARTBEAT), (1, 9, GapCause.OVERFLOW))])
    changed = NODES | gapped
    assert lanes.look(changed, window, "", 0, 10)["missing_nodes"] == 2
    later = Interval(START + HOUR, NOW)
    assert lanes.look(changed, later, "", 0, 10)["missing_nodes"] == 3


def test_nodes_are_found_by_name_and_cluster_and_shown_in_pages() -> None:
    """A fleet has thousands."""
    lanes = NodeLanes()
    assert [row["node"] for row in lanes.look(NODES, Interval(START, NOW), "gap", 0, 10)["lanes"]] == ["gapped"]
    assert lanes.look(NODES, Interval(START, NOW), "east", 0, 10)["nodes"] == 4
    assert next(row["node"] for row in lanes.look(NODES, Interval(START, NOW), "", 1, 2)["lanes"]) == "gapped"
    assert lanes.look(NODES, Interval(START, NOW), "west", 0, 10)["lanes"] == []

"""Coverage of all nodes, from the rows of a table that strangers can make grow."""

from agents.coverage.completeness import completeness
from agents.coverage.covering import ALL_NODES_KEY, node_key
from agents.coverage.fleet import FleetCoverage
from agents.coverage.missing import TOO_MANY_NODES
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.vouching import VouchedInterval
from schemas.node import NodeId

_VOUCHED = NodeCoverage([VouchedInterval(0, 1_000, "s")]).to_bytes()


def _nodes(count: int) -> list[NodeId]:
    return [NodeId("east", f"worker-{number}") for number in range(count)]


def test_more_nodes_than_are_kept_are_a_gap_of_all_nodes_at_any_time() -> None:
    """Whoever names nodes without end neither fills the memory nor gets a time counted as complete."""
    found = FleetCoverage(max_nodes=3)
    for node in _nodes(1_000):
        found.take(0, node_key(node), _VOUCHED)
    assert set(found.nodes()) == set(_nodes(3))
    covered = completeness(found.nodes(), 10, 2_000, of_all=found.of_all())
    assert (covered.complete_ns, covered.until_ns) == (0, 1_000)
    assert [(gap.from_ns, gap.to_ns, gap.node, gap.cause) for gap in covered.gaps] == [
        (10, 1_000, None, TOO_MANY_NODES)
    ]


def test_as_many_nodes_as_are_kept_are_complete_however_often_their_rows_come() -> None:
    """The limit counts nodes, not rows, and a node that is gone makes room."""
    found = FleetCoverage(max_nodes=3)
    for node in 2 * _nodes(3):
        found.take(0, node_key(node), _VOUCHED)
    found.take(0, node_key(_nodes(1)[0]), None)
    found.take(0, node_key(NodeId("west", "new")), _VOUCHED)
    assert not found.left_out
    assert completeness(found.nodes(), 10, 2_000, of_all=found.of_all()).complete_ns == 990


def test_gaps_of_all_nodes_are_those_of_each_partition() -> None:
    """A partition's row replaces only its own, and a key that is nobody's is passed over."""
    found = FleetCoverage()
    for number, gap in enumerate((GapInterval(1, 2, "Skipped"), GapInterval(3, 4, "Unknown"))):
        found.take(number, ALL_NODES_KEY, NodeCoverage(gaps=[gap]).to_bytes())
    found.take(0, b"something else", b"?")
    assert sorted(found.of_all()) == [GapInterval(1, 2, "Skipped"), GapInterval(3, 4, "Unknown")]
    found.take(0, ALL_NODES_KEY, None)
    assert found.of_all() == [GapInterval(3, 4, "Unknown")]

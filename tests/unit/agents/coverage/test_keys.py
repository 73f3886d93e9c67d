"""Keys of coverage records: a node's are in one partition, and compaction takes nothing that says more."""

from dataclasses import replace

import pytest

from agents.coverage.keys import NO_NODE, node_in, node_partition, record_key
from agents.hot_symbols.partitioning import symbol_partition
from schemas.coverage import CLAIMS, CoverageGap, GapCause, SkippedOffsets
from schemas.node import NodeId

GAP = CoverageGap(node="a", cluster="east", session="s", from_ns=1, to_ns=5, cause=GapCause.OVERFLOW, events_lost=3)


@pytest.mark.parametrize("node", [NodeId("east", "a"), NodeId("", "a#b"), NodeId("e#/%", "%23#"), NodeId("", "")])
def test_a_key_names_its_node_whatever_the_node_is_called(node: NodeId) -> None:
    """Also where a name has the signs that stand between the parts."""
    for cause in GapCause:
        key = record_key(replace(GAP, cluster=node.cluster, node=node.name, cause=cause))
        assert node_in(key) == node


def test_an_older_key_is_the_node_and_keys_of_all_nodes_name_none() -> None:
    """So is a key that is not text."""
    assert node_in(b"east/a") == NodeId("east", "a")
    skipped = replace(GAP, cluster="", node="", cause=GapCause.SKIPPED, skipped=SkippedOffsets("t", 0, 1, 2))
    assert node_in(record_key(skipped)) is node_in(b"\xff") is node_in(None) is None


def test_a_growing_record_keeps_its_key_and_a_gap_has_its_own() -> None:
    """Whatever differs in a gap gives another key; a heartbeat is the same stretch of time until it breaks."""
    for cause in CLAIMS:
        beat = replace(GAP, cause=cause)
        assert record_key(beat) == record_key(replace(beat, to_ns=9))
        assert record_key(beat) != record_key(replace(beat, from_ns=2))
    others = [
        replace(GAP, to_ns=6),
        replace(GAP, from_ns=2),
        replace(GAP, detail="counter"),
        replace(GAP, events_lost=4),
        replace(GAP, session="t"),
        replace(GAP, cause=GapCause.SPILL_LOSS),
        replace(GAP, node="b"),
    ]
    assert len({record_key(one) for one in (GAP, *others)}) == 1 + len(others)


def test_a_nodes_partition_is_that_of_its_name_by_kafkas_rule() -> None:
    """Where a Java client finds a record whose key is the name."""
    for node in (NodeId("", "worker-1"), NodeId("east", "worker-2")):
        assert node_partition(node, 64) == symbol_partition(str(node), 64)
    assert node_partition(NO_NODE, 4) == 1

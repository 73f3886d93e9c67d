"""Step three of the hot-symbol stage: coverage records to one row a node."""

import pytest

from agents.coverage.covering import ALL_NODES_KEY, CoverageFolder, CoverageRefusal, node_key, parse_node_key
from agents.coverage.interval import Interval
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.unreadable import GAP_BEFORE_NS
from schemas.coverage import CoverageGap, GapCause, SkippedOffsets
from schemas.node import NodeId
from tests.support.hot_world import Stored


def decode(value: bytes | None) -> CoverageGap | str:
    """A heartbeat from its node and its two times; a word for what is none."""
    if value is None or value.count(b",") != 2:
        return "strange"
    node, begin, end = value.decode().split(",")
    return CoverageGap(node=node, from_ns=int(begin), to_ns=int(end), cause=GapCause.HEARTBEAT)


def stored(offset: int, value: bytes | None) -> Stored:
    """A record of the topic; its key says nothing."""
    return Stored("coverage", 1, offset, 100, b"any", value)


def test_rows_grow_with_what_comes_and_strange_records_are_gaps() -> None:
    """A partition's nodes, each from the row that it had."""
    folder = CoverageFolder(decode)
    refused = folder.absorb(1, [stored(0, b"a,0,5"), stored(1, b"b,1,2"), stored(2, b"strange"), stored(3, None)])
    assert refused == [CoverageRefusal(2, "strange"), CoverageRefusal(3, "strange")]
    assert folder.unwritten() == [1]
    rows = folder.flush(1, lambda keys: [None for _ in keys])
    assert folder.unwritten() == []
    folder.absorb(1, [stored(4, b"a,5,9")])
    rows |= folder.flush(1, lambda keys: [rows[key] for key in keys])

    assert {key: NodeCoverage.from_bytes(row).vouched for key, row in rows.items()} == {
        node_key(NodeId("", "a")): [Interval(0, 9)],
        node_key(NodeId("", "b")): [Interval(1, 2)],
        node_key(NodeId("", "any")): [],
    }
    [gap] = NodeCoverage.from_bytes(rows[node_key(NodeId("", "any"))]).gaps
    assert gap[:3] == (100_000_000 - GAP_BEFORE_NS, 100_000_000, "Unknown")


@pytest.mark.parametrize("key", [None, b"\xff", b"n" * 513, b"c" * 513 + b"/n"])
def test_a_record_that_names_no_node_is_a_gap_of_all(key: bytes | None) -> None:
    """Its time is that of the record, however strange."""
    for timestamp_ms in (100, -1, 1 << 62):
        folder = CoverageFolder(decode)
        folder.absorb(1, [Stored("coverage", 1, 0, timestamp_ms, key, b"strange")])
        rows = folder.flush(1, lambda keys: [None for _ in keys])
        assert list(rows) == [ALL_NODES_KEY]
        [gap] = NodeCoverage.from_bytes(rows[ALL_NODES_KEY]).incomplete()
        assert gap.to_ns - gap.from_ns == GAP_BEFORE_NS


def test_records_that_a_stage_never_read_are_a_gap_of_all() -> None:
    """In the row of all nodes, with its cause; an empty name is not a node's."""
    skipped = SkippedOffsets("tetragon.raw", 3, 100, 200)
    gap = CoverageGap(node="", from_ns=5, to_ns=9, cause=GapCause.SKIPPED, skipped=skipped)
    folder = CoverageFolder(lambda _value: gap)
    folder.absorb(1, [Stored("coverage", 1, 0, 100, None, b"any")])
    rows = folder.flush(1, lambda keys: [None for _ in keys])
    assert list(rows) == [ALL_NODES_KEY]
    assert NodeCoverage.from_bytes(rows[ALL_NODES_KEY]).incomplete() == [GapInterval(5, 9, "Skipped")]


def test_a_longer_name_than_a_node_has_keeps_a_row_of_its_own() -> None:
    """Cut, with a digest of the whole name."""
    assert len(node_key(NodeId("", "n" * 600))) == len(b"node:") + 512
    assert node_key(NodeId("", "n" * 600)) != node_key(NodeId("", "n" * 601))


def test_a_node_without_a_name_has_a_key_too() -> None:
    """Table keys are never empty, and what a table keeps for itself is not a node."""
    assert parse_node_key(node_key(NodeId("", ""))) == NodeId("", "")
    assert parse_node_key(node_key(NodeId("", "kühler\ud800"))) == NodeId("", "kühler\ud800")
    assert parse_node_key(b"\x00callstream\x00position") is None


def test_two_clusters_nodes_of_one_name_have_rows_of_their_own() -> None:
    """By the record's fields, or by its key where it cannot be read."""

    def of_cluster(value: bytes | None) -> CoverageGap | str:
        if value is None:
            return "strange"
        return CoverageGap(node="worker-0", cluster=value.decode(), from_ns=0, to_ns=5, cause=GapCause.HEARTBEAT)

    folder = CoverageFolder(of_cluster)
    records = [stored(0, b"east"), stored(1, b"west"), stored(2, None)._replace(key=b"west/worker-0")]
    folder.absorb(1, records)
    rows = folder.flush(1, lambda keys: [None for _ in keys])

    found = {parse_node_key(key): len(NodeCoverage.from_bytes(row).gaps) for key, row in rows.items()}
    assert found == {NodeId("east", "worker-0"): 0, NodeId("west", "worker-0"): 1}


def test_two_sessions_at_once_are_told_when_their_records_come() -> None:
    """Once for each flush that brings some of it; a stretch of long ago is not told again by later heartbeats."""

    def beat(value: bytes | None) -> CoverageGap | str:
        session, begin, end = (value or b"").decode().split(",")
        from_ns, to_ns = int(begin) * 10**10, int(end) * 10**10
        cause = GapCause.HEARTBEAT
        return CoverageGap(node="n", cluster="east", session=session, cause=cause, from_ns=from_ns, to_ns=to_ns)

    folder = CoverageFolder(beat)
    rows: dict[bytes, bytes] = {}

    def told(*values: bytes) -> dict[NodeId, Interval]:
        folder.absorb(1, [stored(number, value) for number, value in enumerate(values)])
        rows.update(folder.flush(1, lambda keys: [rows.get(key) for key in keys]))
        return folder.take_vouched_twice()

    node = NodeId("east", "n")
    assert told(b"a,0,5", b"b,5,9") == {}
    assert told(b"c,7,9") == {node: Interval(7 * 10**10, 9 * 10**10)}
    assert told(b"c,9,12") == {}
    assert told(b"b,9,11") == {node: Interval(7 * 10**10, 11 * 10**10)}

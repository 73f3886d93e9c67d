"""Step three of the hot-symbol stage: coverage records to one row a node."""

from agents.coverage.covering import CoverageFolder, node_key, parse_node_key
from agents.coverage.interval import Interval
from agents.coverage.node_coverage import NodeCoverage
from schemas.coverage import CoverageGap, GapCause
from tests.support.hot_world import Stored


def decode(value: bytes | None) -> CoverageGap | None:
    """A heartbeat from its node and its two times; None for what is none."""
    if value is None or value.count(b",") != 2:
        return None
    node, begin, end = value.decode().split(",")
    return CoverageGap(node=node, from_ns=int(begin), to_ns=int(end), cause=GapCause.HEARTBEAT)


def stored(offset: int, value: bytes | None) -> Stored:
    """A record of the topic; its key says nothing."""
    return Stored("coverage", 1, offset, 100, b"any", value)


def test_rows_grow_with_what_comes_and_strange_records_are_left_out() -> None:
    """A partition's nodes, each from the row that it had."""
    folder = CoverageFolder(decode)
    folder.absorb(1, [stored(0, b"a,0,5"), stored(1, b"b,1,2"), stored(2, b"strange"), stored(3, None)])
    assert folder.unwritten() == [1]
    rows = folder.flush(1, lambda keys: [None for _ in keys])
    assert folder.unwritten() == []
    folder.absorb(1, [stored(4, b"a,5,9")])
    rows |= folder.flush(1, lambda keys: [rows[key] for key in keys])

    assert {key: NodeCoverage.from_bytes(row).vouched for key, row in rows.items()} == {
        node_key("a"): [Interval(0, 9)],
        node_key("b"): [Interval(1, 2)],
    }


def test_a_node_without_a_name_has_a_key_too() -> None:
    """Table keys are never empty, and what a table keeps for itself is no node."""
    assert parse_node_key(node_key("")) == ""
    assert parse_node_key(node_key("kühler\ud800")) == "kühler\ud800"
    assert parse_node_key(b"\x00callstream\x00position") is None

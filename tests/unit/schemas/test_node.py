"""Which node: cluster and name, as text and back."""

from itertools import product

import pytest

from schemas.node import NodeId, node_of_text
from schemas.text_limits import MAX_PLACE_CHARS

NAMES = ("", "worker-0", "a", "a/b", "/", "%", "%2F", "%25", "a%2Fb", "%252F", "größe", "\ud800")


def test_a_node_without_a_cluster_is_its_name() -> None:
    """Records of agents that name no cluster keep the key that they always had."""
    assert NodeId("", "worker-0").as_key() == b"worker-0"
    assert NodeId("east", "worker-0").as_key() == b"east/worker-0"


@pytest.mark.parametrize("node", [NodeId(*names) for names in product(NAMES, NAMES)], ids=repr)
def test_every_node_has_a_text_of_its_own(node: NodeId) -> None:
    """The text gives back cluster and name, whatever characters they hold."""
    assert node_of_text(str(node)) == node


def test_names_of_any_length_stay_apart_within_the_limits() -> None:
    """Long names that differ at their end only are still two nodes."""
    long = "x" * MAX_PLACE_CHARS
    one, other = NodeId(long + "1", long + "1").within_limits(), NodeId(long + "2", long + "2").within_limits()
    assert max(map(len, one)) == MAX_PLACE_CHARS
    assert one.cluster != other.cluster
    assert one.name != other.name
    assert NodeId("east", "worker-0").within_limits() == NodeId("east", "worker-0")

"""app/ingest/node_names.py: which name a node had at which time."""

from app.ingest.node_names import MAX_FORMER_NAMES, NamedPart, NodeNames
from schemas.node import NodeId

ALPHA, BETA, GAMMA = NodeId("", "alpha"), NodeId("", "beta"), NodeId("east", "beta")


def test_a_stretch_is_cut_where_the_name_changed() -> None:
    """Each part has the name of its time; a moment has one name."""
    names = NodeNames(ALPHA)
    names.change(BETA, 100)
    names.change(GAMMA, 200)

    assert names.node == GAMMA
    assert names.parts(50, 250) == [NamedPart(ALPHA, 50, 100), NamedPart(BETA, 100, 200), NamedPart(GAMMA, 200, 250)]
    assert names.parts(100, 200) == [NamedPart(BETA, 100, 200)]
    assert names.parts(99, 100) == [NamedPart(ALPHA, 99, 100)]
    assert names.parts(200, 201) == [NamedPart(GAMMA, 200, 201)]
    assert names.parts(70, 70) == [NamedPart(ALPHA, 70, 70)]
    assert names.parts(300, 300) == [NamedPart(GAMMA, 300, 300)]


def test_an_agent_that_changes_its_name_for_ever_costs_no_memory() -> None:
    """Only the last few names are remembered; older times count as of the oldest of them."""
    names = NodeNames(ALPHA)
    for number in range(1, 10_000):
        names.change(NodeId("", f"n{number}"), number)

    parts = names.parts(0, 20_000)
    assert len(parts) == MAX_FORMER_NAMES + 1
    assert (parts[0].from_ns, parts[-1]) == (0, NamedPart(NodeId("", "n9999"), 9_999, 20_000))

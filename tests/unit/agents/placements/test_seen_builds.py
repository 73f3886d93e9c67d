"""Build ids that loader events named since the last look."""

from agents.placements.seen_builds import SeenBuilds, SeenOnNode
from schemas.node import NodeId

NODE, OTHER = NodeId("c", "n"), NodeId("c", "m")


def test_first_and_last_receipt_of_each_build_id_are_taken_once() -> None:
    """By node; the next look has what came since."""
    seen = SeenBuilds()
    seen.saw(NODE, {b"a", b"b"}, 1)
    seen.saw(NODE, {b"a"}, 5)
    seen.saw(OTHER, {b"a"}, 7)

    on_node = SeenOnNode({b"a": 1, b"b": 1}, {b"a": 5, b"b": 1})
    assert seen.take() == ({NODE: on_node, OTHER: SeenOnNode({b"a": 7}, {b"a": 7})}, 0)
    seen.saw(NODE, {b"a"}, 9)
    assert seen.take() == ({NODE: SeenOnNode({b"a": 9}, {b"a": 9})}, 0)


def test_what_there_is_no_room_for_is_counted() -> None:
    """What is known goes on being seen, and there is room again after the look."""
    seen = SeenBuilds(max_builds=2)
    seen.saw(NODE, {b"b"}, 1)
    seen.saw(NODE, {b"a", b"b", b"c"}, 2)
    seen.saw(OTHER, {b"a"}, 3)
    seen.saw(NODE, {b"b", b"c"}, 4)

    assert seen.take() == ({NODE: SeenOnNode({b"b": 1, b"a": 2}, {b"b": 4, b"a": 2})}, 3)
    seen.saw(OTHER, {b"c"}, 5)
    assert seen.take() == ({OTHER: SeenOnNode({b"c": 5}, {b"c": 5})}, 0)

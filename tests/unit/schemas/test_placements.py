"""schemas/placements.py: the typed twin of file_placement.avsc."""

from schemas.node import NodeId
from schemas.placements import FilePlacement, decode, encode, from_record
from schemas.text_limits import MAX_PLACE_CHARS

PLACEMENT = FilePlacement(node="n", cluster="c", session="s", build_id="ab", from_ns=1, to_ns=5)


def test_what_is_encoded_is_decoded() -> None:
    """All fields, and the node."""
    assert decode(encode(PLACEMENT, 7)) == PLACEMENT
    assert PLACEMENT.node_id == NodeId("c", "n")


def test_names_of_a_stranger_are_cut() -> None:
    """Whoever may write the topic may write any text."""
    record = {"node": "n", "cluster": "", "session": "s" * 10_000, "build_id": "b" * 10_000, "from_ns": 1, "to_ns": 2}
    found = from_record(record)

    assert len(found.build_id) == MAX_PLACE_CHARS
    assert len(found.session) < 10_000

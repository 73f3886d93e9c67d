from collections import Counter

from app.ingest.cut import event_digests, find_cut
from schemas.tetragon.events_pb2 import GetEventsResponse


def test_repeated_events_behind_the_place_are_written_as_often_as_they_were() -> None:
    """The last event that is once in both says where we are; as many loaders as the first wrote are passed over."""
    cut = find_cut(["a", "b", "~L", "~L", "c", "~L"], ["~L", "~L", "c", "~L", "~L", "d"])

    assert cut is not None
    assert (cut.unwritten, cut.still_to_come) == ([4, 5], Counter())


def test_events_that_have_not_arrived_are_expected() -> None:
    """The second may be behind the first."""
    cut = find_cut(list("abcdL"), list("ab"))

    assert cut is not None
    assert (cut.unwritten, cut.still_to_come) == ([], Counter("cdL"))


def test_only_repeated_events_show_no_place() -> None:
    """Nobody knows which of the loaders were written."""
    assert find_cut(["~L"], ["~L", "~L"]) is None


def test_order_of_a_map_and_broken_bytes_do_not_matter() -> None:
    """An agent writes maps in any order, and an event that cannot be read is its bytes."""
    one, other = (GetEventsResponse(node_labels={name: "x"}).SerializeToString() for name in "ab")

    assert event_digests([one + other]) == event_digests([other + one])
    assert event_digests([b"\xff"]) != event_digests([b"\xfe"])

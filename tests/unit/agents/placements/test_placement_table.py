"""Records of runtime.placements, kept for the files that are watched."""

from dataclasses import replace

from agents.placements.node_files import placement_key
from agents.placements.placement_table import PlacementTable
from schemas.node import NodeId
from schemas.placements import FilePlacement

NODE = NodeId("c", "n")
SEEN = FilePlacement(node="n", cluster="c", session="s", build_id="ab", from_ns=20, to_ns=30)


def test_the_first_sighting_of_a_file_on_a_node_counts() -> None:
    """Of whichever ingest, in any order; a file that is watched and was seen nowhere is there without nodes."""
    table = PlacementTable(["ab", "cd"])
    for one in (SEEN, replace(SEEN, session="t", from_ns=10), replace(SEEN, from_ns=40), replace(SEEN, build_id="ef")):
        table.take(one)

    assert table.since_ns == {"ab": {NODE: 10}, "cd": {}}
    assert (table.has(["ab"]), table.has([]), table.has(["ab", "ef"])) == (True, True, False)


def test_only_keys_of_watched_files_are_wanted() -> None:
    """A key is a stranger's: whatever it is, it is wanted or not."""
    table = PlacementTable(["ab"])

    assert table.wants(placement_key(SEEN))
    assert not any(table.wants(key) for key in (placement_key(replace(SEEN, build_id="cd")), None, b"", b"\xff#\xff"))


def test_more_sightings_than_fit_are_left_out() -> None:
    """Known ones still count from their first."""
    table = PlacementTable(["ab"], max_sightings=1)
    table.take(SEEN)
    assert not table.left_out
    table.take(replace(SEEN, node="m"))
    table.take(replace(SEEN, from_ns=5))

    assert (table.left_out, table.since_ns) == (True, {"ab": {NODE: 5}})

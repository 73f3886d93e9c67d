"""The files that an ingest saw mapped, and when they are told."""

from agents.placements.node_files import MAX_AT_ONCE, TELL_AGAIN_NS, NodeFiles, placement_key
from schemas.node import NodeId
from schemas.placements import FilePlacement

NODE = NodeId("c", "n")


def placement(build_id: str, from_ns: int, to_ns: int) -> FilePlacement:
    """Of the node `NODE` and the session `s`."""
    return FilePlacement(node="n", cluster="c", session="s", build_id=build_id, from_ns=from_ns, to_ns=to_ns)


def test_a_file_is_told_when_it_is_first_seen_and_then_once_a_day() -> None:
    """What was not told stays due; what grew meanwhile is told as it is then, and what did not grow, again."""
    files = NodeFiles("s")
    files.saw(NODE, "ab", 10, 10)

    assert files.due(20) == files.due(21) == [placement("ab", 10, 10)]
    files.told([placement("ab", 10, 10)], 21)
    files.saw(NODE, "ab", 30, 40)
    files.saw(NODE, "cd", 40, 41)
    assert files.due(50) == [placement("cd", 40, 41)]
    files.told(files.due(50), 50)
    assert files.due(20 + TELL_AGAIN_NS) == []
    assert files.due(21 + TELL_AGAIN_NS) == [placement("ab", 10, 40)]
    assert files.due(50 + TELL_AGAIN_NS) == [placement("ab", 10, 40), placement("cd", 40, 41)]


def test_a_file_is_one_for_each_node() -> None:
    """An agent that comes back under another name tells of another node."""
    files = NodeFiles("s")
    for node in (NODE, NodeId("", "n"), NodeId("c", "m")):
        files.saw(node, "ab", 1, 2)

    assert [one.node_id for one in files.due(3)] == [NODE, NodeId("", "n"), NodeId("c", "m")]


def test_further_files_than_the_limit_are_not_remembered_and_those_that_are_grow() -> None:
    """A program that maps files without end costs no memory."""
    files = NodeFiles("s", max_files=2)

    assert [files.saw(NODE, build_id, 1, 2) for build_id in ("a", "b", "c")] == [True, True, False]
    assert files.saw(NODE, "b", 5, 6)
    assert files.due(9) == [placement("a", 1, 2), placement("b", 1, 6)]


def test_so_many_are_told_at_once() -> None:
    """The rest is due then."""
    files = NodeFiles("s")
    for number in range(MAX_AT_ONCE + 1):
        files.saw(NODE, str(number), 1, 1)
    first = files.due(2)
    files.told(first, 2)

    assert [one.build_id for one in first] == list(map(str, range(MAX_AT_ONCE)))
    assert [one.build_id for one in files.due(2)] == [str(MAX_AT_ONCE)]


def test_a_record_has_one_key_while_it_grows() -> None:
    """By node, session and build id, whatever is in the names."""
    key = placement_key(placement("ab", 1, 2))

    assert key == b"c/n#s#ab" == placement_key(placement("ab", 1, 9))
    odd = FilePlacement(node="a#b%", session="", build_id="ab", from_ns=1, to_ns=2)
    assert placement_key(odd) == b"a%23b%2525#-#ab"

"""Flame graphs of the console, without a broker: which records are read, and which stacks reach a function."""

from app.console.call_graphs import MOST_EVENTS, Samples, id_of_frame, newest
from app.export.call_stacks import Stack
from app.export.call_tree import TreeBuilder
from app.export.stack_frames import CUT, StackFrame, binary_frame
from app.kafka.records import OffsetRange, Recorded

_MAIN = StackFrame("/lib/a.so", "main", build_id="ab" * 20, resolution="Exact")
_HINTED = StackFrame("/lib/b.so", hint="reads", resolution="HintOnly")
_CALL = Recorded("runtime.calls", 0, 0, 0, None, b"")


def test_the_newest_records_are_read_and_short_partitions_leave_their_room() -> None:
    """The limit is of all partitions together; none is read before its range."""
    ranges = (OffsetRange(0, 0, 1_000), OffsetRange(1, 50, 60), OffsetRange(2, 7, 7), OffsetRange(3, 100, 900))
    kept = newest(ranges, 110)
    assert kept == (OffsetRange(0, 950, 1_000), OffsetRange(1, 50, 60), OffsetRange(3, 850, 900))
    assert newest(ranges, 10_000) == (ranges[0], ranges[1], ranges[3])


def test_a_stack_is_on_the_path_by_any_frame_or_its_file() -> None:
    """A frame is known by the id of the row that it counts for; of the calls that have it, the first few are kept."""
    stack = Stack((), (_HINTED, _MAIN))
    for wanted in (f"{'ab' * 20}!main", "/lib/b.so!reads", "exec:/bin/a"):
        samples = Samples()
        is_on_path = samples.path_to(wanted)
        assert sum(is_on_path(_CALL, stack, "/bin/a") for _ in range(2 * MOST_EVENTS)) == 2 * MOST_EVENTS
        assert len(samples.records) == MOST_EVENTS
    samples = Samples()
    assert not samples.path_to("/lib/b.so!main")(_CALL, stack, "/bin/a")
    assert samples.records == []


def test_every_frame_of_a_tree_has_an_id_but_the_mark_of_what_was_cut() -> None:
    """The executed file too, so each leads to its row."""
    builder = TreeBuilder(max_nodes=2)
    builder.add("/bin/a", (_HINTED, _MAIN), 1)
    assert [id_of_frame(frame) for frame in builder.tree().frames] == ["", "exec:/bin/a", f"{'ab' * 20}!main"]
    assert id_of_frame(CUT) == ""
    assert id_of_frame(binary_frame("/bin/a")) == "exec:/bin/a"

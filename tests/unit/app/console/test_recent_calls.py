"""The callers of a function, out of single calls."""

from typing import Any

from app.console.recent_calls import MOST_EVENTS, CallerTree


def _frame(symbol: str) -> dict[str, Any]:
    return {
        "module": "/lib/a.so",
        "symbol": symbol,
        "symbol_hint": None,
        "build_id": None,
        "resolution": "Exact",
        "is_kernel_space": False,
    }


def _call(*symbols: str, event_id: str = "e") -> dict[str, Any]:
    """A call with these functions on its stack, innermost first."""
    return {
        "event_id": event_id,
        "timestamp_ns": 1,
        "probe_type": "Kprobe",
        "process": {"binary": "/bin/a", "arguments": "--secret"},
        "stack_frames": [_frame(symbol) for symbol in symbols],
        "source": {"topic": "tetragon.raw", "partition": 0, "offset": 1},
    }


def _id(symbol: str) -> str:
    return f"/lib/a.so!{symbol}"


def test_callers_stand_below_what_they_reach() -> None:
    """Counted in calls, the most frequent first; a call without the function counts for nothing."""
    tree = CallerTree(_id("f"))
    for symbols in (("x", "f", "g", "main"), ("f", "g", "other"), ("f", "h", "main"), ("x", "main")):
        tree.take(_call(*symbols))
    drawn = tree.document(lambda symbol_id: symbol_id.rpartition("!")[2])
    assert (drawn["name"], drawn["id"], drawn["value"]) == ("f", _id("f"), 3)
    assert [(one["name"], one["value"]) for one in drawn["children"]] == [("g", 2), ("h", 1)]
    assert [(one["name"], one["value"]) for one in drawn["children"][0]["children"]] == [("main", 1), ("other", 1)]
    assert tree.left_out == 0


def test_of_a_function_that_calls_itself_the_innermost_frame_counts() -> None:
    """A call is one call, however often the function is on its stack."""
    tree = CallerTree(_id("f"))
    tree.take(_call("f", "f", "main"))
    drawn = tree.document(str)
    assert drawn["value"] == 1
    assert drawn["children"][0]["id"] == _id("f")


def test_calls_are_shown_by_some_and_without_their_arguments() -> None:
    """The page needs a few, and what a process was called with is no part of them."""
    tree = CallerTree(_id("f"))
    for number in range(2 * MOST_EVENTS):
        tree.take(_call("f", "main", event_id=str(number)))
    assert [one["event_id"] for one in tree.events] == [str(number) for number in range(MOST_EVENTS)]
    assert "--secret" not in str(tree.events)

"""What agents said of their policies, as the console shows it."""

from typing import Any

from app.console.probe_shelf import ProbeShelf


def _window(node: str, to_ns: int, state: str = "Enabled", **fields: Any) -> dict[str, Any]:
    hooks = [{"section": "uprobes", "first": 0, "count": 3, "state": "Loaded"}]
    usual = {"cluster": "east", "policy": "openssl", "namespace": "", "from_ns": 1, "end": "Open", "hooks": hooks}
    return {"node": node, "to_ns": to_ns, "state": state} | usual | fields


def test_a_policy_is_shown_with_the_newest_word_of_each_node() -> None:
    """On how many nodes, in which state, and since when on all of them."""
    shelf = ProbeShelf()
    shelf.take(b"1", _window("a", 10, "Error"))
    shelf.take(b"2", _window("a", 20, from_ns=15))
    shelf.take(b"3", _window("b", 30, "Disabled", hooks=[{"count": 3, "state": "DigestRejected"}]))
    shelf.take(b"4", _window("c", 30, policy="other"))
    rows = shelf.policies(0, "")["rows"]
    assert [(row["policy"], row["nodes"], row["states"]) for row in rows] == [
        ("openssl", 2, {"Enabled": 1, "Disabled": 1}),
        ("other", 1, {"Enabled": 1}),
    ]
    assert (rows[0]["hooks"], rows[0]["loaded"], rows[0]["since_ns"], rows[0]["until_ns"]) == (3, 0, 15, 20)


def test_windows_are_chosen_by_time_and_node() -> None:
    """A window that ended before, one of another node, and one that is removed do not count."""
    shelf = ProbeShelf()
    shelf.take(b"1", _window("worker-1", 10))
    shelf.take(b"2", _window("worker-2", 30))
    shelf.take(b"3", _window("worker-3", 30))
    shelf.take(b"3", None)
    assert shelf.policies(20, "")["rows"][0]["nodes"] == 1
    assert shelf.policies(0, "WORKER-1")["rows"][0]["nodes"] == 1
    assert shelf.policies(0, "west")["policies"] == 0


def test_windows_beyond_the_limit_are_counted() -> None:
    """Whoever writes the topic must not fill the console's memory."""
    shelf = ProbeShelf(max_windows=1)
    shelf.take(b"1", _window("a", 10))
    shelf.take(b"2", _window("b", 10))
    shelf.take(b"1", _window("a", 11))
    assert shelf.left_out == 1
    assert shelf.policies(0, "")["rows"][0]["until_ns"] == 11

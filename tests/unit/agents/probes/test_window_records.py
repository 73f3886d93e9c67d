"""Windows as records, and their keys."""

from dataclasses import replace

from agents.probes.window_records import window_key
from schemas.probes import PolicyState, ProbeWindow, WindowEnd

WINDOW = ProbeWindow(node="n", cluster="c", session="s", from_ns=1, to_ns=5, policy="tls", policy_id=7)


def test_a_window_keeps_its_key_while_it_grows() -> None:
    """And when it is over; compaction leaves the last record of each window."""
    grown = replace(WINDOW, to_ns=9, counters={"post": 9}, state=PolicyState.ENABLED, end=WindowEnd.GONE)

    assert window_key(grown) == window_key(WINDOW) == b"c/n#s###tls#7#1"


def test_no_two_windows_have_one_key() -> None:
    """Whatever characters names have."""
    windows = [
        WINDOW,
        replace(WINDOW, from_ns=2),
        replace(WINDOW, policy_id=8),
        replace(WINDOW, session="t"),
        replace(WINDOW, node="m"),
        replace(WINDOW, policy="a#b"),
        replace(WINDOW, namespace="a", policy="b"),
        replace(WINDOW, domain="a", policy="b"),
        replace(WINDOW, policy="a%23b"),
        replace(WINDOW, cluster="", node="c/n"),
    ]

    assert len({*map(window_key, windows)}) == len(windows)

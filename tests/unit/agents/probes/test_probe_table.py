"""Records of runtime.probes become windows of hooks."""

from dataclasses import replace
from typing import Final

from agents.coverage.interval import Interval
from agents.probes.probe_table import ProbeTable
from agents.probes.window_records import window_key
from schemas.probes import AgentAnswer, PolicyState, ProbeWindow, SeenHooks, SeenHookState
from tests.unit.agents.probes.test_hook_windows import FILES, NODE, POLICY, WANTED

WINDOW: Final = ProbeWindow(
    node=NODE.name,
    cluster=NODE.cluster,
    from_ns=10,
    to_ns=20,
    policy="tls",
    state=PolicyState.ENABLED,
    hooks=(SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),),
    spec_digest="d",
)
KEY: Final = window_key(WINDOW)


def hooked(table: ProbeTable) -> list[Interval]:
    """When the watched entry had a hook."""
    return table.hook_windows({"d": POLICY}, FILES).hooked(NODE, WANTED)


def test_the_newest_record_of_a_window_counts() -> None:
    """Windows grow, go, and may be repeated; those of sessions that watch at once are one."""
    table = ProbeTable()
    assert table.take(0, KEY, WINDOW)
    assert not table.take(0, KEY, WINDOW)
    assert hooked(table) == [Interval(10, 20)]

    assert table.take(0, KEY, replace(WINDOW, to_ns=30))
    other = replace(WINDOW, session="t", from_ns=25, to_ns=40)
    assert table.take(0, window_key(other), other)
    assert hooked(table) == [Interval(10, 40)]

    assert table.take(0, KEY, None)
    assert not table.take(0, KEY, None)
    assert hooked(table) == [Interval(25, 40)]


def test_what_no_policy_explains_is_no_hook() -> None:
    """Nor is the agent's own window, which only tells that it was asked."""
    for strange in (
        replace(WINDOW, spec_digest="other"),
        replace(WINDOW, spec_digest=None),
        replace(WINDOW, policy="", answer=AgentAnswer.ANSWERED),
    ):
        table = ProbeTable()
        table.take(0, KEY, strange)
        assert hooked(table) == []
        assert table.hook_windows({"d": POLICY}, FILES).told_until(0) == WINDOW.to_ns


def test_more_windows_than_fit_are_left_out() -> None:
    """Known ones still grow."""
    table = ProbeTable(max_windows=1)
    table.take(0, KEY, WINDOW)
    assert not table.take(1, KEY, WINDOW)
    assert table.left_out
    assert table.take(0, KEY, replace(WINDOW, to_ns=30))
    assert hooked(table) == [Interval(10, 30)]

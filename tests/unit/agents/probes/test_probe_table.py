"""Records of runtime.probes, kept by what they say."""

from dataclasses import replace

from agents.coverage.interval import Interval
from agents.probes.probe_table import NO_WINDOWS, UNTOLD, AgentTold, ProbeTable, SeenAs, unpacked
from schemas.probes import AgentAnswer, ProbeWindow
from tests.unit.agents.probes.test_hook_windows import LOADED, NODE, WINDOW


def kept(table: ProbeTable) -> list[Interval]:
    """When the policy was seen loaded on the node."""
    assert table.seen in ([], [SeenAs("d", (LOADED,))])
    return [one for nodes in table.windows for one in unpacked(nodes.get(table.nodes[NODE], NO_WINDOWS))]


def test_a_window_grows_and_those_of_sessions_that_watch_at_once_are_one() -> None:
    """Records may be repeated, and come in any order."""
    table = ProbeTable()
    for begin, end in ((10, 20), (10, 20), (10, 30), (10, 25), (25, 40), (60, 70), (50, 55)):
        table.take(replace(WINDOW, from_ns=begin, to_ns=end))

    assert kept(table) == [Interval(10, 40), Interval(50, 55), Interval(60, 70)]


def test_more_windows_or_nodes_than_fit_are_left_out() -> None:
    """Known ones still grow."""
    table = ProbeTable(max_windows=1, max_nodes=1)
    table.take(WINDOW)
    assert not table.left_out
    table.take(replace(WINDOW, from_ns=30, to_ns=40))
    assert table.left_out
    table.take(replace(WINDOW, to_ns=25))
    assert kept(table) == [Interval(10, 25)]

    table = ProbeTable(max_nodes=1)
    table.take(WINDOW)
    table.take(replace(WINDOW, node="other"))
    assert (table.left_out, list(table.told)) == (True, [NODE])


def test_what_an_agent_told_of_itself_is_known_by_node() -> None:
    """The newest record says when; whether it answers is in the agent's own records."""
    table = ProbeTable()
    own = ProbeWindow(node=NODE.name, cluster=NODE.cluster, from_ns=1, to_ns=5, agent_version="v1.8.0")
    assert table.told.get(NODE, UNTOLD).answer is None
    table.take(own)
    assert table.told[NODE] == AgentTold(5, AgentAnswer.ANSWERED, "v1.8.0")
    table.take(replace(WINDOW, hooks=()))
    assert table.told[NODE] == AgentTold(20, AgentAnswer.ANSWERED, "v1.8.0")
    table.take(WINDOW)
    table.take(replace(own, to_ns=4, answer=AgentAnswer.REFUSED))
    assert table.told[NODE] == AgentTold(20, AgentAnswer.ANSWERED, "v1.8.0", tells_hooks=True)
    table.take(replace(own, to_ns=30, answer=AgentAnswer.UNIMPLEMENTED, agent_version=""))
    assert table.told[NODE].answer is AgentAnswer.UNIMPLEMENTED

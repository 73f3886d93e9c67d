"""What agents said last of the policies that have probes in a file."""

from dataclasses import replace

import pytest

from agents.probes.policy_file import TracingPolicy, read_policy
from agents.vulnerabilities.verdict import ProbeSeen
from app.vulnerabilities.probe_states import probe_states
from app.vulnerabilities.watching import probe_row, probe_words
from schemas.probes import PolicyState, ProbeWindow, SeenHooks, SeenHookState, WindowEnd

BUILD_ID = "ab" * 20
LOADED = ProbeWindow(
    node="n1",
    policy="ours",
    from_ns=10**9,
    to_ns=2 * 10**9,
    state=PolicyState.ENABLED,
    hooks=(SeenHooks("uprobes", 0, 2, SeenHookState.LOADED), SeenHooks("uprobes", 3, 1, SeenHookState.LOADED)),
)


def _policy(name: str) -> TracingPolicy:
    hook = {"path": "/app", "offsets": [1], "binaryDigests": [f"build-id:{BUILD_ID}"]}
    read = read_policy({"kind": "TracingPolicy", "metadata": {"name": name}, "spec": {"uprobes": [hook]}})
    assert isinstance(read, TracingPolicy)
    return read


def test_the_newest_word_of_each_node_counts() -> None:
    """Of policies that have a probe in the file; others say nothing of it."""
    rejected = replace(
        LOADED, from_ns=3 * 10**9, to_ns=4 * 10**9, hooks=(SeenHooks("uprobes", 0, 1, SeenHookState.DIGEST_REJECTED),)
    )
    windows = [rejected, LOADED, replace(LOADED, node="n2"), replace(LOADED, policy="theirs", to_ns=9 * 10**9)]
    [first, second] = probe_states(windows, [_policy("ours")])[BUILD_ID]

    assert (first.node, first.hooks, first.is_loaded) == ("n1", ((SeenHookState.DIGEST_REJECTED, 1),), False)
    assert (second.node, second.hooks, second.is_loaded) == ("n2", ((SeenHookState.LOADED, 3),), True)
    assert probe_words(first) == "ours on n1: Enabled, 1 DigestRejected, until 1970-01-01T00:00:04Z"


def test_a_policy_that_is_gone_is_not_loaded() -> None:
    """Nor is one of which the agent tells no hook."""
    gone = ProbeSeen(policy="p", node="n", state=PolicyState.ENABLED, hooks=((SeenHookState.LOADED, 1),))

    assert gone.is_loaded
    assert not replace(gone, end=WindowEnd.GONE).is_loaded
    assert not replace(gone, hooks=()).is_loaded
    assert not replace(gone, state=PolicyState.LOAD_ERROR).is_loaded


@pytest.mark.parametrize("state", PolicyState)
def test_a_policy_with_an_error_has_the_command_that_shows_it(state: PolicyState) -> None:
    """The words are the agent's alone, for they may name private files."""
    probe = ProbeSeen(policy="p", node="n", state=state)
    command = "callstream doctor tetragon" if state in {PolicyState.LOAD_ERROR, PolicyState.ERROR} else ""

    assert probe_row(probe)["command"] == command

"""Whether a policy of somebody's own answers for a function, and each reason why it does not."""

import copy
from typing import Any

import pytest

from agents.vulnerabilities.policy_check import HookLimit, PlaceAnswer, check_policy
from agents.vulnerabilities.probing import ProbePlace
from agents.vulnerabilities.tracing_policy import PolicyOptions, ProbedFile, ProbePolicy, probe_policy

_FILE = ProbedFile("/procRoot/1/root/bin/server", "ab" * 32, "cd" * 20, (ProbePlace(0x1000, "a.F"),))
_ADDRESSES = {0x1000: 0x401000}


def _own() -> dict[str, Any]:
    policy = probe_policy(_FILE, PolicyOptions("1.8.0"))
    assert isinstance(policy, ProbePolicy)
    return copy.deepcopy(policy.document)


def _reasons(document: Any) -> tuple[HookLimit, ...]:
    (answer,) = check_policy(document, _FILE, _ADDRESSES)
    return answer.reasons


def test_our_own_policy_answers() -> None:
    """For every place that it has."""
    assert check_policy(_own(), _FILE, _ADDRESSES) == (PlaceAnswer(_FILE.places[0], ()),)


@pytest.mark.parametrize("hook", [{"offsets": [0x1000]}, {"addrs": [0x401000]}, {"symbols": ["a.F"]}])
def test_a_hook_may_name_the_place_in_three_ways(hook: dict[str, Any]) -> None:
    """By offset, address or symbol."""
    document = _own()
    probe = document["spec"]["uprobes"][0]
    del probe["offsets"]
    probe.update(hook)

    assert _reasons(document) == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"return": True}, HookLimit.RETURN),
        ({"offsets": [0x1004]}, HookLimit.NO_HOOK),
        ({"path": "/bin/server"}, HookLimit.NO_HOOK),
        ({"binaryDigests": []}, HookLimit.NOT_BOUND),
        ({"binaryDigests": ["sha256:00"]}, HookLimit.OTHER_BUILD),
        ({"selectors": [{"matchBinaries": [{"operator": "In", "values": ["/x"]}]}]}, HookLimit.FILTERED),
        ({"selectors": [{"matchActions": [{"action": "NoPost"}]}]}, HookLimit.NOT_POSTED),
        (
            {"selectors": [{"matchPIDs": [{"values": [1]}], "matchActions": [{"action": "NoPost"}]}, {}]},
            HookLimit.NOT_POSTED,
        ),
        ({"selectors": [{"matchActions": [{"action": "Post", "rateLimit": "5m"}]}]}, HookLimit.RATE),
    ],
)
def test_a_hook_that_does_not_see_every_call_has_its_reason(change: dict[str, Any], reason: HookLimit) -> None:
    """One for each kind."""
    document = _own()
    document["spec"]["uprobes"][0].update(change)

    assert _reasons(document) == (reason,)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"podSelector": {"matchLabels": {"app": "x"}}}, HookLimit.SOME_WORKLOADS),
        ({"hostSelector": {}}, HookLimit.SOME_WORKLOADS),
        ({"nodeSelector": {"matchLabels": {"a": "b"}}}, HookLimit.SOME_NODES),
    ],
)
def test_a_policy_for_a_part_says_so(change: dict[str, Any], reason: HookLimit) -> None:
    """Older agents ignored some of these, so events may be of more than it says."""
    document = _own()
    document["spec"].update(change)

    assert _reasons(document) == (reason,)


def test_a_policy_of_a_namespace_has_no_user_probes() -> None:
    """Agents reject it."""
    assert _reasons({**_own(), "kind": "TracingPolicyNamespaced"}) == (HookLimit.NAMESPACED,)


def test_the_best_of_several_hooks_counts() -> None:
    """One that sees every call is enough."""
    document = _own()
    document["spec"]["uprobes"].insert(0, {**document["spec"]["uprobes"][0], "return": True})

    assert _reasons(document) == ()


@pytest.mark.parametrize("document", [None, [], {}, {"spec": []}, {"spec": {"uprobes": [1, {"path": 1}]}}])
def test_what_is_no_policy_has_no_hook(document: Any) -> None:
    """Whatever it is."""
    assert _reasons(document) == (HookLimit.NO_HOOK,)

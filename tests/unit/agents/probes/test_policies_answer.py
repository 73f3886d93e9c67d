"""An agent's list of its policies."""

from collections.abc import Iterator
from typing import Final

import pytest
from google.protobuf.wrappers_pb2 import UInt32Value

from agents.probes.policies_answer import MAX_HOOK_STATUSES, MAX_POLICIES, policies_in
from agents.probes.policy_seen import PolicySeen
from schemas.probes import PolicyState, SeenHooks, SeenHookState
from schemas.tetragon.policies_pb2 import (
    HookState,
    HookStatus,
    ListTracingPoliciesResponse,
    TracingPolicyActionCounters,
    TracingPolicySelectorActionCounters,
    TracingPolicyState,
    TracingPolicyStats,
    TracingPolicyStatus,
)

LOADED: Final = HookState.STATUS_LOADED


def answer(*policies: TracingPolicyStatus) -> bytes:
    """An answer with these."""
    return ListTracingPoliciesResponse(policies=policies).SerializeToString()


def hooks(*states: tuple[str, int, HookState]) -> tuple[SeenHooks, ...]:
    """What is read of a policy with these hooks."""
    statuses = [HookStatus(section=section, hook_idx=at, state=state) for section, at, state in states]
    found = policies_in(answer(TracingPolicyStatus(name="a", hook_statuses=statuses)), {})
    assert not isinstance(found, str)
    return found[0].hooks


def test_a_policy_is_read_with_its_counters_and_the_digest_of_its_file() -> None:
    """Counters of the whole policy by their names, those of a selector by its place."""
    counted = TracingPolicySelectorActionCounters(
        hook="uprobe",
        hook_index=UInt32Value(value=1),
        selector_index=UInt32Value(value=2),
        action_counters=TracingPolicyActionCounters(post=4),
    )
    stats = TracingPolicyStats(
        action_counters=TracingPolicyActionCounters(post=5, nopost=1), selector_action_counters=[counted]
    )
    policy = TracingPolicyStatus(
        id=7, name="tls", namespace="shop", domain="d", state=TracingPolicyState.TP_STATE_ENABLED, stats=stats
    )

    assert policies_in(answer(policy), {("shop", "tls"): "digest", ("", "tls"): "other"}) == (
        PolicySeen(
            name="tls",
            namespace="shop",
            domain="d",
            policy_id=7,
            state=PolicyState.ENABLED,
            counters={"post": 5, "nopost": 1, "uprobe/1/2/post": 4},
            spec_digest="digest",
        ),
    )
    assert policies_in(b"", {}) == ()


def test_hooks_that_follow_each_other_are_one_run() -> None:
    """In any order, repeated ones once; sections that nobody knows are one."""
    rejected = HookState.STATUS_DIGEST_REJECTED
    found = hooks(
        ("uprobes", 2, LOADED),
        ("uprobes", 0, LOADED),
        ("uprobes", 1, LOADED),
        ("uprobes", 1, LOADED),
        ("uprobes", 3, rejected),
        ("uprobes", 4, LOADED),
        ("kprobes", 5, LOADED),
        ("/secret", 0, LOADED),
    )

    assert found == (
        SeenHooks("kprobes", 5, 1, SeenHookState.LOADED),
        SeenHooks("other", 0, 1, SeenHookState.LOADED),
        SeenHooks("uprobes", 0, 3, SeenHookState.LOADED),
        SeenHooks("uprobes", 3, 1, SeenHookState.DIGEST_REJECTED),
        SeenHooks("uprobes", 4, 1, SeenHookState.LOADED),
    )
    assert hooks(("uprobes", 0, LOADED), ("uprobes", 0, rejected)) == (
        SeenHooks("uprobes", 0, 1, SeenHookState.DIGEST_REJECTED),
        SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),
    )


def test_every_state_of_the_agent_has_a_word() -> None:
    """Only those that say nothing are unknown, and one of a newer agent."""
    states = [TracingPolicyStatus(name=str(number), state=name) for name, number in TracingPolicyState.items()]
    newer = TracingPolicyStatus.FromString(b"\x48\x63")
    found = policies_in(answer(*states, newer), {})
    assert not isinstance(found, str)

    assert [policy.state for policy in found] == [*PolicyState, PolicyState.UNKNOWN]
    assert [hooks(("uprobes", 0, state))[0].state for state in _hook_states()] == list(SeenHookState)


def _hook_states() -> Iterator[HookState]:
    for number in HookState.values():
        yield HookStatus.FromString(bytes([0x10, number])).state


@pytest.mark.parametrize(
    ("strange", "reason"),
    [
        (b"\x0a\x7f", "it is not a list of policies"),
        (answer(*[TracingPolicyStatus()] * (MAX_POLICIES + 1)), f"it has more than {MAX_POLICIES:,} policies"),
        (
            answer(TracingPolicyStatus(hook_statuses=[HookStatus()] * (MAX_HOOK_STATUSES + 1))),
            f"a policy has more than {MAX_HOOK_STATUSES:,} hooks",
        ),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(strange: bytes, reason: str) -> None:
    """Nothing of it is used."""
    assert policies_in(strange, {}) == reason

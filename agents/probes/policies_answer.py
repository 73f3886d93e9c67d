"""Reads an agent's answer to ListTracingPolicies, within limits."""

from collections.abc import Iterable, Mapping
from typing import Final

from google.protobuf.message import DecodeError

from agents.probes.policy_seen import PolicySeen
from schemas.probes import PolicyState, SeenHooks, SeenHookState
from schemas.tetragon.policies_pb2 import (
    HookState,
    HookStatus,
    ListTracingPoliciesResponse,
    TracingPolicyActionCounters,
    TracingPolicyState,
    TracingPolicyStatus,
)

MAX_POLICIES: Final = 1_000
"""Of one agent. Each has a record of its own that grows twice a minute."""

MAX_HOOK_STATUSES: Final = 10_000
"""Of one policy, as many as hooks of a file."""

_STATES: Final[Mapping[int, PolicyState]] = {
    TracingPolicyState.TP_STATE_ENABLED: PolicyState.ENABLED,
    TracingPolicyState.TP_STATE_DISABLED: PolicyState.DISABLED,
    TracingPolicyState.TP_STATE_LOAD_ERROR: PolicyState.LOAD_ERROR,
    TracingPolicyState.TP_STATE_ERROR: PolicyState.ERROR,
    TracingPolicyState.TP_STATE_LOADING: PolicyState.LOADING,
    TracingPolicyState.TP_STATE_UNLOADING: PolicyState.UNLOADING,
    TracingPolicyState.TP_STATE_SKIPPED: PolicyState.SKIPPED,
    TracingPolicyState.TP_STATE_PARTIALLY_ENABLED: PolicyState.PARTIALLY_ENABLED,
}
_HOOK_STATES: Final[Mapping[int, SeenHookState]] = {
    HookState.STATUS_LOADED: SeenHookState.LOADED,
    HookState.STATUS_DIGEST_REJECTED: SeenHookState.DIGEST_REJECTED,
    HookState.STATUS_CALL_NOT_FOUND: SeenHookState.CALL_NOT_FOUND,
    HookState.STATUS_PARTIAL_CALL_NOT_FOUND: SeenHookState.PARTIAL_CALL_NOT_FOUND,
}
_SECTIONS: Final = frozenset({"kprobes", "uprobes"})
_OTHER_SECTION: Final = "other"


def policies_in(answer: bytes, digests: Mapping[tuple[str, str], str]) -> tuple[PolicySeen, ...] | str:
    """The policies of an answer, or a word that says why it cannot be used.

    `digests` are those of the operator's files, by namespace and name.
    """
    try:
        found = ListTracingPoliciesResponse.FromString(answer)
    except DecodeError:
        return "it is not a list of policies"
    if len(found.policies) > MAX_POLICIES:
        return f"it has more than {MAX_POLICIES:,} policies"
    if any(len(policy.hook_statuses) > MAX_HOOK_STATUSES for policy in found.policies):
        return f"a policy has more than {MAX_HOOK_STATUSES:,} hooks"
    return tuple(_policy(policy, digests) for policy in found.policies)


def errors_in(answer: bytes) -> dict[tuple[str, str], str]:
    """What an answer that `policies_in` reads says of its errors, by namespace and name, in the agent's own words.

    Such words may name any file of the node, so they are shown to who asks the agent, and no record has them.
    """
    found = ListTracingPoliciesResponse.FromString(answer)
    return {(one.namespace, one.name): one.error for one in found.policies if one.error}


def _policy(status: TracingPolicyStatus, digests: Mapping[tuple[str, str], str]) -> PolicySeen:
    return PolicySeen(
        name=status.name,
        namespace=status.namespace,
        domain=status.domain,
        policy_id=status.id,
        state=_STATES.get(status.state, PolicyState.UNKNOWN),
        hooks=tuple(_runs(status.hook_statuses)),
        counters=_counters(status),
        spec_digest=digests.get((status.namespace, status.name)),
    )


def _runs(statuses: Iterable[HookStatus]) -> list[SeenHooks]:
    """Hooks in order, those that follow each other with one state together; one of two states is in two runs."""
    hooks = sorted(
        {
            (
                one.section if one.section in _SECTIONS else _OTHER_SECTION,
                _HOOK_STATES.get(one.state, SeenHookState.UNKNOWN),
                one.hook_idx,
            )
            for one in statuses
        }
    )
    runs: list[SeenHooks] = []
    for section, state, at in hooks:
        last = runs[-1] if runs else None
        if last is not None and (last.section, last.state, last.first + last.count) == (section, state, at):
            runs[-1] = SeenHooks(section, last.first, last.count + 1, state)
        else:
            runs.append(SeenHooks(section, at, 1, state))
    return sorted(runs)


def _counters(status: TracingPolicyStatus) -> dict[str, int]:
    """By the agent's names; those of a selector after its place, for another one may stand there after a reload."""
    found = _counts("", status.stats.action_counters)
    for one in status.stats.selector_action_counters:
        found |= _counts(f"{one.hook}/{one.hook_index.value}/{one.selector_index.value}/", one.action_counters)
    return found


def _counts(place: str, counters: TracingPolicyActionCounters) -> dict[str, int]:
    return {f"{place}{field.name}": count for field, count in counters.ListFields()}

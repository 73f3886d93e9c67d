"""What one answer of an agent says of one policy, and whether a later answer is of the same loading of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.probes import PolicyState, SeenHooks


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySeen:
    """A policy as one answer has it.

    `policy_id` is another one each time that a policy is added. `counters` are those of the kernel, by name; a policy
    that was loaded again counts from 0.
    """

    name: str
    namespace: str = ""
    domain: str = ""
    policy_id: int = 0
    state: PolicyState = PolicyState.UNKNOWN
    hooks: tuple[SeenHooks, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    spec_digest: str | None = None
    """Of the file that the operator gave under this name when the answer came; None where there was none."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Domain, namespace and name: an agent has no two policies with the same."""
        return self.domain, self.namespace, self.name

    def goes_on_from(self, before: "PolicySeen") -> bool:
        """False if the policy was loaded again, or changed, since an earlier answer, as far as the two tell."""
        if (self.key, self.policy_id, self.state, self.hooks, self.spec_digest) != (
            before.key,
            before.policy_id,
            before.state,
            before.hooks,
            before.spec_digest,
        ):
            return False
        return not fell(before.counters, self.counters)


def fell(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether a counter is smaller than it was; one that is gone was set back."""
    return any(now.get(name, -1) < count for name, count in before.items())

"""What the agent said last of its policies, as gauges of ingest."""

from collections import Counter
from collections.abc import Callable

from app.ingest.policy_questions import PolicyAnswer
from app.telemetry import state_metrics
from app.telemetry.meter import Meter
from schemas.probes import AgentAnswer
from schemas.units import NS_PER_SECOND


def policy_gauges(meter: Meter) -> Callable[[PolicyAnswer], None]:
    """What takes each answer."""

    def tell(found: PolicyAnswer) -> None:
        policies = Counter(policy.state.value for policy in found.policies)
        hooks: Counter[str] = Counter()
        for policy in found.policies:
            for several in policy.hooks:
                hooks[several.state.value] += several.count
        with meter.together():
            meter.set(state_metrics.POLICIES_TOLD, found.answered_ns / NS_PER_SECOND)
            is_it: dict[tuple[str, ...], float] = {
                (one.value,): float(one is found.answer) for one in AgentAnswer if one is not AgentAnswer.UNKNOWN
            }
            meter.replace(state_metrics.POLICIES_ANSWER, is_it)
            meter.replace(state_metrics.TRACING_POLICIES, {(state,): count for state, count in policies.items()})
            meter.replace(state_metrics.POLICY_HOOKS, {(state,): count for state, count in hooks.items()})

    return tell

"""Windows of an agent's policies that one ingest leaves and another one makes longer."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from agents.probes.policy_tracker import PolicyWindow
from app.evidence.typed_fields import MAX_COUNT
from schemas.node import NodeId
from schemas.probes import AgentAnswer, ProbeWindow

_PLACE: Final = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWindows:
    """They keep the session under which they began, so that they go on under their keys."""

    node: str
    cluster: str
    session: str
    agent_version: str
    from_ns: int
    to_ns: int
    answer: AgentAnswer
    """The window of the agent itself."""
    policies: tuple[PolicyWindow, ...]

    @property
    def node_id(self) -> NodeId:
        """The node whose windows they are."""
        return NodeId(self.cluster, self.node)


def open_windows(agent: ProbeWindow, agent_version: str, policies: Iterable[PolicyWindow]) -> OpenWindows:
    """What can be left: numbers within 64 bits, and no counters of parts of a policy, whose names may be paths."""
    left = []
    for window in policies:
        policy = window.policy
        counters = {name: count for name, count in policy.counters.items() if _PLACE not in name}
        if max(policy.policy_id, *counters.values(), 0) <= MAX_COUNT:
            left.append(replace(window, policy=replace(policy, counters=counters)))
    return OpenWindows(
        node=agent.node,
        cluster=agent.cluster,
        session=agent.session,
        agent_version=agent_version,
        from_ns=agent.from_ns,
        to_ns=agent.to_ns,
        answer=agent.answer,
        policies=tuple(left),
    )


def agent_window(left: OpenWindows) -> ProbeWindow:
    """The window of the agent itself."""
    return ProbeWindow(
        node=left.node,
        cluster=left.cluster,
        session=left.session,
        from_ns=left.from_ns,
        to_ns=left.to_ns,
        answer=left.answer,
        agent_version=left.agent_version,
    )

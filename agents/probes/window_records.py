"""Windows as records of runtime.probes, and the keys under which they grow.

All of a node are in one partition, as on runtime.coverage (`agents/coverage/keys.py`).
"""

from collections.abc import Callable
from typing import Final

from agents.probes.policy_tracker import PolicyWindow
from schemas.node import NodeId
from schemas.probes import ProbeWindow
from schemas.text_limits import cut_place

_BETWEEN: Final = "#"
_PLACE: Final = "/"
"""Stands in the names of counters of a part of a policy, whose hook may be called by a path; they are not told."""


def window_record(
    window: PolicyWindow, node: NodeId, session: str, agent_version: str, public_name: Callable[[str], str]
) -> ProbeWindow:
    """The record of a policy's window. `public_name` turns a name into what may stand on a public topic."""
    policy = window.policy
    name, namespace, domain = (
        cut_place(public_name(text)) if text else "" for text in (policy.name, policy.namespace, policy.domain)
    )
    return ProbeWindow(
        node=node.name,
        cluster=node.cluster,
        session=session,
        from_ns=window.from_ns,
        to_ns=window.to_ns,
        agent_version=agent_version,
        policy=name,
        namespace=namespace,
        domain=domain,
        policy_id=policy.policy_id,
        state=policy.state,
        hooks=policy.hooks,
        counters={name: count for name, count in sorted(policy.counters.items()) if _PLACE not in name},
        spec_digest=policy.spec_digest,
        end=window.end,
    )


def window_key(record: ProbeWindow) -> bytes:
    """The record's key: a window keeps it while it grows, and no other has it."""
    places = (str(record.node_id), record.session or "-", record.domain, record.namespace, record.policy)
    parts = [place.replace("%", "%25").replace(_BETWEEN, "%23") for place in places]
    return _BETWEEN.join([*parts, str(record.policy_id), str(record.from_ns)]).encode("utf-8", "surrogatepass")

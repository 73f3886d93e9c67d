"""What agents said last of the policies that have probes in a file, by the file's build id."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from agents.probes.policy_file import TracingPolicy
from agents.vulnerabilities.verdict import ProbeSeen
from app.kafka.decoded_records import decoded_records
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.settings import Settings
from app.tracing_policies.folder import PolicyFolder
from schemas import topics
from schemas.node import NodeId
from schemas.probes import ProbeWindow, SeenHookState, from_record


def read_probe_states(settings: Settings, refused: RefusedRecords) -> dict[str, tuple[ProbeSeen, ...]]:
    """Those of the policies in CALLSTREAM_TRACING_POLICIES_DIR; none where it is not set.

    Raises KafkaUnreachableError, KafkaUnusableError, RegistryError.
    """
    if settings.tracing_policies_dir is None:
        return {}
    policies = PolicyFolder(settings.tracing_policies_dir).look().policies.values()
    records = (document for _, document in decoded_records(settings, topics.PROBES, refused))
    return probe_states((from_record(one) for one in records if not isinstance(one, RecordFault)), policies)


def probe_states(windows: Iterable[ProbeWindow], policies: Iterable[TracingPolicy]) -> dict[str, tuple[ProbeSeen, ...]]:
    """For each build id that a policy's hook names, what each node's agent said last of that policy."""
    files: Mapping[tuple[str, str], set[str]] = defaultdict(set)
    for policy in policies:
        files[policy.key].update(build_id for hook in policy.hooks for build_id in hook.build_ids)
    newest: dict[tuple[NodeId, tuple[str, str]], ProbeWindow] = {}
    for window in windows:
        place = window.node_id, (window.namespace, window.policy)
        if place[1] in files and (place not in newest or newest[place].to_ns <= window.to_ns):
            newest[place] = window
    found: dict[str, set[ProbeSeen]] = defaultdict(set)
    for (node, key), window in newest.items():
        for build_id in files[key]:
            found[build_id].add(_seen(node, window))
    return {build_id: tuple(sorted(several)) for build_id, several in found.items()}


def _seen(node: NodeId, window: ProbeWindow) -> ProbeSeen:
    counts = Counter[SeenHookState]()
    for one in window.hooks:
        counts[one.state] += one.count
    return ProbeSeen(
        policy=window.policy,
        node=str(node),
        state=window.state,
        hooks=tuple(sorted(counts.items())),
        end=window.end,
        from_ns=window.from_ns,
        until_ns=window.to_ns,
        agent_version=window.agent_version,
    )

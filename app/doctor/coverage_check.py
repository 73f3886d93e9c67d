"""Checks of what ingests said: whether two of them vouch for one node, and whether nodes have fallen silent."""

import time
from collections.abc import Iterator
from typing import Final

from agents.coverage.completeness import silent_nodes
from agents.coverage.node_coverage import NodeCoverage
from app.doctor.findings import CheckFinding, ok, warn
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.decoded_records import decoded_records
from app.kafka.refused import RefusedRecords
from app.kafka.registry import RegistryError
from app.kafka.schemas import RecordFault
from app.nodes.known_nodes import NodeRowsError, known_nodes
from app.operators.times import time_text
from app.settings import Settings
from schemas import topics
from schemas.coverage import from_record
from schemas.node import NodeId

_SINCE_SECONDS: Final = 900.0
"""Heartbeats are a minute late and come every ten seconds, so this has several of every ingest."""

_MAX_NAMED: Final = 5


def check_coverage(settings: Settings) -> Iterator[CheckFinding]:
    """Whether each node was vouched for by one ingest at a time, and still is."""
    yield from _vouched_once(settings)
    yield from _not_silent(settings)


def _not_silent(settings: Settings) -> Iterator[CheckFinding]:
    """Whether nodes have fallen silent that nobody has retired, by the workers' table."""
    try:
        nodes = known_nodes(settings)
    except (KafkaUnreachableError, KafkaUnusableError, NodeRowsError) as error:
        yield warn(f"the table of node coverage cannot be read: {error}", "see kafka and topics above")
        return
    silent = silent_nodes(nodes, time.time_ns())
    if not silent:
        yield ok("no node has fallen silent that nobody has retired")
        return
    named = ", ".join(str(node) for node in silent[:_MAX_NAMED])
    yield warn(
        f"{len(silent)} nodes have fallen silent ({named}): each is a gap that grows; no watch is NeverHit",
        "start ingest there, or if a node is gone: callstream nodes retire NODE --at TIME, or callstream nodes follow",
    )


def _vouched_once(settings: Settings) -> Iterator[CheckFinding]:
    """Whether each node was vouched for by one ingest at a time."""
    nodes: dict[NodeId, NodeCoverage] = {}
    since_ms = int((time.time() - _SINCE_SECONDS) * 1000)
    try:
        for _, found in decoded_records(settings, topics.COVERAGE, RefusedRecords(), since_ms=since_ms):
            if not isinstance(found, RecordFault) and not (record := from_record(found)).skipped:
                nodes.setdefault(record.node_id, NodeCoverage()).add([record])
    except (KafkaUnreachableError, KafkaUnusableError, RegistryError) as error:
        yield warn(f"runtime.coverage cannot be read: {error}", "see kafka, topics and registry above")
        return
    twice = {node: known.twice[-1] for node, known in sorted(nodes.items()) if known.twice}
    if not twice:
        yield ok(
            f"{len(nodes)} nodes had records in the last {_SINCE_SECONDS / 60:.0f} minutes, of one ingest at a time"
        )
        return
    named = ", ".join(f"{node} until {time_text(one.to_ns)}" for node, one in list(twice.items())[:_MAX_NAMED])
    yield warn(
        f"two ingests vouched at once for {len(twice)} nodes ({named}): their events may be counted twice, or two "
        "agents have one name",
        "stop one of the ingests, or give each agent's node a name of its own (or a cluster name)",
    )

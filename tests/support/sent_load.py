"""A generated load on the raw topic of a pipeline, as ingest writes it, and what its first two stages have left."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from confluent_kafka import Producer

from app.ingest.keys import KeyReader
from app.simulator.workload.generator import SHARES, Workload, WorkloadOptions
from schemas import topics
from schemas.node import NodeId
from tests.support.pipeline_run import PipelineRun

_SHARES: Final = {kind: share for kind, share in SHARES.items() if kind != "throttle"}
"""Kinds of events that are of a process."""


def process_events(count: int) -> Iterator[bytes]:
    """So many events of processes."""
    return Workload(WorkloadOptions(events=count, shares=_SHARES)).events()


def send_load(run: PipelineRun, events: Sequence[bytes]) -> None:
    """Send events with the keys that ingest gives them."""
    producer = Producer({"bootstrap.servers": run.settings.kafka_bootstrap_servers, "partitioner": "murmur2_random"})
    for event, key in zip(events, KeyReader(NodeId("", "node-1")).read(events).keys, strict=True):
        producer.produce(run.settings.name(topics.RAW), event, key)
    assert producer.flush(30) == 0


def uncommitted(run: PipelineRun) -> int:
    """Records that the first two stages have not committed."""
    asked = run.books("--json")
    assert asked.stdout, f"{asked!r} {asked.output}"
    stages = json.loads(asked.stdout)["stages"]
    return sum(stage["waiting"] for stage in stages if stage["stage"] != "hot-symbols")

"""Files that processes map on nodes are told on runtime.placements by real ingests on a real broker."""

from pathlib import Path
from typing import Any

import pytest

from agents.coverage.keys import node_partition
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from schemas import topics
from schemas.node import NodeId
from schemas.placements import FilePlacement, decode
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.breakable_broker import BreakableBroker
from tests.support.ingest_process import IngestSite, wait_for

pytestmark = pytest.mark.integration

EVERYWHERE, ONE_NODE = "a1" * 20, "b2" * 20


def _loader(node: str, build_id: str) -> bytes:
    event: Any = GetEventsResponse(node_name=node, cluster_name="east")
    event.process_loader.process.exec_id = f"{node}:1:2"
    event.process_loader.path, event.process_loader.buildid = "/usr/lib/libssl.so.3", bytes.fromhex(build_id)
    return bytes(event.SerializeToString())


def _placements(site: IngestSite) -> list[tuple[FilePlacement, int]]:
    """What is on the topic, with the partition."""
    records = site.records(topics.PLACEMENTS)
    return [(decode(one.value() or b""), one.partition() or 0) for one in records]


def test_each_node_tells_of_the_files_that_its_processes_mapped(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Once for each ingest that saw it, all of a node in one partition; the next ingest tells under its own session."""
    files = {"n1": (EVERYWHERE, ONE_NODE, ONE_NODE), "n2": (EVERYWHERE,)}
    site = IngestSite(embedded, topic_prefix, tmp_path)
    expected = 0
    for node in ("n1", "n2", "n2"):
        expected += len(set(files[node]))
        events = Recording.of([_loader(node, build_id) for build_id in files[node]])
        with (
            SimulatorServer(events) as server,
            site.ingest(server.address, data_dir=tmp_path / f"data-{node}") as ingest,
        ):
            wait_for(lambda: len(_placements(site)) >= expected, "the files of a node")
            assert ingest.stop()[0] == 0
    found = _placements(site)

    assert sorted((one.node_id, one.build_id) for one, _ in found) == [
        (NodeId("east", "n1"), EVERYWHERE),
        (NodeId("east", "n1"), ONE_NODE),
        (NodeId("east", "n2"), EVERYWHERE),
        (NodeId("east", "n2"), EVERYWHERE),
    ]
    assert len({(one.node, one.session) for one, _ in found}) == 3
    assert all(partition == node_partition(one.node_id, 3) for one, partition in found)
    assert all(0 < one.from_ns <= one.to_ns for one, _ in found)

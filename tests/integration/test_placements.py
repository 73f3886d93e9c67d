"""Files that processes map on nodes, from real ingests over a real broker to the answers of watches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.coverage.keys import node_partition
from app.embedded.broker import EmbeddedBroker
from app.ingest.record_writer import placement_writer
from app.settings import load
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from app.stages.worker import registered_id
from schemas import topics
from schemas.coverage import GapCause
from schemas.node import NodeId
from schemas.placements import FilePlacement, decode
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.breakable_broker import BreakableBroker
from tests.support.ingest_process import IngestSite, wait_for
from tests.support.watch_scene import DAY, watch_scene

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


def _run_until_told(site: IngestSite, data_dir: Path, events: list[bytes], *, told: int) -> None:
    """Run an ingest until the topic has so many records."""
    with SimulatorServer(Recording.of(events)) as server, site.ingest(server.address, data_dir=data_dir) as ingest:
        ingest.await_written(len(events))
        wait_for(lambda: len(_placements(site)) >= told, "the files of a node")
        assert ingest.stop()[0] == 0


def test_each_node_tells_of_the_files_that_its_processes_mapped(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Once for each ingest that saw it, all of a node in one partition; the next ingest tells under its own session."""
    files = {"n1": (EVERYWHERE, ONE_NODE, ONE_NODE), "n2": (EVERYWHERE,)}
    site = IngestSite(embedded, topic_prefix, tmp_path)
    for node, told in (("n1", 2), ("n2", 3), ("n2", 4)):
        events = [_loader(node, build_id) for build_id in files[node]]
        _run_until_told(site, tmp_path / f"data-{node}", events, told=told)
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


def test_an_answer_says_how_much_is_missing_where_the_file_was_seen(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """A gap on a node on which nobody saw the file keeps "never" away: it may have run there all the same."""
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.environ |= {"HOT_HORIZON_SECONDS": "1", "HOT_REFRESH_SECONDS": "1"}
        it.know_file("/usr/lib/libssl.so.3", ONE_NODE, ["inflate"])
        for node in ("n1", "n2"):
            it.cover(20 * DAY, -DAY, node=node)
        it.cover(3 * DAY, 2 * DAY, GapCause.OVERFLOW, node="n2")
        settings = load(it.environ)
        schema_id = registered_id(settings, topics.PLACEMENTS)
        config = {"bootstrap.servers": settings.kafka_bootstrap_servers}
        writer = placement_writer(settings, config, lambda _topic, _schema: schema_id)
        seen_ns = it.now_ns - 8 * DAY
        seen = FilePlacement(node="n1", session="s", build_id=ONE_NODE, from_ns=seen_ns, to_ns=seen_ns)
        assert writer.write([seen, replace(seen, node="n2", build_id=EVERYWHERE)])
        assert writer.flush(30)
        it.add_worker()
        it.watch_as_a_service("inflate", ago_ns=10 * DAY, build_id=ONE_NODE, every_call_probed=True)
        found = it.await_answer(f"{ONE_NODE}!inflate", lambda answer: answer["sighted_nodes"] == 1)

        assert found["answer"] == "NotSeen"
        assert (found["nodes"], found["placed_nodes"]) == (2, 2)
        assert found["missing_ms"] == found["placed_missing_ms"] == DAY // 1_000_000
        assert (found["sighted_missing_ms"], found["sighted_watched_ms"] // (DAY // 1_000_000)) == (0, 8)
        words = [one["words"] for one in found["reasons"] if one["reason"] == "Missing"]
        assert [text.endswith("; 0 ms of it where its file was seen (nodes: 1)") for text in words] == [True]

        assert writer.write([replace(seen, node="n2", from_ns=seen_ns + DAY)])
        assert writer.flush(30)
        both = it.await_answer(f"{ONE_NODE}!inflate", lambda answer: answer["sighted_nodes"] == 2)
        assert (both["answer"], both["sighted_missing_ms"]) == ("NotSeen", DAY // 1_000_000)
        assert both["sighted_watched_ms"] // (DAY // 1_000_000) == 8 + 6

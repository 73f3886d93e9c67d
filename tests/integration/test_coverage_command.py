"""`callstream coverage` against a real topic: an answer that scripts can rely on."""

import json
import time
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from agents.coverage.keys import NO_NODE
from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.operators.json_text import with_times
from app.operators.times import time_text
from app.settings import from_env
from app.stages.worker import registered_id
from schemas import topics
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId
from tests.support.coverage_records import partition_of, send_coverage

pytestmark = pytest.mark.integration

NODE = "worker-3"
_NS = 1_000_000_000


@dataclass
class _Scene:
    """A coverage topic of one test; times are seconds before `now`."""

    environ: dict[str, str]
    now_s: int

    def publish(self, *gaps: tuple[int, int, GapCause, str]) -> None:
        settings = from_env(self.environ)
        schema_id = registered_id(settings, topics.COVERAGE)
        producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
        for ago, until, cause, node in gaps:
            gap = CoverageGap(
                node=node,
                from_ns=(self.now_s - ago) * _NS,
                to_ns=(self.now_s - until) * _NS,
                cause=cause,
                events_lost=None if cause in {GapCause.HEARTBEAT, GapCause.RECONNECT} else 12,
            )
            send_coverage(producer, settings.name(topics.COVERAGE), gap, schema_id)
        producer.produce(settings.name(topics.COVERAGE), b"no coverage record at all", b"another-node")
        assert producer.flush(30) == 0

    def publish_of(self, node: NodeId, session: str, ago: int, until: int) -> None:
        """A heartbeat as ingest sends it."""
        settings = from_env(self.environ)
        beat = CoverageGap(
            node=node.name,
            cluster=node.cluster,
            session=session,
            from_ns=(self.now_s - ago) * _NS,
            to_ns=(self.now_s - until) * _NS,
            cause=GapCause.HEARTBEAT,
        )
        producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
        send_coverage(producer, settings.name(topics.COVERAGE), beat, registered_id(settings, topics.COVERAGE))
        assert producer.flush(30) == 0

    def publish_nonsense(self, key: bytes, ago: int, node: NodeId) -> None:
        settings = from_env(self.environ)
        producer, topic = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers}), topics.COVERAGE
        partition = partition_of(producer, settings.name(topic), node)
        producer.produce(settings.name(topic), b"no record", key, partition, timestamp=(self.now_s - ago) * 1000)
        assert producer.flush(30) == 0

    def ask(self, ago: int, until: int, *more: str) -> Result:
        window = ["--from", time_text((self.now_s - ago) * _NS), "--to", time_text((self.now_s - until) * _NS)]
        return CliRunner().invoke(cli, ["coverage", "--node", NODE, *window, *more], env=self.environ)


@pytest.fixture
def scene(embedded: EmbeddedBroker, topic_prefix: str) -> _Scene:
    """Topics and schemas, as an operator makes them."""
    environ = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
    }
    made = CliRunner().invoke(cli, ["topics", "apply"], env=environ)
    assert made.exit_code == 0, made.output
    return _Scene(environ, int(time.time()))


def test_trusted_not_trusted_and_unknown_have_exit_codes_of_their_own(scene: _Scene) -> None:
    """0 where heartbeats cover the window, 1 where a gap touches it, 3 where nobody vouched for all of it."""
    scene.publish(
        (900, 600, GapCause.HEARTBEAT, NODE),
        (600, 500, GapCause.RECONNECT, NODE),
        (600, 300, GapCause.HEARTBEAT, NODE),
        (880, 700, GapCause.OVERFLOW, "another-node"),
    )
    assert scene.ask(900, 600).exit_code == 0
    assert scene.ask(500, 300).exit_code == 0
    broken = scene.ask(700, 400)
    assert broken.exit_code == 1
    assert "Reconnect, an unknown number of events" in broken.output
    unknown = scene.ask(400, 0)
    assert unknown.exit_code == 3
    assert "was last vouched for up to" in unknown.output


def test_json_has_the_reasons(scene: _Scene) -> None:
    """A script gets gaps and unvouched spans with their times in nanoseconds."""
    scene.publish((900, 600, GapCause.HEARTBEAT, NODE), (700, 650, GapCause.OVERFLOW, NODE))
    asked = scene.ask(800, 500, "--json")
    document = json.loads(asked.stdout)
    assert (asked.exit_code, document["trust"]) == (1, "not-trusted")
    assert [(gap["cause"], gap["events_lost"]) for gap in document["gaps"]] == [("Overflow", 12)]
    assert document["unvouched"] == [
        with_times({"from_ns": (scene.now_s - 600) * _NS, "to_ns": (scene.now_s - 500) * _NS}),
    ]


def test_dead_letter_is_a_gap(scene: _Scene) -> None:
    """What a stage refused was seen by nobody, so the time of its receipt is not complete, of any node."""
    scene.publish((3_600, 600, GapCause.HEARTBEAT, NODE))
    settings = from_env(scene.environ)
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    producer.produce(settings.name(topics.DEAD_LETTERS), b"a letter", timestamp=(scene.now_s - 2_000) * 1000)
    assert producer.flush(30) == 0

    assert scene.ask(3_600, 2_200).exit_code == 0
    assert scene.ask(1_900, 600).exit_code == 0
    refused = scene.ask(3_600, 600)
    assert refused.exit_code == 1
    assert "Refused, events that no stage could process" in refused.output


def test_a_node_is_its_cluster_and_its_name(scene: _Scene) -> None:
    """The heartbeats of another cluster's node of the same name say nothing, and a hint names that cluster."""
    scene.publish_of(NodeId("east", NODE), "a", 900, 300)

    assert scene.ask(900, 600, "--cluster", "east").exit_code == 0
    assert scene.ask(900, 600, "--cluster", "west").exit_code == 3
    unnamed = scene.ask(900, 600)
    assert unnamed.exit_code == 3
    assert "there are records of east/worker-3; name the --cluster" in unnamed.stderr


def test_a_time_that_two_ingests_vouched_for_is_not_trusted(scene: _Scene) -> None:
    """Two sessions at once; one behind the other is a restart."""
    node = NodeId("east", NODE)
    scene.publish_of(node, "a", 900, 600)
    scene.publish_of(node, "b", 600, 300)
    scene.publish_of(node, "c", 400, 200)

    assert scene.ask(900, 450, "--cluster", "east").exit_code == 0
    twice = scene.ask(450, 250, "--cluster", "east", "--json")
    assert (twice.exit_code, json.loads(twice.stdout)["vouched_twice"]) == (
        1,
        [with_times({"from_ns": (scene.now_s - 400) * _NS, "to_ns": (scene.now_s - 300) * _NS})],
    )
    assert "two ingests vouched for it" in scene.ask(450, 250, "--cluster", "east").output


def test_a_topic_that_is_missing_is_told_with_what_to_do(embedded: EmbeddedBroker, topic_prefix: str) -> None:
    """Exit code 2, and the command that makes it."""
    environ = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
    }
    asked = CliRunner().invoke(
        cli, ["coverage", "--node", NODE, "--from", "1970-01-01T00:00:01Z", "--to", "now"], env=environ
    )
    assert asked.exit_code == 2
    assert "callstream topics apply" in asked.output


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-31T12:00:00"])
def test_a_time_that_could_mean_two_things_is_refused(moment: str) -> None:
    """A time without a zone is not guessed at."""
    asked = CliRunner().invoke(cli, ["coverage", "--node", NODE, "--from", moment, "--to", "now"])
    assert asked.exit_code == 2


def test_a_record_that_cannot_be_read_is_a_gap_of_its_node_or_of_all(scene: _Scene) -> None:
    """It may have said that events are missing, up to an hour before it was written."""
    scene.publish((20_000, 100, GapCause.HEARTBEAT, NODE))
    assert scene.ask(19_000, 18_000).exit_code == 0
    scene.publish_nonsense(b"another-node", 18_000, NodeId("", NODE))
    assert scene.ask(19_000, 18_000).exit_code == 0
    scene.publish_nonsense(NODE.encode(), 18_000, NodeId("", NODE))
    broken = scene.ask(19_000, 18_000)
    assert broken.exit_code == 1
    assert "a record of runtime.coverage that cannot be read" in broken.output
    assert scene.ask(10_000, 9_000).exit_code == 0
    scene.publish_nonsense(b"\xff", 9_000, NO_NODE)
    assert scene.ask(10_000, 9_000).exit_code == 1

"""`callstream reprocess` on a real broker: a changed policy over history, beside live stages that do not notice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from agents.privacy.policy_file import built_in_policy, built_in_text
from app.__main__ import cli
from app.commands.ending import CANNOT
from app.embedded.broker import EmbeddedBroker
from app.kafka.group_reader import GroupReader
from app.settings import Settings
from app.topology import PIPELINE
from schemas import records, topics
from schemas.topics import Stage
from tests.support.events import event, kprobe, user_frame

pytestmark = pytest.mark.integration

PARTITIONS = 2
EVENTS = 24_000
"""For each of two stages half a second of work: enough to be killed in the middle of."""

LIBC = "/usr/lib/libc.so.6"
BUILD_ID = bytes(range(20))
RECEIVED_MS = time.time_ns() // 1_000_000 - topics.HOUR_MS
"""Not long ago: Kafka deletes what is older than the topic's retention."""

Source = tuple[int, int]
"""Partition and offset of a raw record."""


@dataclass(slots=True)
class _World:
    """A cluster with history, as an operator with settings sees it."""

    broker: EmbeddedBroker
    prefix: str
    environ: dict[str, str]
    admin: AdminClient
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [sys.executable, "-m", "app", *arguments]
        environ = self.environ | settings
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90, check=False)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        command = [sys.executable, "-m", "app", *arguments]
        process = subprocess.Popen(
            command, env=self.environ | settings, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.running.append(process)
        return process

    def write(self, values: Iterator[bytes]) -> None:
        """Append raw events, partition after partition in turn."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap_servers, "linger.ms": 20})
        for number, value in enumerate(values):
            producer.produce(self.name(topics.RAW), value, b"key", number % PARTITIONS, timestamp=RECEIVED_MS + number)
            producer.poll(0)
        assert producer.flush(60) == 0

    def write_former_row(self) -> None:
        """Have a row in the live table as no program of today writes it."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap_servers})
        changelog = self.name(topics.changelog(Stage.CANONICALIZE, topics.MODULES_TABLE))
        row = b'{"loaded": [[0, "00ff00ff00ff00ff", "0011", null]], "ended": null}'
        producer.produce(changelog, row, b"a former process", 0)
        assert producer.flush(60) == 0

    def name(self, topic: str) -> str:
        return self.prefix + topic

    def ends(self, topic: str) -> list[int]:
        """Ends of a topic's partitions; zeros where there is no such topic yet."""
        if self.name(topic) not in self.admin.list_topics(timeout=10).topics:
            return [0] * PARTITIONS
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(self.name(topic), number): latest for number in range(PARTITIONS)}
        try:
            return [answer.result(20).offset for answer in self.admin.list_offsets(asked).values()]
        except KafkaException as error:
            if error.args[0].code() == KafkaError.NOT_LEADER_FOR_PARTITION:  # for a moment after it was made
                return [0] * PARTITIONS
            raise

    def read(self, topic: str) -> list[tuple[int, int, bytes]]:
        """Every record: partition, timestamp, value."""
        ends = self.ends(topic)
        found: list[tuple[int, int, bytes]] = []
        with closing(self._consumer()) as consumer:
            consumer.assign([TopicPartition(self.name(topic), number, 0) for number in range(PARTITIONS)])
            while len(found) < sum(ends):
                for message in consumer.consume(5_000, 5.0):
                    partition, value = message.partition(), message.value()
                    assert message.error() is None
                    assert partition is not None
                    assert value is not None
                    found.append((partition, message.timestamp()[1], value))
        return found

    def calls(self, topic: str) -> dict[Source, tuple[int, int, dict[str, Any]]]:
        """Calls by the raw record they were made of: partition, timestamp, call."""
        found = {}
        for partition, timestamp_ms, value in self.read(topic):
            call = records.decode(records.CALL, value)
            found[call["source"]["partition"], call["source"]["offset"]] = partition, timestamp_ms, call
        return found

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """What a group has committed in a topic."""
        settings = Settings(kafka_bootstrap_servers=self.broker.bootstrap_servers, topic_prefix=self.prefix)
        with GroupReader(settings) as reader:
            return {number: offset for number, (offset, _) in reader.committed(group, topic).items()}

    def live_state(self) -> dict[str, Any]:
        """Everything that reprocessing must leave as it is."""
        ends = {topic.name: self.ends(topic.name) for topic in topics.TOPICS if topic.co_partitioned}
        groups = {
            (shape.group, source): self.committed(shape.group, source) for shape in PIPELINE for source in shape.sources
        }
        return {"ends": ends, "groups": groups}

    def retention_ms(self, topic: str) -> int:
        resource = ConfigResource(ResourceType.TOPIC, self.name(topic))
        return int(str(self.admin.describe_configs([resource])[resource].result(20)["retention.ms"].value))

    def _consumer(self) -> Consumer:
        return Consumer({"bootstrap.servers": self.broker.bootstrap_servers, "group.id": "looks-on"})


def _history() -> Iterator[bytes]:
    """In both partitions first a loader event, then calls with a frame of what it loaded and arguments to redact."""
    for _ in range(PARTITIONS):
        yield event("process_loader", path=LIBC, buildid=BUILD_ID).SerializeToString()
    call = kprobe(user=[user_frame(LIBC, 4_096)])
    for number in range(EVENTS - PARTITIONS):
        call.time.FromNanoseconds(1_767_787_201_250_000_123 + number)
        yield call.SerializeToString()


@pytest.fixture(name="world")
def _world(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> Iterator[_World]:
    environ = {
        **os.environ,
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
        "CALLSTREAM_DATA_DIR": str(tmp_path / "state"),
        "CALLSTREAM_PARTITIONS": str(PARTITIONS),
        "CALLSTREAM_LOG_LEVEL": "WARNING",
    }
    admin = AdminClient({"bootstrap.servers": embedded.bootstrap_servers, "log_level": 0})
    world = _World(embedded, topic_prefix, environ, admin)
    assert world.run("topics", "apply").returncode == 0
    yield world
    for process in world.running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _await(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_changed_policy_over_history_makes_a_second_version_and_a_kill_in_the_middle_loses_nothing(
    world: _World, tmp_path: Path
) -> None:
    """Every call comes again, at its place and time, as the other policy has it; live topics and groups stay."""
    world.write(_history())
    workers = [world.start("worker", "--stage", stage) for stage in ("canonicalize", "privacy")]
    calls = EVENTS - PARTITIONS
    _await(lambda: sum(world.committed(Stage.PRIVACY.group, topics.CANONICAL).values()) >= calls)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait(20) for worker in workers] == [0, 0]
    before = world.live_state()

    policy = tmp_path / "strict.toml"
    policy.write_text(built_in_text("strict"))
    strict = {"CALLSTREAM_PRIVACY_POLICY_FILE": str(policy)}
    again = "reprocess", "--stage", "canonicalize", "--json"
    killed = world.start(*again, **strict)
    _await(lambda: sum(world.ends("runtime.calls.v2")) > 0)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert sum(world.ends("runtime.calls.v2")) < calls, "the kill came too late to prove anything"

    done = world.run(*again, "--once", **strict)
    assert done.returncode == 0, done.stderr
    told = _lines(done.stdout)
    assert [line["event"] for line in told if line["event"] != "progress"] == ["goes_on", "caught_up", "stopped"]
    assert {line["version"] for line in told} == {2}
    canonicalize, privacy = told[-1]["stages"]
    assert (canonicalize["records"], canonicalize["not_calls"], canonicalize["lag"]) == (EVENTS, PARTITIONS, 0)
    assert (privacy["dead_letters"], privacy["expired"], privacy["lag"]) == (0, 0, 0)
    assert told[-1]["behind_seconds"] < 60

    live, second = world.calls(topics.CALLS), world.calls("runtime.calls.v2")
    assert second.keys() == live.keys()
    assert len(second) == calls
    for source, (partition, timestamp_ms, call) in second.items():
        live_partition, live_timestamp_ms, live_call = live[source]
        assert (partition, timestamp_ms) == (live_partition, live_timestamp_ms)
        assert call["event_id"] == live_call["event_id"]
        assert call["stack_frames"] == live_call["stack_frames"]
        assert live_call["process"]["arguments"] == "--berth 12 --interval 30s"
        assert call["process"]["arguments"] is None
    assert world.live_state() == before

    environ = {name: value for name, value in world.environ.items() if name.startswith("CALLSTREAM_")}
    refused = CliRunner().invoke(cli, ["tap", "runtime.canonical.v2"], env=environ)
    assert refused.exit_code == CANNOT
    assert "runtime.canonical.v2 holds private data" in refused.stderr
    shown = CliRunner().invoke(cli, ["tap", "runtime.calls.v2", "--max", "1", "--json"], env=environ)
    assert json.loads(shown.stdout)["value"]["redaction"]["policy_id"] == built_in_policy("strict").policy_id
    assert world.retention_ms("runtime.canonical.v2") == 8 * topics.DAY_MS
    rows = json.loads(world.run("topics", "list", "--json").stdout)["topics"]
    restricted = {row["topic"].removeprefix(world.prefix): row["restricted"] for row in rows}
    assert (restricted["runtime.canonical.v2"], restricted["runtime.calls.v2"]) == (True, False)


def test_a_version_is_followed_and_another_one_may_begin_in_the_middle_of_history(world: _World) -> None:
    """What came before is known there: loader events. What was made otherwise is not added to."""
    world.write(_some(200))
    canonicalize = world.start("worker", "--stage", "canonicalize")
    follows = world.start("reprocess", "--stage", "privacy", "--json", "--index", "1")
    assert follows.stdout is not None
    told = [json.loads(follows.stdout.readline())]
    while told[-1]["event"] != "caught_up":
        told.append(json.loads(follows.stdout.readline()))
    _await(lambda: sum(world.ends("runtime.calls.v2")) == 200 - PARTITIONS)
    world.write(_some(100))
    _await(lambda: sum(world.ends("runtime.calls.v2")) == 300 - 2 * PARTITIONS)
    _await(lambda: sum(world.committed("callstream-privacy.v2", topics.CANONICAL).values()) == 300 - 2 * PARTITIONS)
    for process in (follows, canonicalize):
        process.send_signal(signal.SIGTERM)
    output, _ = follows.communicate(timeout=30)
    assert follows.returncode == 0
    events = [line["event"] for line in told + _lines(output)]
    assert [one for one in events if one != "progress"] == ["begins", "caught_up", "stopped"]
    assert canonicalize.wait(20) == 0

    world.write_former_row()
    middle = world.run(
        "reprocess", "--stage", "canonicalize", "--version", "7", "--from", "0:50,1:60", "--once", "--json"
    )
    assert middle.returncode == 0, middle.stderr
    found = world.calls("runtime.calls.v7")
    assert found.keys() == {(0, n) for n in range(50, 150) if n != 100} | {(1, n) for n in range(60, 150) if n != 100}
    assert found[0, 50][2]["stack_frames"][0]["build_id"] == BUILD_ID.hex()

    hooks = Path(world.environ["CALLSTREAM_DATA_DIR"]) / "hooks.toml"
    hooks.write_text('"file-monitoring" = "fentry"\n')
    ends = world.ends("runtime.calls.v7")
    other = world.run(
        "reprocess", "--stage", "canonicalize", "--version", "7", "--once", CALLSTREAM_POLICY_HOOKS_FILE=str(hooks)
    )
    assert other.returncode == 2
    assert "canonicalize stage was made with another hook map" in other.stderr
    assert world.ends("runtime.calls.v7") == ends

    wrong = world.run("reprocess", "--stage", "canonicalize", "--version", "8", "--from", "0:50")
    assert wrong.returncode == 2
    assert "names no offset for partition 1" in wrong.stderr
    assert world.name("runtime.calls.v8") not in world.admin.list_topics(timeout=10).topics


def _some(count: int) -> Iterator[bytes]:
    """The first events of the history."""
    for _, value in zip(range(count), _history(), strict=False):
        yield value

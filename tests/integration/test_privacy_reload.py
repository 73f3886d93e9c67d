"""A privacy stage reloads its policy while it runs, on a real broker."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3
from confluent_kafka import Consumer, Producer, TopicPartition

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.privacy.policy_file import built_in_policy, built_in_text
from app.embedded.broker import EmbeddedBroker
from schemas import records, topics
from schemas.tetragon.events_pb2 import GetEventsResponse

pytestmark = pytest.mark.integration

WAIT_SECONDS = 60.0


def _canonical(offset: int) -> bytes:
    event = GetEventsResponse()
    event.process_exec.process.exec_id = "bm9kZTox"
    event.process_exec.process.arguments = "--password=hunter2 /srv"
    event.time.seconds = offset + 1
    outcome = Canonicalizer({}).canonicalize(event.SerializeToString(), 0, offset, 0)
    assert isinstance(outcome, Canonical)
    return outcome.value


class _Stage:
    """The privacy stage as a process with a policy file and a log, and the topics around it."""

    def __init__(self, broker: EmbeddedBroker, prefix: str, folder: Path) -> None:
        self.policy = folder / "policy.toml"
        self.log = folder / "log"
        self._prefix = prefix
        self._sent = 0
        environ = {
            **os.environ,
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_DATA_DIR": str(folder / "state"),
            "CALLSTREAM_PRIVACY_POLICY_FILE": str(self.policy),
        }
        self.policy.write_text(built_in_text("default"))
        subprocess.run([sys.executable, "-m", "app", "topics", "apply"], env=environ, check=True)
        self._producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        self._consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": prefix, "enable.auto.commit": False}
        )
        self._consumer.assign([TopicPartition(prefix + topics.CALLS, 0, 0)])
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "app", "worker", "--stage", "privacy"]
            self.process = subprocess.Popen(command, env=environ, stderr=log)

    def call(self) -> dict[str, Any]:
        """What leaves of one more event."""
        self._producer.produce(self._prefix + topics.CANONICAL, _canonical(self._sent), b"key", 0)
        self._producer.flush(30)
        self._sent += 1
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            message = self._consumer.poll(1.0)
            if message is not None and message.error() is None:
                value = message.value()
                assert value is not None
                return records.decode(records.CALL, value)
        raise TimeoutError(self.log.read_text())

    def reload(self, text: str, expected: str) -> None:
        """Change the file, say so, and wait for the answer in the log."""
        self.reload_as(lambda: self.policy.write_text(text), expected)

    def reload_as(self, change: Callable[[], object], expected: str) -> None:
        """Change what lies at the file's path, say so, and wait for the answer in the log."""
        seen = self.log.read_text().count(expected)
        change()
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + WAIT_SECONDS
        while self.log.read_text().count(expected) == seen:
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def refused_reloads(self) -> int:
        """What the metric says."""
        address = re.findall(r'"http": ?"([^"]+)"', self.log.read_text())[-1]
        page = urllib3.request("GET", f"http://{address}/metrics").data.decode()
        (found,) = re.findall(r'^runtime_policy_reloads_total\{outcome="refused"\} (\S+)$', page, re.MULTILINE)
        return int(float(found))

    def close(self) -> None:
        """End everything that was started."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()
        self._consumer.close()


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def _pipe(path: Path) -> None:
    path.rmdir()
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.fixture
def stage(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> Iterator[_Stage]:
    """A running stage with the default policy in a file."""
    running = _Stage(embedded, topic_prefix, tmp_path)
    yield running
    running.close()


def test_a_reload_is_in_force_at_once_and_one_that_fails_keeps_the_old_policy(stage: _Stage) -> None:
    """Every event says which policy it left under; a broken file is named by line and rule, and ends nothing."""
    call = stage.call()
    assert call["redaction"]["policy_id"] == built_in_policy("default").policy_id
    assert call["process"]["arguments"] == "--password=[redacted] /srv"

    stage.reload(built_in_text("strict"), "privacy policy reloaded, another one")
    call = stage.call()
    assert call["redaction"]["policy_id"] == built_in_policy("strict").policy_id
    assert call["process"]["arguments"] is None

    stage.reload("schema = 9\n", "the privacy policy was not reloaded, the old one stays")
    assert "line 1: schema: is 9" in stage.log.read_text()
    assert stage.call()["redaction"]["policy_id"] == built_in_policy("strict").policy_id

    kept = "the privacy policy was not reloaded, the old one stays"
    texts = (
        "schema = 1\nname = " + "[" * 100_000,
        ".".join(["a"] * 30_000) + " = 1",
        "".join(f"a.b{number}.c = 1\n" for number in range(800_000)),
        "#" * (2 << 20),
        "\x00",
    )
    for text in texts:
        stage.reload(text, kept)
    others: tuple[Callable[[Path], object], ...] = (_binary, Path.unlink, Path.mkdir, _pipe, _endless, _circle)
    for change in others:
        stage.reload_as(partial(change, stage.policy), kept)
    stage.policy.unlink()
    assert stage.refused_reloads() == 1 + len(texts) + len(others)
    assert stage.call()["redaction"]["policy_id"] == built_in_policy("strict").policy_id

    stage.reload(built_in_text("strict"), "privacy policy reloaded, it is the same")
    assert stage.call()["redaction"]["policy_id"] == built_in_policy("strict").policy_id
    assert "hunter2" not in stage.log.read_text()

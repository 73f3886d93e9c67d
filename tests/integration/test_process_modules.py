"""What loader events said outlives the canonicalize stage's process and its folder."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from app.embedded.broker import EmbeddedBroker
from schemas import topics
from schemas.canonical_pb2 import CanonicalEvent
from schemas.tetragon.events_pb2 import GetEventsResponse

pytestmark = pytest.mark.integration

LIBC = "/usr/lib/libc.so.6"
BUILD_ID = bytes(range(20))
PARTITION = 1
WAIT_SECONDS = 60.0


def _loader() -> bytes:
    event = GetEventsResponse()
    event.process_loader.process.exec_id = "bm9kZTox"
    event.process_loader.path = LIBC
    event.process_loader.buildid = BUILD_ID
    return event.SerializeToString()


def _call(second: int) -> bytes:
    event = GetEventsResponse()
    event.process_kprobe.process.exec_id = "bm9kZTox"
    event.process_kprobe.user_stack_trace.add(offset=4096, module=LIBC)
    event.time.seconds = second
    return event.SerializeToString()


class _Stage:
    """The canonicalize stage as a process, and the two topics around it."""

    def __init__(self, broker: EmbeddedBroker, prefix: str, folder: Path) -> None:
        self._prefix = prefix
        self._environ = {
            **os.environ,
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_DATA_DIR": str(folder),
        }
        subprocess.run([sys.executable, "-m", "app", "topics", "apply"], env=self._environ, check=True)
        self._producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        self._consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": prefix, "enable.auto.commit": False}
        )
        self._consumer.assign([TopicPartition(prefix + topics.CANONICAL, PARTITION, 0)])
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the stage, for the first time or again."""
        command = [sys.executable, "-m", "app", "worker", "--stage", "canonicalize"]
        self.process = subprocess.Popen(command, env=self._environ)
        return self.process

    def send(self, value: bytes) -> None:
        """Append a raw event to the one partition that this test uses."""
        self._producer.produce(self._prefix + topics.RAW, value, b"key", PARTITION)
        self._producer.flush(30)

    def next_event(self) -> CanonicalEvent:
        """The next canonical event."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            message = self._consumer.poll(1.0)
            if message is not None and message.error() is None:
                value = message.value()
                assert value is not None
                return CanonicalEvent.FromString(value)
        raise TimeoutError("no canonical event")

    def close(self) -> None:
        """End everything that was started."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self._consumer.close()


def test_build_ids_are_known_after_a_kill_and_after_a_lost_folder(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """A loader event is remembered by the table and its changelog, not only by the process that read it."""
    stage = _Stage(embedded, topic_prefix, tmp_path / "state")
    try:
        stage.send(_loader())
        stage.send(_call(1))
        assert stage.next_event().stack.frames[0].build_id == BUILD_ID.hex()
        time.sleep(2)  # more than a commit interval: the loader event must not merely be read again

        stage.process.kill()
        stage.process.wait()
        stage.start()
        stage.send(_call(2))
        assert _build_id_at(stage, 2) == BUILD_ID.hex()
        time.sleep(2)

        stage.process.kill()
        stage.process.wait()
        shutil.rmtree(tmp_path / "state")
        stage.start()
        stage.send(_call(3))
        assert _build_id_at(stage, 3) == BUILD_ID.hex()
    finally:
        stage.close()


def _build_id_at(stage: _Stage, second: int) -> str:
    """Build id in the frame of the call at `second`; earlier calls may come a second time."""
    while (event := stage.next_event()).timestamp_ns < second * 10**9:
        pass
    return event.stack.frames[0].build_id

"""`callstream ingest` as a process of its own, and what it left on the broker."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas import topics
from schemas.coverage import CLAIMS, TELLING, CoverageGap, decode
from tests.support.breakable_broker import BreakableBroker

PATIENCE_S = 60.0

_NOT_YET = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._TRANSPORT,
}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return when `condition` holds; fail, saying what was waited for, when it does not in good time."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def _ends_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset of a partition. A broker that was just started again may not know or lead it yet."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=20)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


class IngestProcess:
    """One running ingest."""

    def __init__(self, environ: dict[str, str], program: str = "app") -> None:
        """`program` is a module with callstream's command line."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", program, "ingest", "--json"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"ingest ended with {self._process.wait()}: {self._process.communicate()[1]}")
        self._http = json.loads(line)["http"]
        self._pid = self._process.pid

    @property
    def pid(self) -> int:
        """Process id of the one that works."""
        return self._pid

    def reload(self, successor: Callable[[], int]) -> int:
        """Send a SIGHUP; the process whose id `successor` gives goes on. Returns the exit code of the old one."""
        self.send(signal.SIGHUP)
        new = successor()
        code = self._process.wait(PATIENCE_S)
        self._pid = new
        return code

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of its health endpoint; as a scraper does, it tries again when a connection breaks.

        Raises RuntimeError with the exit code and the log where the process has ended.
        """
        try:
            answer = urllib3.request("GET", f"http://{self._http}{path}", timeout=20, retries=2)
        except urllib3.exceptions.HTTPError as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=2)
                raise RuntimeError(f"ingest ended with {code}: {self._process.communicate()[1]}") from error
            raise
        return answer.status, answer.data.decode()

    def metrics(self) -> dict[str, float]:
        """All samples of one page, by name with labels."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def total(self, family: str) -> float:
        """Sum of a metric over its labels."""
        return sum(value for name, value in self.metrics().items() if re.match(rf"{family}({{|$)", name))

    def await_written(self, count: int) -> None:
        """Wait until Kafka has that many of its events; fail where none was added for as long as one has patience."""
        written, patience_ends = -1.0, 0.0
        while written < count:
            before, written = written, self.total("runtime_records_written_total")
            if written > before:
                patience_ends = time.monotonic() + PATIENCE_S
            assert time.monotonic() < patience_ends, f"{written:.0f} events are written, and no more come"
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, dict[str, Any], str]:
        """Send a signal; exit code, the books that it printed last, and its log. After a reload they are of all."""
        self.send(number)
        out, log = self._process.communicate(timeout=30)
        return self._process.returncode, json.loads(out.splitlines()[-1]) if out else {}, log

    def send(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        os.kill(self._pid, number)

    def wait(self) -> tuple[int, str]:
        """Wait for it to end on its own; exit code and log."""
        _, log = self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode, log

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._pid != self._process.pid:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class IngestSite:
    """A broker with the topics of one test, and settings for an ingest on it."""

    def __init__(self, broker: BreakableBroker, prefix: str, folder: Path) -> None:
        self.broker = broker
        self.prefix = prefix
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")},
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_DATA_DIR": str(folder / "data"),
            "CALLSTREAM_LOG_FORMAT": "text",
            "CALLSTREAM_HEARTBEAT_SECONDS": "1",
        }
        command = [sys.executable, "-m", "app", "topics", "apply", "--partitions", "3"]
        subprocess.run(command, env=self.environ, check=True, capture_output=True)

    @contextmanager
    def ingest(self, address: str, **settings: object) -> Iterator[IngestProcess]:
        """An ingest reading from `address`; `settings` are added in lower case, without the prefix."""
        more = {f"CALLSTREAM_{name.upper()}": str(value) for name, value in settings.items()}
        process = IngestProcess({**self.environ, "CALLSTREAM_TETRAGON_ADDRESS": address, **more})
        try:
            yield process
        finally:
            process.kill()

    def set_topic_option(self, topic: str, name: str, value: str) -> None:
        """Change one option of a topic."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.prefix + topic, incremental_configs=[entry])
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap_servers})
        admin.incremental_alter_configs([resource])[resource].result()

    def delete_topic(self, topic: str) -> None:
        """Remove a topic."""
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap_servers})
        admin.delete_topics([self.prefix + topic])[self.prefix + topic].result()

    def records(self, topic: str) -> list[Message]:
        """Everything on a topic, partition by partition, in order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.broker.bootstrap_servers,
                "group.id": "unused",
                "enable.auto.commit": False,
                "fetch.message.max.bytes": 32 << 20,
                "log_level": 0,
            }
        )
        name = self.prefix + topic
        found: list[Message] = []
        try:
            for partition in sorted(consumer.list_topics(name, timeout=20).topics[name].partitions):
                low, high = _ends_of(consumer, TopicPartition(name, partition))
                consumer.assign([TopicPartition(name, partition, low)])
                while low < high:
                    for message in consumer.consume(5000, timeout=0.5):
                        assert message.error() is None
                        found.append(message)
                        offset = message.offset()
                        assert offset is not None
                        low = offset + 1
        finally:
            consumer.close()
        return found

    def raw_values(self) -> list[bytes]:
        """Values on the raw topic."""
        return [message.value() or b"" for message in self.records(topics.RAW)]

    def gaps(self) -> list[CoverageGap]:
        """Gaps on the coverage topic, without heartbeats, in the order of their beginning."""
        found = [decode(message.value() or b"") for message in self.records(topics.COVERAGE)]
        return sorted((gap for gap in found if gap.cause not in CLAIMS | TELLING), key=lambda gap: gap.from_ns)

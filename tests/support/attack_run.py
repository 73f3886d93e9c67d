"""A whole pipeline under attack: good events through ingest, hostile records on every topic that others may write."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import urllib3
from confluent_kafka import KafkaError, Message, Producer

from app.kafka.refused import RefusedRecords
from app.simulator.event_files import delimited
from app.stages.hot_symbols.table_reading import published_rows
from app.stages.worker import registered_id
from schemas import topics
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.hostile_batches import CODECS, bomb, damaged, send_batches
from tests.support.hostile_records import HostileRecord, Hostility
from tests.support.pipeline_run import PipelineRun

ATTACKED: Final = (
    topics.RAW,
    topics.COVERAGE,
    topics.WATCH,
    topics.WATCHED,
    topics.HOT_SYMBOLS,
    topics.DEAD_LETTERS,
    topics.AUDIT,
    topics.OWNERS,
)
"""Topics of which a program may be given the right to write, by deploy/kafka/acls.toml or by an operator in a hurry.
Calls, canonical events, partials and changelogs are what the stages trust each other for."""

BOMB_BYTES: Final = {"gzip": 300 << 20, "lz4": 100 << 20, "zstd": 400 << 20, "snappy": 19 << 20}
SMALL_BOMB_BYTES: Final = 20 << 20
"""On compacted topics. Hostile times end the segments of a log, and then the broker's cleaner inflates all of them."""

GOOD_MODULE: Final = "/usr/lib/libgood.so"
GOOD_SYMBOL: Final = "good"
PROBE_SECONDS: Final = 0.25


def good_event(number: int, now_s: int) -> bytes:
    """An event that no other is equal to, with the good function on its stack."""
    event = GetEventsResponse(node_name="good-node")
    event.time.seconds, event.time.nanos = now_s, number
    kprobe = event.process_kprobe
    kprobe.function_name, kprobe.policy_name = "__x64_sys_read", "good"
    kprobe.process.exec_id = f"good-{number % 50}"
    kprobe.process.pid.value = 100 + number % 50
    kprobe.process.binary = "/usr/bin/good"
    frame = kprobe.user_stack_trace.add()
    frame.module, frame.symbol, frame.offset = GOOD_MODULE, GOOD_SYMBOL, 4_096
    return event.SerializeToString()


class Attack:
    """What is sent, and what Kafka took of it."""

    def __init__(self, run: PipelineRun, seed: int, count: int) -> None:
        """`count` good events and as many hostile records."""
        self._run = run
        self._count = count
        self._random = random.Random(seed)
        settings = run.settings
        ids = {one.name: registered_id(settings, one.name) for one in topics.TOPICS if one.value_schema is not None}
        now_ms = int(time.time() * 1000)
        self.hostility = Hostility(seed, ids, now_ms)
        self.good = [good_event(number, now_ms // 1000) for number in range(count)]
        self.taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        servers = settings.kafka_bootstrap_servers
        self._producers = [
            Producer(
                {
                    "bootstrap.servers": servers,
                    "compression.type": codec,
                    "linger.ms": 20,
                    "message.max.bytes": 8_000_000,
                    "log_level": 0,
                }
            )
            for codec in ("none", *CODECS)
        ]

    def events_file(self, path: Path) -> int:
        """Write what the agent sends: the good events, and a hostile one in three. Returns how many are hostile."""
        hostile = 0
        with path.open("wb") as file:
            for event in self.good:
                if not self._random.randrange(3):
                    file.write(delimited(self.hostility.event()))
                    hostile += 1
                file.write(delimited(event))
        return hostile

    def hostile_records(self, count: int) -> Iterator[HostileRecord]:
        """Records for all topics, mixed; a third of them for the raw topic."""
        share = count * 2 // (3 * (len(ATTACKED) - 1))
        kinds = [
            self.hostility.records(topic, share if topic != topics.RAW else count - share * (len(ATTACKED) - 1))
            for topic in ATTACKED
        ]
        while kinds:
            one = self._random.choice(kinds)
            found = next(one, None)
            if found is None:
                kinds.remove(one)
            else:
                yield found

    def send(self, records: Iterator[HostileRecord], rate_per_s: int) -> None:
        """Send at a rate; what the broker or the client refuses is counted."""
        began, partitions = time.monotonic(), self._run.partitions
        for number, one in enumerate(records):
            if (late := number / rate_per_s - (time.monotonic() - began)) > 0:
                time.sleep(late)
            producer = self._random.choice(self._producers)
            producer.produce(
                self._run.settings.name(one.topic),
                one.value,
                one.key,
                self._random.randrange(partitions),
                on_delivery=self._note,
                timestamp=one.timestamp_ms,
                headers=list(one.headers),
            )
            producer.poll(0)
        for producer in self._producers:
            assert producer.flush(60) == 0

    def send_bombs(self) -> None:
        """On each topic, a batch of each codec that is far too large when it is inflated, and damaged ones."""
        settings = self._run.settings
        large = [bomb(codec, size) for codec, size in BOMB_BYTES.items()]
        small = [bomb(codec, min(size, SMALL_BOMB_BYTES)) for codec, size in BOMB_BYTES.items()]
        for topic in ATTACKED:
            is_compacted = topics.TOPICS_BY_NAME[topic].compacted
            bombs = small if is_compacted else large
            partition = self._random.randrange(self._run.partitions)
            batches = [*bombs, *damaged(self._random, flipped_bits=0 if is_compacted else 4)]
            answers = send_batches(settings.kafka_bootstrap_servers, settings.name(topic), partition, batches)
            for answer in answers:
                (self.refused if answer else self.taken)[topic] += 1

    def _note(self, error: KafkaError | None, message: Message) -> None:
        topic = str(message.topic()).removeprefix(self._run.settings.topic_prefix)
        (self.taken if error is None else self.refused)[topic] += 1


class Probes:
    """Asks every process for its health all the time, and remembers the slowest answer."""

    def __init__(self, run: PipelineRun) -> None:
        self._run = run
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._probe, daemon=True)
        self.slowest_s: dict[str, float] = {}
        self.failures: list[str] = []

    def _probe(self) -> None:
        with urllib3.PoolManager() as http:
            while not self._stop.wait(PROBE_SECONDS):
                for name in sorted(self._run.wanted):
                    began = time.monotonic()
                    try:
                        address = self._run.processes[name].http_address()
                        answer = http.request("GET", f"http://{address}/healthz", retries=False, timeout=20)
                        if answer.status != 200:
                            self.failures.append(f"{name}: {answer.status} {answer.data.decode()}")
                    except urllib3.exceptions.HTTPError as error:
                        self.failures.append(f"{name}: {type(error).__name__}")
                    took = time.monotonic() - began
                    self.slowest_s[name] = max(took, self.slowest_s.get(name, 0.0))

    @contextmanager
    def watching(self) -> Iterator["Probes"]:
        """Probe while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()


def good_hits(run: PipelineRun) -> int:
    """Hits of the good function in the published table."""
    rows = published_rows(run.settings, RefusedRecords())
    return sum(row["hits"] for row in rows if (row["module"], row["symbol"]) == (GOOD_MODULE, GOOD_SYMBOL))

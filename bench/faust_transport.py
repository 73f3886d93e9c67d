"""What Faust costs an event, with its own transport and with ours: `python -m bench.faust_transport [--events N]`.

Every row is a process of its own, reading the same topic on the same broker in the same run; CPU is that process's user
and system time from its first batch to its last, divided by events. A plain confluent-kafka loop stands beside, as what
the same work costs without Faust. Rows repeat in rounds, and the best round counts: the machine is shared.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.embedded.broker import EmbeddedBroker
from bench.figures import Row, Table, record, text_of
from bench.simulator import events as tetragon_events

PARTITIONS: Final = 4
ROUNDS: Final = 3
STOCK_SHARE: Final = 5
"""Stock Faust reads a fifth of the events: it takes twenty times as long for each."""

READING: Final = ("stock-read", "ours-read", "confluent-read", "aiokafka-read")
COPYING: Final = ("stock-copy", "ours-copy", "confluent-copy")
SENDING: Final = ("send-report-each", "send-report-last", "send-polling-thread", "send-aiokafka")
RECOVERING: Final = ("stock-recovery", "ours-recovery")

NAMES: Final = {
    "stock-read": "Faust agent, one event a message",
    "ours-read": "Faust agent, one fetched batch a message",
    "confluent-read": "confluent-kafka consume(1000), no Faust",
    "aiokafka-read": "aiokafka getmany, no Faust",
    "stock-copy": "Faust agent, await topic.send for each event",
    "ours-copy": "stage: fetched batch, Delivery, commit",
    "confluent-copy": "confluent-kafka consume, produce, flush, commit; no Faust",
    "send-report-each": "confluent-kafka, a delivery report a record",
    "send-report-last": "confluent-kafka, a report a parcel (ours)",
    "send-polling-thread": "confluent-kafka, a report a parcel, polled by a thread",
    "send-aiokafka": "aiokafka send_batch, zstd",
    "stock-recovery": "Faust table on rocksdict",
    "ours-recovery": "StrictTable",
}


def fill(bootstrap_servers: str, topic: str, count: int) -> None:
    """Create a topic and write Tetragon events of about 2 kB."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result()
    producer = _producer(bootstrap_servers)
    for number, value in enumerate(islice(cycle(list(tetragon_events())), count)):
        producer.produce(topic, value, b"exec-id-%d" % (number % 997), number % PARTITIONS)
        if number % 1_000 == 0:
            producer.poll(0)
    producer.flush()


def fill_changelog(bootstrap_servers: str, topic: str, rows: int) -> None:
    """Create a compacted topic and write distinct rows of 200 bytes."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    new = NewTopic(topic, PARTITIONS, 1, config={"cleanup.policy": "compact"})
    admin.create_topics([new])[topic].result()
    producer = _producer(bootstrap_servers)
    for number in range(rows):
        producer.produce(topic, b"%d" % number * 20, b"symbol-%040d" % number, number % PARTITIONS)
        if number % 1_000 == 0:
            producer.poll(0)
    producer.flush()


def _producer(bootstrap_servers: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def measure(contestant: str, bootstrap_servers: str, topic: str, count: int, number: int) -> dict[str, float]:
    """Run one contestant in a process of its own; returns its figures."""
    arguments = [contestant, bootstrap_servers, topic, str(count), f"{contestant}-{number}"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.faust_contestants", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{contestant} failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _share(contestant: str, count: int) -> int:
    return count // STOCK_SHARE if contestant.startswith("stock") else count


def rows(
    contestants: Sequence[str], bootstrap_servers: str, topic: str, count: int, *, rounds: int = ROUNDS
) -> Iterator[Row]:
    """Best round of each contestant."""
    for contestant in contestants:
        share = _share(contestant, count)
        found = [measure(contestant, bootstrap_servers, topic, share, n) for n in range(rounds)]
        best = min(found, key=lambda figures: figures["cpu_us"])
        print(f"{NAMES[contestant]}: {best['cpu_us']:.2f} µs", file=sys.stderr, flush=True)
        yield Row(
            NAMES[contestant],
            {"CPU µs/event": best["cpu_us"], "events/s": int(best["events_per_s"]), "events": share},
        )


def run(count: int, recovered: int) -> list[Table]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as folder, EmbeddedBroker(Path(folder)) as broker:
        servers, topic = broker.bootstrap_servers, "bench.source"
        fill(servers, topic, count)
        for contestant in RECOVERING:
            fill_changelog(servers, f"{contestant}-0-rows-changelog", _share(contestant, recovered))
        settings = {"partitions": PARTITIONS, "bytes an event": 2_000, "rounds": ROUNDS}
        return [
            Table("Reading", settings, list(rows(READING, servers, topic, count))),
            Table(
                "Copying to another topic, acknowledged before the commit",
                settings,
                list(rows(COPYING, servers, topic, count)),
            ),
            Table("Sending alone, batches of 1,000", settings, list(rows(SENDING, servers, topic, count))),
            Table(
                "Recovering a table from its changelog",
                {**settings, "rows": recovered, "rounds": 1},
                list(rows(RECOVERING, servers, topic, recovered, rounds=1)),
            ),
        ]


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table to recover")
    options = parser.parse_args()
    tables = run(options.events, options.rows)
    record("faust_transport", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()

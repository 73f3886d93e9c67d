"""What an audit costs on the real broker, and what it reports of clean calls: `python -m bench.audit`.

Calls of the workload generator, and one of each ordinary command line of the project's tables, go through the filter
under the built-in policy into a topic. `callstream privacy audit` reads it as an operator runs it, from start to end.
Seconds are those on the clock, and CPU time is that of all its processes. Secrets are then planted in twenty calls.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.embedded.broker import EmbeddedBroker
from app.simulator.workload.generator import Workload, WorkloadOptions
from bench.figures import Row, Table, record, text_of
from schemas import topics
from tests.support.planted_kinds import CallMaker, ordinary_lines

EVENTS: Final = 60_600
"""A hundredth of them become no calls."""

PARTITIONS: Final = 4
PLANTED: Final = 20


def main() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as folder, EmbeddedBroker(Path(folder)) as broker:
        servers = broker.bootstrap_servers
        maker = CallMaker()
        written = _write(servers, _clean(maker))
        rows = [_row(servers, "whole topic", written)]
        rows.append(_row(servers, "whole topic, one process", written, "--processes", "1"))
        rows.append(_row(servers, "sample of 10,000", written, "--sample", "10000"))
        secrets = [maker.encoded(f"ledgerctl books Qx{number:02}vT9!mzK4w x") for number in range(PLANTED)]
        _write(servers, iter(secrets), make=False)
        rows.append(_row(servers, f"with {PLANTED} planted", written + PLANTED))
    table = Table("auditing calls", {"calls": written, "partitions": PARTITIONS, "cores": os.cpu_count() or 0}, rows)
    print(text_of(table))
    record("audit", [table])


def _clean(maker: CallMaker) -> Iterator[bytes]:
    yield from filter(None, map(maker.of_event, Workload(WorkloadOptions(events=EVENTS)).events()))
    yield from map(maker.encoded, ordinary_lines())


def _write(servers: str, calls: Iterator[bytes], *, make: bool = True) -> int:
    producer = Producer({"bootstrap.servers": servers, "compression.type": "lz4", "linger.ms": 20})
    if make:
        admin = AdminClient({"bootstrap.servers": servers})
        admin.create_topics([NewTopic(topics.CALLS, PARTITIONS, 1)])[topics.CALLS].result(30)
    count = 0
    for count, call in enumerate(calls, 1):
        while True:
            try:
                producer.produce(topics.CALLS, call, partition=count % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)
    return count


def _row(servers: str, name: str, calls: int, *options: str) -> Row:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    found = _audit(servers, *options)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row(
        name,
        {
            "records": found["records"],
            "seconds": round(seconds, 1),
            "CPU seconds": round(cpu_s, 1),
            "findings": found["findings"],
            "calls a finding": calls // max(1, found["findings"]),
        },
    )


def _audit(servers: str, *options: str) -> dict[str, Any]:
    environment = os.environ | {"CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": servers}
    command = [sys.executable, "-m", "app", "privacy", "audit", "--json", *options]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode not in {0, 1}:
        sys.exit(ran.stderr)
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()

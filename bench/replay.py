"""Record and replay as an operator runs them: `python -m bench.replay [--events N] [--memory N...]`.

Speed: raw events on a real broker are recorded, and replayed from the archive and from the topic, in one process and in
as many as there are cores. CPU is the kernel's, of all processes of a command together. A command's start (imports,
policy, one process spawned for each core) is in its figures. On a shared machine, events a CPU second times the cores
say more than events a second.

With `--memory` nothing but memory is measured, and no broker runs: replays of archives of so many events. Resident
memory is the peak of the largest process, and of all processes together.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from confluent_kafka import Producer

from app.evidence import documents
from app.evidence.archive import ARCHIVE_FILE, STATE_TOPIC, Archive, Contents, RawPart, file_name, finish
from app.evidence.avro_container import Codec
from app.evidence.record_file import Layout, RecordFileWriter
from app.ingest.keys import KeyReader
from app.kafka.records import OffsetRange, Recorded
from app.simulator.workload.generator import Workload, WorkloadOptions
from bench.deployment import Deployment, deployment
from bench.figures import Row, Table, record, text_of
from schemas import topics
from schemas.node import NodeId

DISTINCT_EVENTS: Final = 200_000
EVENTS: Final = 1_000_000
TARGET: Final = "40,000 events/s or more on two cores; memory that does not grow with the input"
_SAMPLE_SECONDS: Final = 0.1
PARTITIONS: Final = 4
RECEIPT_MS: Final = 1_800_000_000_000
PACKED: Final = 1
CHUNK: Final = 1_000
MAX_QUEUED: Final = 50_000


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: what it printed, how long it took, and what it took of the machine."""

    document: dict[str, Any]
    seconds: float
    cpu_seconds: float
    largest_mbytes: float
    together_mbytes: float


def run(environ: Mapping[str, str], *arguments: object, python: Path = Path(sys.executable)) -> Ran:
    """Run `callstream ARGUMENTS --json` to its end, by the program that this Python and environment find."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [str(python), "-m", "app", *map(str, arguments), "--json"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
    largest = together = 0.0
    while process.poll() is None:
        held = list(_resident_mbytes(process.pid))
        largest, together = max([largest, *held]), max(together, sum(held))
        time.sleep(_SAMPLE_SECONDS)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.stdout is not None
    document = json.loads(process.stdout.read())
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}: {document}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(document, seconds, cpu, largest, together)


def _resident_mbytes(root: int) -> Iterator[float]:
    """Memory of a process and of all that it has started, one after another."""
    pages = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    family = {root}
    for entry in sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            fields = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if entry in family or int(fields[1]) in family:
            family.add(entry)
            yield int(fields[21]) * pages


def raw_records() -> dict[int, list[Recorded]]:
    """Distinct events as records of the raw topic, by partition: a process's events are in one, in order."""
    load = list(Workload(WorkloadOptions(events=DISTINCT_EVENTS)).events())
    parts: dict[int, list[Recorded]] = {partition: [] for partition in range(PARTITIONS)}
    for number, (event, key) in enumerate(zip(load, KeyReader(NodeId("", "node")).read(load).keys, strict=True)):
        taken = parts[crc32(key) % PARTITIONS]
        taken.append(Recorded(topics.RAW, crc32(key) % PARTITIONS, len(taken), RECEIPT_MS + number, key, event))
    return parts


def fill(running: Deployment, parts: Mapping[int, Sequence[Recorded]]) -> None:
    """Write the records to the raw topic."""
    producer = Producer({"bootstrap.servers": running.broker.bootstrap_servers, "linger.ms": 20})
    for record_ in chain.from_iterable(parts.values()):
        producer.produce(topics.RAW, record_.value, record_.key, record_.partition, timestamp=record_.timestamp)
        while len(producer) > MAX_QUEUED:
            producer.poll(0.01)
    producer.flush()


def repeated(parts: Mapping[int, Sequence[Recorded]], folder: Path, events: int) -> Archive:
    """An archive of so many events: the same ones again and again, at offsets of their own."""
    passes = -(-events // DISTINCT_EVENTS)
    folder.mkdir()
    raw = [_repeated_part(folder, partition, taken, passes) for partition, taken in parts.items()]
    contents = Contents("bench", "bench", topics.RAW, Codec.DEFLATE, PACKED, tuple(raw), None)
    documents.write(folder / ARCHIVE_FILE, documents.sealed(contents.document()))
    return Archive(folder)


def _repeated_part(folder: Path, partition: int, taken: Sequence[Recorded], passes: int) -> RawPart:
    name, layout = file_name("raw", partition), Layout(topics.RAW, partition, Codec.DEFLATE, PACKED)
    writer = RecordFileWriter(folder, name, layout)
    for number in range(passes):
        shift = number * len(taken)
        for begin in range(0, len(taken), CHUNK):
            writer.add([one._replace(offset=one.offset + shift) for one in taken[begin : begin + CHUNK]])
    state, state_layout = file_name("state", partition), Layout(STATE_TOPIC, partition, Codec.DEFLATE, PACKED)
    nothing_before = finish(RecordFileWriter(folder, state, state_layout), state, state_layout)
    whole = OffsetRange(partition, 0, passes * len(taken))
    return RawPart(whole, finish(writer, name, layout), nothing_before, 0)


def _row(name: str, ran: Ran, events: int, cores: int) -> Row:
    return Row(
        name,
        {
            "processes": cores,
            "events": events,
            "events/s": int(events / ran.seconds),
            "CPU µs/event": ran.cpu_seconds / events * 1e6,
            "events/CPU s": int(events / ran.cpu_seconds),
            "largest MB": round(ran.largest_mbytes),
            "together MB": round(ran.together_mbytes),
        },
    )


def speed(running: Deployment, parts: Mapping[int, Sequence[Recorded]], events: int) -> list[Row]:
    """Record, and replay in several ways; all replays of one input must agree."""
    fill(running, parts)
    cores, folder, environ = len(os.sched_getaffinity(0)), running.folder, running.environ
    case = folder / "case"
    rows = [_row("record, deflate", run(environ, "record", "--out", case), DISTINCT_EVENTS, 1)]
    fast = ("--codec", "snappy", "--out", folder / "fast")
    rows.append(_row("record, snappy", run(environ, "record", *fast), DISTINCT_EVENTS, 1))
    large = repeated(parts, folder / "large", events)
    count = sum(part.file.records for part in large.contents.raw)
    digests: dict[int, set[str]] = {count: set(), DISTINCT_EVENTS: set()}
    for processes in sorted({1, cores}):
        out = folder / f"replay-{processes}"
        ran = run(environ, "replay", "--archive", large.folder, "--processes", processes, "--out", out)
        digests[count].add(ran.document["calls"])
        rows.append(_row("replay, archive to files", ran, count, processes))
    rows.append(_row("verify", run(environ, "replay", "--verify", folder / f"replay-{cores}"), count, cores))
    for name, source in (("topic", ()), ("archive", ("--archive", case))):
        ran = run(environ, "replay", *source, "--out", folder / f"small-{name}")
        digests[DISTINCT_EVENTS].add(ran.document["calls"])
        rows.append(_row(f"replay, {name} to files", ran, DISTINCT_EVENTS, cores))
    if any(len(found) > 1 for found in digests.values()):
        sys.exit(f"replays do not agree: {digests}")
    return rows


def memory(folder: Path, sizes: Sequence[int]) -> list[Row]:
    """Memory of replays over growing inputs, whose archives are left in `folder`, and used again if they are there."""
    parts: Mapping[int, Sequence[Recorded]] | None = None
    rows = []
    for size in sizes:
        large = folder / f"large-{size}"
        if not (large / ARCHIVE_FILE).exists():
            parts = parts or raw_records()
            repeated(parts, large, size)
        with tempfile.TemporaryDirectory(dir=folder) as out:
            ran = run(os.environ, "replay", "--archive", large, "--out", Path(out) / "run")
        rows.append(
            _row("replay, archive to files", ran, ran.document["books"]["records"], len(os.sched_getaffinity(0)))
        )
    return rows


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="of the large archive")
    parser.add_argument("--memory", type=int, nargs="+", metavar="EVENTS", help="measure memory only, at these sizes")
    parser.add_argument("--archives", type=Path, help="folder for the archives of --memory, to use them again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as scratch:
        if options.memory:
            name, title = "replay_memory", "Memory of a replay, by size of its input"
            rows = memory(options.archives or Path(scratch), options.memory)
        else:
            name, title = "replay", "Record and replay"
            with deployment() as running:
                rows = speed(running, raw_records(), options.events)
    settings: dict[str, str | int | float] = {"distinct events": DISTINCT_EVENTS, "target": TARGET}
    table = Table(title, settings, rows, note="A larger archive holds the same events again and again.")
    record(name, [table])
    print(text_of(table))


if __name__ == "__main__":
    main()

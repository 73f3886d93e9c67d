"""Record and replay as an operator runs them: `python -m bench.replay [--events N] [--memory N...]`.

Speed: raw events on a real broker are recorded, and replayed from the archive and from the topic, in one process and in
as many as there are cores. CPU is the kernel's, of all processes of a command together. A command's start (imports,
policy, one process spawned for each core) is in its figures.

With `--memory` nothing else is measured than memory: the archive is repeated, offsets shifted, into archives of so many
events, and each is replayed. Resident memory is the peak of the largest process, and of all processes together.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from app.ingest.keys import KeyReader
from app.replay import canonical_json
from app.replay.archive import ARCHIVE_FILE, Archive, Contents, Range, RawPart, file_name, finish
from app.replay.container import Codec
from app.replay.record_file import Layout, Recorded, RecordFileWriter
from app.simulator.workload import WorkloadOptions, generate
from bench.deployment import Deployment, deployment
from bench.figures import Row, Table, record, text_of
from schemas import topics

DISTINCT_EVENTS: Final = 200_000
EVENTS: Final = 1_000_000
TARGET: Final = "40,000 events/s or more on two cores"
_SAMPLE_SECONDS: Final = 0.1
_PACKED_FAST: Final = 1


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: what it printed, how long it took, and what it took of the machine."""

    document: dict[str, Any]
    seconds: float
    cpu_seconds: float
    largest_mbytes: float
    together_mbytes: float


def run(running: Deployment, *arguments: object) -> Ran:
    """Run `callstream ARGUMENTS --json` to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "app", *map(str, arguments), "--json"]
    process = subprocess.Popen(command, env=running.environ, stdout=subprocess.PIPE)
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


def fill(running: Deployment) -> None:
    """Write distinct events to the raw topic, keyed and partitioned as ingest does it."""
    load = list(generate(WorkloadOptions(events=DISTINCT_EVENTS)))
    settings = {"bootstrap.servers": running.broker.bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 20}
    producer = Producer(settings)
    for event, key in zip(load, KeyReader("node").read(load).keys, strict=True):
        producer.produce(topics.RAW, event, key)
        while len(producer) > 50_000:
            producer.poll(0.01)
    producer.flush()


def repeated(source: Archive, folder: Path, events: int) -> Archive:
    """An archive of so many events: those of `source` again and again, at offsets of their own."""
    folder.mkdir()
    have = sum(part.file.records for part in source.contents.raw)
    passes = -(-events // have)
    parts = []
    for part in source.contents.raw:
        whole, name = part.range, file_name("raw", part.range.partition)
        layout = Layout(source.topic, whole.partition, Codec.DEFLATE, _PACKED_FAST)
        writer = RecordFileWriter(folder, name, layout)
        for number in range(passes):
            shift = number * whole.offsets
            for taken in source.batches(whole.partition, whole.first, whole.next - 1, 1_000):
                writer.add(
                    [Recorded(r.topic, r.partition, r.offset + shift, r.timestamp, r.key, r.value) for r in taken]
                )
        facts = finish(writer, name, layout)
        state_layout = Layout(part.state.topic, whole.partition, Codec.DEFLATE, _PACKED_FAST)
        state = finish(RecordFileWriter(folder, part.state.name, state_layout), part.state.name, state_layout)
        parts.append(
            RawPart(Range(whole.partition, whole.first, whole.first + passes * whole.offsets), facts, state, 0)
        )
    contents = Contents("bench", "bench", source.topic, Codec.DEFLATE, _PACKED_FAST, tuple(parts), None)
    canonical_json.write(folder / ARCHIVE_FILE, canonical_json.sealed(contents.document()))
    return Archive(folder)


def _row(name: str, ran: Ran, events: int, cores: int) -> Row:
    return Row(
        name,
        {
            "processes": cores,
            "events": events,
            "events/s": int(events / ran.seconds),
            "CPU µs/event": ran.cpu_seconds / events * 1e6,
            "largest MB": round(ran.largest_mbytes),
            "together MB": round(ran.together_mbytes),
        },
    )


def speed(running: Deployment, events: int) -> list[Row]:
    """Record, and replay in several ways; all replays of one input must agree."""
    cores = len(os.sched_getaffinity(0))
    case, out = running.folder / "case", running.folder
    rows = [_row("record, deflate", run(running, "record", "--out", case), DISTINCT_EVENTS, 1)]
    fast = ("--codec", "snappy", "--out", out / "fast")
    rows.append(_row("record, snappy", run(running, "record", *fast), DISTINCT_EVENTS, 1))
    large = repeated(Archive(case), out / "large", events)
    count = sum(part.file.records for part in large.contents.raw)
    digests = {}
    for processes in sorted({1, cores}):
        name = f"replay-{processes}"
        ran = run(running, "replay", "--archive", large.folder, "--processes", processes, "--out", out / name)
        digests[name] = ran.document["calls"]
        rows.append(_row("replay, archive to files", ran, count, processes))
    verified = run(running, "replay", "--verify", out / f"replay-{cores}")
    rows.append(_row("verify", verified, count, cores))
    for name, source in (("topic", ()), ("archive", ("--archive", case))):
        ran = run(running, "replay", *source, "--out", out / f"small-{name}")
        digests[f"small {name}"] = ran.document["calls"]
        rows.append(_row(f"replay, {name} to files", ran, DISTINCT_EVENTS, cores))
    if len(set(digests.values())) > 2:
        sys.exit(f"replays do not agree: {digests}")
    return rows


def memory(running: Deployment, sizes: Sequence[int]) -> list[Row]:
    """Memory of replays over growing inputs."""
    cores = len(os.sched_getaffinity(0))
    case = running.folder / "case"
    run(running, "record", "--out", case)
    rows = []
    for size in sizes:
        large = repeated(Archive(case), running.folder / f"large-{size}", size)
        count = sum(part.file.records for part in large.contents.raw)
        out = running.folder / f"replay-{size}"
        ran = run(running, "replay", "--archive", large.folder, "--out", out)
        rows.append(_row("replay, archive to files", ran, count, cores))
        for folder in (large.folder, out):
            for path in folder.glob("*.avro"):
                path.unlink()
    return rows


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="of the large archive")
    parser.add_argument("--memory", type=int, nargs="+", metavar="EVENTS", help="measure memory only, at these sizes")
    options = parser.parse_args()
    with deployment() as running:
        fill(running)
        if options.memory:
            name, rows = "replay_memory", memory(running, options.memory)
            title = "Memory of a replay, by size of its input"
        else:
            name, rows = "replay", speed(running, options.events)
            title = "Record and replay"
    settings: dict[str, str | int | float] = {"distinct events": DISTINCT_EVENTS, "target": TARGET}
    table = Table(title, settings, rows, note="An archive above that size is made of the same events repeated.")
    record(name, [table])
    print(text_of(table))


if __name__ == "__main__":
    main()

"""Ingest alone, from tetragon-sim into a real broker, all on this machine: `python -m bench.ingest [--seconds N]`.

Three ways to send: as fast as flow control lets the simulator go; 45,000 a second, which ingest must sustain without
loss; and a trickle, where nearly every event is a batch of its own. A run is over when the broker has every event, or
nothing more arrives; lost is what was sent and is not on the raw topic. CPU is the kernel's, by process, over the run
after its first tenth, divided by the events of that part. Then the steps of the way alone, one after another in one
process, to see where the CPU goes.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from app.ingest.buffer import Buffer, BufferLimits
from app.ingest.keys import KeyReader
from app.ingest.writer import PRODUCER_CONFIG
from app.simulator.event_files import read_events
from bench.deployment import Deployment, deployment, first_line, per_event_us
from bench.figures import Row, Table, record, text_of
from schemas import topics
from schemas.node import NodeId

DISTINCT_EVENTS: Final = 50_000
TARGET_RATE: Final = 45_000
TARGET_CPU_US: Final = 15.0
TRICKLE_EVENTS: Final = 4_000
TRICKLE_RATE: Final = 200
_SILENT_SECONDS: Final = 10.0
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Sending:
    """What the simulator sends: a file so many times, at a rate or as fast as it can."""

    name: str
    file: str
    events: int
    passes: int
    rate_per_s: int | None


def whole(running: Deployment, sending: Sending) -> Row:
    """One run through a fresh ingest."""
    rate = () if sending.rate_per_s is None else ("--rate", str(sending.rate_per_s))
    simulator = running.start(
        "tetragon-sim",
        *("tetragon-sim", "--listen", "127.0.0.1:0", "--repeat", str(sending.passes), *rate),
        *("--events", str(running.folder / sending.file)),
    )
    already = running.ends(topics.RAW)
    goal = already + sending.events * sending.passes
    settings = {"CALLSTREAM_TETRAGON_ADDRESS": str(first_line(simulator)["address"])}
    first_line(running.start("ingest", "ingest", environ=settings))
    _await(running, already + (goal - already) // 10)
    before, began, first = running.cpu(), time.perf_counter(), running.ends(topics.RAW)
    ended = _await(running, goal)
    after, last = running.cpu(), running.ends(topics.RAW)
    memory_mbytes = running.memory()["ingest"]
    running.stop("ingest", "tetragon-sim")
    cpu = per_event_us(before, after, last - first)
    return Row(
        sending.name,
        {
            "events": last - first,
            "events/s": int((last - first) / (ended - began)),
            "ingest µs": cpu["ingest"],
            "broker µs": cpu["kafka"],
            "simulator µs": cpu["tetragon-sim"],
            "ingest MB": round(memory_mbytes),
            "lost": goal - running.ends(topics.RAW),
        },
    )


def _await(running: Deployment, goal: int) -> float:
    """Wait until the raw topic ends at `goal`, or nothing has arrived for a while; gives when the last came."""
    seen, at = -1, time.perf_counter()
    while seen < goal and time.perf_counter() - at < _SILENT_SECONDS:
        now = running.ends(topics.RAW)
        if now > seen:
            seen, at = now, time.perf_counter()
        time.sleep(0.05)
    return at


def steps(running: Deployment, events: Sequence[bytes]) -> list[Row]:
    """CPU of each step alone, the least of three rounds: others share the machine."""

    def buffered() -> None:
        limits = BufferLimits(max_events=len(events), max_bytes=1 << 40, grace_seconds=0)
        buffer = Buffer(limits, KeyReader(NodeId("", "node")))
        for event in events:
            buffer.put(event)
        while buffer.take() is not None:
            pass

    def keyed() -> None:
        reader = KeyReader(NodeId("", "node"))
        for start in range(0, len(events), 250):
            reader.read(events[start : start + 250])

    def produced(compression: str) -> Callable[[], None]:
        keys = KeyReader(NodeId("", "node")).read(events).keys
        config = {**PRODUCER_CONFIG, "bootstrap.servers": running.broker.bootstrap_servers, "log_level": 0}

        def produce() -> None:
            producer = Producer({**config, "compression.type": compression})
            for start in range(0, len(events), 250):
                chunk = slice(start, start + 250)
                batch = [{"value": event, "key": key} for event, key in zip(events[chunk], keys[chunk], strict=True)]
                while len(producer) > 50_000:
                    producer.poll(0.005)
                producer.produce_batch(topics.RAW, batch)
            producer.flush()

        return produce

    works = {
        "keys and kinds": keyed,
        "buffer, keys and kinds included": buffered,
        "produce, lz4": produced("lz4"),
        "produce, zstd": produced("zstd"),
    }
    return [Row(name, {"CPU µs/event": _least_us(work, len(events))}) for name, work in works.items()]


def _least_us(work: Callable[[], None], events: int) -> float:
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        rounds.append((time.process_time() - began) / events * 1e6)
    return min(rounds)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="of sending at the target rate")
    options = parser.parse_args()
    passes = max(1, options.seconds * TARGET_RATE // DISTINCT_EVENTS)
    sendings = (
        Sending("as fast as it goes", "events.bin", DISTINCT_EVENTS, passes, None),
        Sending("45,000 a second", "events.bin", DISTINCT_EVENTS, passes, TARGET_RATE),
        Sending("200 a second", "trickle.bin", TRICKLE_EVENTS, 1, TRICKLE_RATE),
    )
    with deployment() as running:
        for file, count in (("events.bin", DISTINCT_EVENTS), ("trickle.bin", TRICKLE_EVENTS)):
            running.run("workload", "--events", str(count), "--out", str(running.folder / file))
        events = list(read_events([Path(running.folder / "events.bin")]))
        rows = [whole(running, sending) for sending in sendings]
        alone = steps(running, events)
    settings: dict[str, str | int | float] = {
        "distinct events": DISTINCT_EVENTS,
        "bytes an event": round(sum(map(len, events)) / len(events)),
        "target": f"{TARGET_RATE:,} events/s, none lost, at most {TARGET_CPU_US:.0f} µs",
    }
    tables = [
        Table("Ingest, from tetragon-sim to the raw topic", settings, rows),
        Table("Its steps alone", {"rounds": _ROUNDS}, alone, note="Reading gRPC is in bench/results/simulator."),
    ]
    record("ingest", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()

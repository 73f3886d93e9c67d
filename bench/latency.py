"""How long an event takes from the raw topic to its call: `python -m bench.latency [--rates N...] [--seconds N]`.

Every process is the real command, of the wheel of a commit (HEAD by default). A call keeps its raw record's timestamp,
which is when ingest took the event. So a reader of runtime.calls that looks at its clock sees the whole way: ingest's
wait, three writes, two stages. It reads as consumers do, a record at a time, and only as many partitions as it can read
without being a load of its own.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from bench.builds import Build, build
from bench.deployment import Deployment, await_count, deployment, first_line
from bench.figures import Row, Table, record, text_of
from schemas import topics
from schemas.topics import Stage

DISTINCT_EVENTS: Final = 100_000
WARM_UP_SECONDS: Final = 15.0
READ_PER_S: Final = 2_000
"""What the reader takes at most: some 1 % of a core."""

AIM_MS: Final = {200: 150, 20_000: 250}
"""Of the 99th percentile, by events a second."""


def latencies_ms(running: Deployment, rate_per_s: int, seconds: float) -> list[float]:
    """Of each call that arrives in so many seconds, in some of the partitions."""
    consumer = Consumer({"bootstrap.servers": running.broker.bootstrap_servers, "group.id": "bench-latency"})
    try:
        partitions = sorted(consumer.list_topics(topics.CALLS, timeout=10).topics[topics.CALLS].partitions)
        count = max(1, min(len(partitions), len(partitions) * READ_PER_S // rate_per_s))
        names = [TopicPartition(topics.CALLS, number) for number in partitions[:count]]
        consumer.assign(
            [TopicPartition(one.topic, one.partition, consumer.get_watermark_offsets(one)[1]) for one in names]
        )
        found: list[float] = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            message = consumer.poll(0.1)
            if message is None:
                continue
            if message.error() is not None:
                raise RuntimeError(str(message.error()))
            found.append(time.time() * 1e3 - message.timestamp()[1])
        return found
    finally:
        consumer.close()


def measure(built: Build, rate_per_s: int, seconds: float) -> Row:
    """One rate, on a broker of its own."""
    program = (built.python, built.environ())
    with deployment() as running:
        running.run("workload", "--events", str(DISTINCT_EVENTS), "--out", str(running.folder / "events.bin"))
        for stage in Stage:
            running.start(stage.value, "worker", "--stage", stage.value, program=program)
        simulator = running.start(
            "tetragon-sim",
            *("tetragon-sim", "--listen", "127.0.0.1:0", "--events", str(running.folder / "events.bin")),
            *("--repeat", "0", "--rate", str(rate_per_s)),
            program=program,
        )
        agent = {"CALLSTREAM_TETRAGON_ADDRESS": str(first_line(simulator)["address"])}
        running.start("ingest", "ingest", environ=agent, program=program)
        await_count(lambda: running.committed(Stage.HOT_SYMBOLS.group, topics.CALLS), 1, 120)
        time.sleep(WARM_UP_SECONDS)
        before, began = running.cpu(), time.monotonic()
        found = latencies_ms(running, rate_per_s, seconds)
        after, took = running.cpu(), time.monotonic() - began
    used = sum(after[name] - before[name] for name in after if name != "tetragon-sim") / took
    return Row(f"{rate_per_s:,} a second", _figures(found, rate_per_s) | {"% of a core": used * 100})


def _figures(found: Sequence[float], rate_per_s: int) -> dict[str, float | int | str]:
    cuts = statistics.quantiles(found, n=1000)
    aim = AIM_MS.get(rate_per_s)
    return {
        "calls": len(found),
        "median ms": statistics.median(found),
        "p99 ms": cuts[989],
        "p99.9 ms": cuts[998],
        "most ms": max(found),
        "aim of p99 ms": "" if aim is None else aim,
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--commit", default="HEAD", help="whose wheel runs")
    parser.add_argument("--rates", type=int, nargs="+", default=sorted(AIM_MS), help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of measuring, for each rate")
    options = parser.parse_args()
    built = build(options.commit)
    rows = [measure(built, rate, options.seconds) for rate in options.rates]
    settings: dict[str, str | int | float] = {"wheel of": built.commit[:12], "seconds": int(options.seconds)}
    note = "% of a core: all processes and the broker, without the simulator."
    table = Table("From the raw record's timestamp to the call being read", settings, rows, note)
    record("latency", [table])
    print(text_of(table))


if __name__ == "__main__":
    main()

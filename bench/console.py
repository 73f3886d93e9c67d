"""The console over a large fleet: `python -m bench.console [--symbols N] [--nodes N] [--watches N]`.

Rows of symbols, nodes, watches and answers are written to a real broker as the stages write them. Measured are, from a
browser: the time from opening a view to its data, and from a key that is pressed in the search to the rows on the
page, while rows change as those of a busy fleet do; the memory of the server and of the page; and what a look at the
pipeline costs a worker.
"""

import argparse
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer
from playwright.sync_api import Page

from agents.coverage.covering import node_key
from agents.coverage.node_coverage import NodeCoverage
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.published import published_record
from agents.hot_symbols.watch.watch import Watch
from app.console.followed_topics import NODES
from app.embedded.broker import EmbeddedBroker
from app.stages.hot_symbols.answers_reading import answers_to
from app.stages.worker import registered_id
from app.telemetry.metric_pages import read_processes
from bench.figures import Row, Table, cpu_seconds, record, text_of
from schemas import records, topics
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId
from schemas.topics import Stage
from schemas.units import NS_PER_SECOND
from tests.support.browser import browser, page_in
from tests.support.console_scene import TOKEN, Console, console
from tests.support.pipeline_run import PipelineRun, pipeline_run

SYMBOLS: Final = 100_000
NODE_COUNT: Final = 10_000
WATCHES: Final = 1_000
VIEWS: Final = ("pipeline", "coverage", "symbols", "watches", "vulnerabilities", "letters")
SEARCHES: Final = ("_ZN4shop", "handler_77", "lib_12.so", "parse", "zzz")
SCRAPES: Final = 200
_OPENED: Final = 5
"""How often each view is opened."""
_SCATTER: Final = 61_803
_CHANGING: Final = 200
"""Rows that are written again each second while somebody searches."""
HOUR: Final = 3_600 * NS_PER_SECOND
_READ_SECONDS: Final = 300.0
_MOST_WAITING: Final = 50_000
"""Records that a producer of librdkafka keeps, at most 100,000."""

_RECORDS: Final = {
    topics.HOT_SYMBOLS: records.HOT_SYMBOL,
    topics.WATCH: records.WATCH,
    topics.WATCHED: records.WATCHED_SYMBOL,
}


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    parser.add_argument("--nodes", type=int, default=NODE_COUNT)
    parser.add_argument("--watches", type=int, default=WATCHES)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="console-bench-") as name,
        EmbeddedBroker(Path(name) / "broker") as broker,
        pipeline_run(broker, "console.", Path(name)) as run,
    ):
        _write(run, options)
        worker = run.start(f"{Stage.PRIVACY.value}-0")
        run.await_ready()
        began = time.monotonic()
        with console(run.environ, Path(name), process_addresses=worker.http_address()) as shown:
            while not shown.ask("api/about")["is_read"]:
                assert time.monotonic() - began < _READ_SECONDS
                time.sleep(0.2)
            read_seconds = time.monotonic() - began
            with _changing(run, options.symbols):
                tables = [
                    _views(shown),
                    _costs(shown, read_seconds, _scrape_ms(worker.http_address(), worker.pid)),
                ]
        assert run.end(f"{Stage.PRIVACY.value}-0", signal.SIGTERM) == 0
    busy = f"{os.getloadavg()[0]:.1f} programs on {os.cpu_count()} processors wanted to run: times wait for others"
    settings = {"symbols": options.symbols, "nodes": options.nodes, "watches": options.watches, "load": busy}
    settings["rows that change a second"] = _CHANGING
    tables = [Table(one.title, settings, one.rows, one.note) for one in tables]
    for table in tables:
        print(text_of(table))
    print(record("console", tables))


def _producer(run: PipelineRun) -> Producer:
    return Producer({"bootstrap.servers": run.settings.kafka_bootstrap_servers, "partitioner": "murmur2_random"})


@contextmanager
def _changing(run: PipelineRun, count: int) -> Iterator[None]:
    """Write rows again all the time, each with one hit more."""
    producer, ended = _producer(run), threading.Event()
    schema_id, name = registered_id(run.settings, topics.HOT_SYMBOLS), run.settings.name(topics.HOT_SYMBOLS)
    changed = list(islice(_rows(count, time.time_ns()), _CHANGING * 10))

    def write() -> None:
        for number, row in enumerate(cycle(changed)):
            row["hits"] += 1
            producer.produce(name, records.encode(records.HOT_SYMBOL, schema_id, row), row["symbol_id"].encode())
            producer.poll(0)
            if number % _CHANGING == 0 and ended.wait(1.0):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
        assert producer.flush(120) == 0


def _write(run: PipelineRun, options: argparse.Namespace) -> None:
    producer = _producer(run)

    ids = {topic: registered_id(run.settings, topic) for topic in _RECORDS}

    def send(topic: str, key: bytes, value: bytes) -> None:
        producer.produce(run.settings.name(topic), value, key)
        producer.poll(0)
        if len(producer) > _MOST_WAITING:
            producer.flush()

    def send_record(topic: str, key: str, fields: dict[str, Any]) -> None:
        send(topic, key.encode(), records.encode(_RECORDS[topic], ids[topic], fields))

    now_ns = time.time_ns()
    for row in _rows(options.symbols, now_ns):
        send_record(topics.HOT_SYMBOLS, row["symbol_id"], row)
    for number in range(options.nodes):
        node = NodeId(f"cluster-{number % 7}", f"worker-{number:05}")
        send(NODES, node_key(node), _coverage(node, number, now_ns).to_bytes())
    watches = {one.watch_id: one for one in _watches(options.watches, now_ns)}
    reasons = [{"reason": "NotHooked", "words": "nothing says that every call of it is probed", "about": []}]
    for answer in answers_to(watches, {}):
        watch_id = answer["watch_id"]
        send_record(topics.WATCH, watch_id, watches[watch_id].as_record())
        send_record(topics.WATCHED, watch_id, answer | {"answer": "NotSeen", "reasons": reasons})
    assert producer.flush(120) == 0


def _rows(count: int, now_ns: int) -> Iterator[dict[str, Any]]:
    """Rows as full as those of a busy fleet: a day of hours, images, namespaces, workloads and callers."""
    hour = now_ns // HOUR
    for number in range(count):
        build_id = f"{number % 400:040x}"
        names = (f"module_{number % 997}", f"handler_{number}parse")
        symbol = f"_ZN4shop{''.join(f'{len(name)}{name}' for name in names)}EPKcm"
        hits = 1 + number * _SCATTER % count  # the most hits lie anywhere
        bare = published_record(f"{build_id}!{symbol}", Tally("/opt/shop/lib.so"))
        seen = {"last_seen_ns": now_ns - number}
        yield bare | {
            "module": f"/opt/shop/lib/lib_{number % 400}.so",
            "hits": hits,
            "confirmed_hits": hits,
            "first_seen_ns": now_ns - 24 * HOUR,
            "last_seen_ns": now_ns - number,
            "hourly_hits": [{"hour": hour - back, "hits": 1 + number % 50} for back in reversed(range(24))],
            "images": [
                {"image_id": f"sha256:{at:064x}", "image_name": f"registry/shop/{at}:1", **seen} for at in range(2)
            ],
            "namespaces": [{"namespace": f"team-{(number + at) % 40}", **seen} for at in range(2)],
            "workloads": [{"namespace": "shop", "kind": "Deployment", "name": f"web-{at}", **seen} for at in range(3)],
            "callers": [{"symbol_id": f"{build_id}!caller_{at}", "hits": 5} for at in range(5)],
        }


def _coverage(node: NodeId, number: int, now_ns: int) -> NodeCoverage:
    """A month in which one node of ten missed something."""
    known, end_ns = NodeCoverage(), now_ns - 70 * NS_PER_SECOND
    heartbeat = CoverageGap(
        node=node.name,
        cluster=node.cluster,
        from_ns=now_ns - 30 * 24 * HOUR,
        to_ns=end_ns,
        cause=GapCause.HEARTBEAT,
        session="one",
        ingest_version="0.1.0",
    )
    known.add([heartbeat])
    if not number % 10:
        at_ns = now_ns - (1 + number % 600) * HOUR
        known.add([replace(heartbeat, from_ns=at_ns, to_ns=at_ns + HOUR // 60, cause=GapCause.OVERFLOW, events_lost=3)])
    return known


def _watches(count: int, now_ns: int) -> Iterator[Watch]:
    for number in range(count):
        yield Watch(
            symbol=f"watched_function_{number}",
            module=f"/usr/lib/lib{number % 50}.so",
            build_id=None,
            since_ns=now_ns - number * NS_PER_SECOND,
            vulnerabilities=(f"CVE-2026-{number % 300:04}",),
        )


def _views(shown: Console) -> Table:
    """From opening the page to a view's data, each in a browser that has nothing of it."""
    rows = []
    with browser() as started:
        for view in VIEWS:
            times, cpu = [], cpu_seconds(shown.process.pid)
            for _ in range(_OPENED):
                with page_in(started) as (page, seen):
                    began = time.monotonic()
                    page.goto(f"{shown.url}#/{view}?token={TOKEN}")
                    page.wait_for_selector(f"main[data-ready={view}]")
                    times.append(1_000 * (time.monotonic() - began))
                    assert seen.problems == []
                    assert seen.outside(shown.origin) == []
            core_ms = 1_000 * (cpu_seconds(shown.process.pid) - cpu) / _OPENED
            figures = {
                "longest, ms": max(times),
                "median, ms": statistics.median(times),
                "server, ms of a core": core_ms,
            }
            rows.append(Row(view, figures))
    return Table("from opening the page to a view with its data", {}, rows)


def _costs(shown: Console, read_seconds: float, scrape_ms: float) -> Table:
    with browser() as started, page_in(started) as (page, _):
        page.goto(f"{shown.url}#/symbols?token={TOKEN}")
        page.wait_for_selector("main[data-ready=symbols]")
        keys = [_search_ms(page, text) for text in SEARCHES]
        for view in (*VIEWS, *VIEWS):
            page.goto(f"{shown.url}#/{view}")
            page.wait_for_selector(f"main[data-ready={view}]")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        heap = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        page_mb = heap["JSHeapTotalSize"] / (1 << 20)
    asked, cpu = [], cpu_seconds(shown.process.pid)
    for text in SEARCHES * 4:
        began = time.monotonic()
        shown.ask(f"api/symbols?text={text}")
        asked.append(1_000 * (time.monotonic() - began))
    search_ms = 1_000 * (cpu_seconds(shown.process.pid) - cpu) / len(asked)
    rows = [
        Row("search at the server, ms of a core", {"figure": search_ms}),
        Row("search in the page: longest, ms", {"figure": max(keys), "limit": 100}),
        Row("search at the server: longest, ms", {"figure": max(asked), "limit": 100}),
        Row("memory of the server at most, MB", {"figure": shown.rss_bytes / (1 << 20), "limit": 300}),
        Row("memory of the page's scripts, MB", {"figure": page_mb, "limit": 300}),
        Row("a look at one worker, ms of a core", {"figure": scrape_ms}),
        Row("the same every two seconds, % of a core", {"figure": scrape_ms / 20, "limit": 1}),
        Row("all topics read after, s", {"figure": read_seconds}),
    ]
    return Table("what it costs", {}, rows)


def _search_ms(page: Page, text: str) -> float:
    """From the change of the search to the new rows on the page, as the page's own clock has it."""
    return float(
        page.evaluate(
            """(text) => new Promise((done) => {
                const field = document.querySelector("main input[name=text]");
                const spoken = document.getElementById("spoken");
                const began = performance.now();
                new MutationObserver((_changes, me) => { me.disconnect(); done(performance.now() - began); })
                    .observe(spoken, { childList: true });
                field.value = text;
                field.dispatchEvent(new Event("input", { bubbles: true }));
            })""",
            text,
        )
    )


def _scrape_ms(address: str, pid: int) -> float:
    """What a worker's processor does for one look at its metrics."""
    read_processes([address])
    idle_began, idle_cpu = time.monotonic(), cpu_seconds(pid)
    time.sleep(3)
    idle = (cpu_seconds(pid) - idle_cpu) / (time.monotonic() - idle_began)
    began, cpu = time.monotonic(), cpu_seconds(pid)
    for _ in range(SCRAPES):
        read_processes([address])
    passed = time.monotonic() - began
    return 1_000 * max(0.0, cpu_seconds(pid) - cpu - idle * passed) / SCRAPES


if __name__ == "__main__":
    main()

"""One demonstration, from an empty folder to a report: broker, topics, symbols, source, ingest, stages, and the proof.

Every part is the command that an operator would run, on free ports, in a temporary folder; nothing remains of the run,
except in the folder that --keep names. It waits for facts (metrics, offsets), never for a fixed time, and a message
names what it gave up waiting for.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from app.demo.leaks import files_below, search
from app.demo.processes import CommandFailedError, Processes
from app.demo.report import DemoBooks, DemoReplay, DemoReport, books_of, shares_of
from app.demo.shown_calls import worth_showing
from app.embedded.broker import EmbeddedBroker
from app.embedded.ports import pick_free
from app.settings import Settings, from_env
from app.simulator.event_files import delimited
from app.simulator.workload.binaries import mapped_binaries
from app.simulator.workload.calls import POLICY_HOOKS
from app.simulator.workload.generator import Workload, WorkloadOptions
from app.symbols.display import SymbolDisplay
from app.tap.lines import Headline, lines
from app.telemetry import metrics
from app.telemetry.metric_pages import Page, read_processes
from schemas import topics
from schemas.topics import Stage

CANARY_SHARE: Final = 0.05
"""Events with a secret in every text and byte field; all forms of all fields occur within some thousand events."""

PATIENCE_SECONDS: Final = 90.0
"""A run without progress for this long has failed."""

LOOKED_THROUGH: Final = 3_000
"""Calls among which those to show are chosen."""

SHOWN_SYMBOLS: Final = 12

_TOKEN_BYTES: Final = 24

EXPORTS: Final = {"html": "calls.html", "folded": "calls.folded", "runtime-facts": "facts.ndjson"}
"""Files of the folder `exports` by format: something to look at, and searched for secrets like everything public."""

_STAGES: Final = tuple(stage.value for stage in Stage)

Say = Callable[[str], None]
"""Prints what happens, for a person."""

Progress = Callable[[int, int], None]
"""Shows how many events are accounted for, of how many."""

Hold = Callable[[DemoReport, str], None]
"""Gets the report and the console's address, with its token; what is shown there lives until it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What to show. `rate_per_s` is how fast the source sends."""

    events: int
    rate_per_s: int
    folder: Path


def run_demo(options: DemoOptions, say: Say, progress: Progress, hold: Hold | None = None) -> DemoReport:
    """Run it all. With `hold`, the pipeline stays up for it, and a console beside it.

    Raises CommandFailedError, EmbeddedError, and TimeoutError, which names what did not happen.
    """
    began = time.monotonic()
    folder = options.folder
    with ThreadPoolExecutor(1) as aside, EmbeddedBroker(folder / "broker", report=say) as broker:
        making = aside.submit(_made, options)
        say(f"Apache Kafka on {broker.bootstrap_servers}, schema registry on {broker.registry_url}")
        environ = {
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "CALLSTREAM_SCHEMA_REGISTRY_URL": broker.registry_url,
            "CALLSTREAM_DATA_DIR": str(folder / "state"),
            "CALLSTREAM_SYMBOL_STORE_DIR": str(folder / "symbols"),
            "CALLSTREAM_POLICY_HOOKS_FILE": str(_hook_map(folder)),
            "CALLSTREAM_HOT_SYMBOLS_PORT": str(pick_free(frozenset())),
            "CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE": str(_token_file(folder)),
        }
        logs = folder / "logs"
        logs.mkdir()
        with Processes(logs, environ) as running:
            workload = _prepare(options, running, making, say)
            pages = _convert(options, running, say, progress)
            report = _report(options, running, workload, pages, from_env(environ))
            report = replace(report, seconds=time.monotonic() - began)
            if hold is not None:
                hold(report, _console(running, environ, folder))
            return report


def _token_file(folder: Path) -> Path:
    """A new token, which only this user may read: for the console, and for what it asks of workers."""
    path = folder / "token"
    path.touch(0o600)
    path.write_text(secrets.token_urlsafe(_TOKEN_BYTES), encoding="ascii")
    return path


def _console(running: Processes, environ: Mapping[str, str], folder: Path) -> str:
    """Start the console; returns the address to open."""
    addresses = ",".join(running.metrics_address(name) for name in ("ingest", *_STAGES))
    running.start(
        "console",
        "console",
        "--json",
        environ={
            "CALLSTREAM_CONSOLE_PORT": "0",
            "CALLSTREAM_CONSOLE_TOKEN_FILE": environ["CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE"],
            "CALLSTREAM_CONSOLE_WORKERS": f"127.0.0.1:{environ['CALLSTREAM_HOT_SYMBOLS_PORT']}",
            "CALLSTREAM_PROCESS_ADDRESSES": addresses,
        },
    )
    token = (folder / "token").read_text(encoding="ascii")
    return f"{running.first_line('console')['url']}#token={token}"


def _hook_map(folder: Path) -> Path:
    """The operator's hook map: the wire format alone does not show fentry, fexit and uretprobe hooks."""
    path = folder / "policy-hooks.toml"
    path.write_text("".join(f'{policy} = "{kind}"\n' for policy, kind in POLICY_HOOKS.items()), encoding="utf-8")
    return path


def _made(options: DemoOptions) -> Workload:
    """The events to send, in a file."""
    workload = Workload(WorkloadOptions(events=options.events, canary_share=CANARY_SHARE))
    with (options.folder / "events.bin").open("wb") as file:
        for event in workload.events():
            file.write(delimited(event))
    return workload


def _prepare(options: DemoOptions, running: Processes, making: "Future[Workload]", say: Say) -> Workload:
    """Topics, schemas, symbol indexes and the events to send."""
    running.run("topics", "apply")
    say("topics and schemas are there")
    libraries = sorted({str(binary.file.resolve()) for binary in mapped_binaries().values()})
    running.run("symbols", "add", *libraries)
    say(f"indexed the symbols of {len(libraries)} libraries of this machine")
    workload = making.result()
    say(f"made {options.events:,} events with {workload.frames:,} frames, and secrets planted in every field")
    return workload


def _convert(options: DemoOptions, running: Processes, say: Say, progress: Progress) -> dict[str, Page]:
    """Send everything through the pipeline; returns the metrics when all records are done."""
    source = ["tetragon-sim", "--listen", "127.0.0.1:0", "--events", str(options.folder / "events.bin")]
    running.start("tetragon-sim", *source, "--rate", str(options.rate_per_s))
    address = str(running.first_line("tetragon-sim")["address"])
    running.start("ingest", "ingest", environ={"CALLSTREAM_TETRAGON_ADDRESS": address})
    for stage in _STAGES:
        running.start(stage, "worker", "--stage", stage)
    say(f"tetragon-sim on {address} → ingest → {' → '.join(_STAGES)}")
    last, moved = -1, time.monotonic()
    while True:
        pages = _pages(running)
        done = _done(pages)
        progress(max(done, 0), options.events)
        waiting = _waiting(running, pages) if done == options.events else f"{done:,} of {options.events:,} events"
        if not waiting:
            return pages
        if done != last:
            last, moved = done, time.monotonic()
        if time.monotonic() - moved > PATIENCE_SECONDS:
            raise TimeoutError(f"no progress for {PATIENCE_SECONDS:.0f} s: {waiting}")
        running.check_alive()
        time.sleep(0.25)


def _pages(running: Processes) -> dict[str, Page]:
    """Metrics of the processes that already serve them."""
    names = {running.metrics_address(name): name for name in ("ingest", *_STAGES)}
    return {names[page.address]: page for page in read_processes(names) if isinstance(page, Page)}


def _done(pages: Mapping[str, Page]) -> int:
    """How many events are done, or -1 while a process does not serve metrics yet."""
    if len(pages) < len(_STAGES) + 1:
        return -1
    canonicalize, privacy = pages[Stage.CANONICALIZE.value], pages[Stage.PRIVACY.value]
    hot_symbols = pages[Stage.HOT_SYMBOLS.value]
    dead_letters = canonicalize.total(metrics.DEAD_LETTERS) + privacy.total(metrics.DEAD_LETTERS)
    counted = hot_symbols.value(metrics.FINISHED, topics.CALLS)
    return counted + canonicalize.total(metrics.NOT_CALLS) + dead_letters + pages["ingest"].total(metrics.DROPPED)


def _waiting(running: Processes, pages: Mapping[str, Page]) -> str:
    """What is still waiting; empty if `callstream books` finds nothing waiting."""
    gaps = pages["ingest"].total(metrics.GAPS_PENDING)
    return f"{gaps} gaps are not published" if gaps else "; ".join(_findings(running, "--settled"))


def _findings(running: Processes, *options: str) -> list[str]:
    addresses = [option for name in ("ingest", *_STAGES) for option in ("--metrics", running.metrics_address(name))]
    try:
        running.run("books", *addresses, *options)
    except CommandFailedError as error:
        return [str(error)]
    return []


def _report(
    options: DemoOptions,
    running: Processes,
    workload: Workload,
    pages: Mapping[str, Page],
    settings: Settings,
) -> DemoReport:
    books: DemoBooks = books_of(pages, options.events, _findings(running))
    decoded = running.run("tap", topics.CALLS, "--max", str(LOOKED_THROUGH), "--json").splitlines()
    top = running.run("hot-symbols", "--top", str(SHOWN_SYMBOLS))
    (options.folder / "exports").mkdir()
    for form, name in EXPORTS.items():
        running.run("export", "--format", form, "--output", str(options.folder / "exports" / name))
    searched = search(
        settings,
        workload.leaks,
        files=files_below(*(options.folder / name for name in ("state", "logs", "symbols", "exports", "broker/logs"))),
        pages=[running.metrics_address(name) for name in ("ingest", *_STAGES)],
    )
    return DemoReport(
        books=books,
        frames=shares_of(pages[Stage.CANONICALIZE.value], metrics.FRAMES),
        redactions=shares_of(pages[Stage.PRIVACY.value], metrics.REDACTIONS),
        searched=searched,
        replayed=_replayed(options.folder, running),
        calls=tuple(_shown(decoded)),
        top_symbols=top,
        seconds=0.0,
    )


def _replayed(folder: Path, running: Processes) -> DemoReplay:
    """Record everything, and replay it."""
    case, run = folder / "case", folder / "run"
    try:
        running.run("record", "--out", str(case), "--with-published")
        running.run("replay", "--archive", str(case), "--published", "--out", str(run))
        document = json.loads((run / "manifest.json").read_bytes())
    except CommandFailedError as error:
        return DemoReplay(0, 0, 0, "", str(error))
    copies, audit = document["published"]["copies"], document["published"]["audit"]
    return DemoReplay(
        copies=sum(one["copies"] for one in copies),
        calls=sum(one["calls"] for one in copies),
        audited=sum(one["proved"] for one in audit),
        digest=document["output"]["calls"],
        trouble="",
    )


def _shown(decoded: list[str]) -> Iterator[str]:
    """Lines of the calls that are worth showing."""
    with SymbolDisplay() as display:
        for record in worth_showing(map(json.loads, decoded)):
            headline = Headline(record["partition"], record["offset"], record["key"])
            yield from lines(topics.CALLS, headline, record["value"], display.name)
